"""
Rival forms compared on every curve of a study (Gao et al. 2022, sections 3.1, 3.2, appendix B).

Each form is fitted in every bootstrap replicate of a cell's curve (all its seeds together, as far
as every run reaches), so any contrast of two forms is paired. Two tests ask a form to predict
points it was not fitted to; see `overopt.analysis.held_out`.

Points of one curve come from one pool of responses or one run. They are not independent, so there
are fewer effective points than AIC and BIC count: both are descriptive. Held-out error is the test.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.curve_statistics import CurveStatistics
from overopt.analysis.held_out import (
    SPLITS,
    ScoreCurve,
    Split,
    point_weights,
    predictions,
    predictors,
    score_curve,
    splits,
    weighted_mean,
    within_limit,
)
from overopt.analysis.intervals import Intervals, without_seeds
from overopt.config.analysis import AnalysisConfig
from overopt.theory.form_fits import FormFit, fit_form, form_peak
from overopt.theory.forms import FORMS

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

PARAMETERS = ("alpha", "beta", "gamma", "log_alpha", "log_beta")
QUANTITIES = (
    *PARAMETERS,
    *("rmse", "r2", "aic", "bic", "peak_sqrt_kl", "peak_score", "near_origin_error"),
    *(f"{split}_{error}" for split in SPLITS for error in ("rmse", "error")),
)
NEAR_ORIGIN = 0.1  # of the largest fitted sqrt(KL)


@dataclass(frozen=True)
class FormStatistics:
    """Forms of one score on every curve, from the data and from every bootstrap replicate.

    Attributes
    ----------
    score
        "gold" or "proxy".
    groups
        One row per curve, as in `CurveStatistics`, and num_fitted (points of the whole fit).
    values
        For each of QUANTITIES shape (1 + replicates, curves, predictors), row 0 the estimate;
        NaN where a form has no such number. Scores in initial-policy sd of gold, KL in nats.
        Errors are the score minus what the form says: `near_origin_error` on average over the
        lowest tenth of the fitted sqrt(KL), `heldout_error` and `beyond_limit_error` over the
        held-out points, of which `..._rmse` is the root mean square.
    observed
        peak_sqrt_kl, peak_score of the curve itself, shape (1 + replicates, curves). As in
        `curve_statistics`, the height in replicates is read where the data have their peak.
    points
        One row per curve, split, predictor and held-out point: columns curve, split, and those
        of `form_tables.extrapolation_table`.
    intervals
        Intervals of statistics of these replicates.

    """

    score: str
    groups: pd.DataFrame
    values: dict[str, Array]
    observed: dict[str, Array]
    points: pd.DataFrame
    intervals: Intervals


def compare_forms(
    statistics: CurveStatistics, score: str, initial: Array, config: AnalysisConfig
) -> FormStatistics:
    """Fit every form to `score` of every curve, and ask it for the points it has not seen.

    Parameters
    ----------
    statistics
        Of the curves.
    score
        "gold" or "proxy".
    initial
        The score of each curve's own policy before optimization, shape (1 + replicates, curves),
        from `curve_statistics.initial_scores`; fits are of the gain from there.
    config
        `max_fit_kl` limits the fits of PPO.

    """
    num_replicates, num_curves = initial.shape
    shape = (num_replicates, num_curves, len(predictors()))
    values = {name: np.full(shape, np.nan) for name in QUANTITIES}
    observed = {name: np.full(shape[:2], np.nan) for name in ("peak_sqrt_kl", "peak_score")}
    num_fitted, tables = [], []
    for column, group in enumerate(statistics.curves):
        method = str(statistics.groups["method"].iloc[column])
        curve, num_seeds = (
            score_curve(method, group, score, initial[:, column]),
            len(group.seed_moments),
        )
        whole = within_limit(curve, config)
        num_fitted.append(int(whole.sum()))
        _store(values, column, _whole_fits(curve, whole))
        for name, value in zip(observed, _observed_peak(curve), strict=True):
            observed[name][:, column] = value
        for name, split in splits(curve, config).items():
            predicted = predictions(curve, split)
            _store(values, column, _held_out_errors(curve, split, predicted, name))
            points = _point_rows(curve, split, predicted, statistics.intervals, num_seeds)
            tables.append(points.assign(curve=column, split=name))
        for numbers in (*values.values(), *observed.values()):
            numbers[:, column] = without_seeds(numbers[:, column], num_seeds)
    columns = ["curve", "split", "form"]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
    groups = statistics.groups.assign(num_fitted=num_fitted)
    return FormStatistics(score, groups, values, observed, table, statistics.intervals)


def _whole_fits(curve: ScoreCurve, is_fitted: BoolArray) -> dict[str, dict[str, Array]]:
    """By quantity and form: parameters, in-sample errors and peaks."""
    weights = point_weights(curve, is_fitted)
    result: dict[str, dict[str, Array]] = {}
    for name, form in FORMS.items():
        fit = fit_form(form, curve.sqrt_kl, curve.gain, weights)
        numbers = {parameter: getattr(fit, parameter) for parameter in PARAMETERS}
        numbers |= _in_sample(curve, weights, fit)
        numbers["peak_sqrt_kl"], numbers["peak_score"] = form_peak(fit)
        for quantity, value in numbers.items():
            result.setdefault(quantity, {})[name] = value
    return result


def _in_sample(curve: ScoreCurve, weights: Array, fit: FormFit) -> dict[str, Array]:
    d = np.where(weights > 0, curve.sqrt_kl, 1.0)
    residual = np.where(weights > 0, curve.gain - fit.predict(d), 0.0)
    count = weights.sum(axis=1)
    squares = np.where(np.isfinite(fit.first), (residual**2).sum(axis=1), np.nan)
    total = (weights * (curve.gain - weighted_mean(curve.gain, weights)[:, None]) ** 2).sum(axis=1)
    is_inexact = (squares > 0) & (count > 0)  # else there is no likelihood
    variance = np.where(is_inexact, squares, np.nan) / np.where(is_inexact, count, 1)
    deviance = count * np.log(variance)
    num_estimated = fit.form.num_parameters + 1  # and the variance
    is_near = (weights > 0) & (d <= NEAR_ORIGIN * (weights * d).max(axis=1, keepdims=True))
    return {
        "rmse": np.sqrt(weighted_mean(residual**2, weights)),
        "r2": 1 - squares / np.where(total > 0, total, np.nan),
        "aic": deviance + 2 * num_estimated,
        "bic": deviance + np.log(np.maximum(count, 1)) * num_estimated,
        "near_origin_error": weighted_mean(residual, is_near.astype(np.float64)),
    }


def _held_out_errors(
    curve: ScoreCurve, split: Split, predicted: Mapping[str, Array], name: str
) -> dict[str, dict[str, Array]]:
    held_out = curve.gain[:, split.is_held_out]
    weights = np.isfinite(curve.sqrt_kl[:, split.is_held_out]).astype(np.float64)
    errors = {form: held_out - value for form, value in predicted.items()}
    return {
        f"{name}_rmse": {form: np.sqrt(weighted_mean(e**2, weights)) for form, e in errors.items()},
        f"{name}_error": {form: weighted_mean(e, weights) for form, e in errors.items()},
    }


def _observed_peak(curve: ScoreCurve) -> tuple[Array, Array]:
    where_reached = np.where(np.isfinite(curve.sqrt_kl), curve.gain, -np.inf)
    own = np.argmax(where_reached, axis=1)[:, None]
    return np.take_along_axis(curve.sqrt_kl, own, 1)[:, 0], curve.gain[:, own[0, 0]]


def _point_rows(
    curve: ScoreCurve,
    split: Split,
    predicted: Mapping[str, Array],
    intervals: Intervals,
    num_seeds: int,
) -> pd.DataFrame:
    """One row per predictor and held-out point, with intervals over replicates."""
    d, actual = curve.sqrt_kl[:, split.is_held_out], curve.gain[:, split.is_held_out]
    actual = np.where(np.isfinite(d), actual, np.nan)
    fit_max_kl = curve.sqrt_kl[0, split.is_fitted].max() ** 2

    def columns(name: str, values: Array) -> dict[str, Array]:
        return intervals.columns(name, without_seeds(values, num_seeds))

    shared = {"sqrt_kl": d[0], "fit_max_kl": fit_max_kl} | columns("actual", actual)
    tables = [
        pd.DataFrame(
            {"form": form}
            | shared
            | columns("predicted", values)
            | columns("error", actual - values)
        )
        for form, values in predicted.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _store(values: dict[str, Array], column: int, numbers: dict[str, dict[str, Array]]) -> None:
    names = predictors()
    for quantity, by_form in numbers.items():
        for form, value in by_form.items():
            values[quantity][:, column, names.index(form)] = value
