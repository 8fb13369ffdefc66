"""Tables of the rival forms, and the job that writes them (Gao et al. 2022, appendix B)."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.curve_statistics import CurveStatistics, initial_scores
from overopt.analysis.form_comparison import (
    FormStatistics,
    compare_forms,
)
from overopt.analysis.held_out import predictors
from overopt.analysis.intervals import Intervals
from overopt.analysis.kl_comparison import kl_differences
from overopt.analysis.statistics import deep_statistics, study_statistics
from overopt.config.analysis import AnalysisSettings
from overopt.config.cells import GROUP_KEYS
from overopt.config.methods import METHODS
from overopt.jobs.job import Job

Array = npt.NDArray[np.float64]

COMPARED_ERRORS = ("rmse", "heldout_rmse", "beyond_limit_rmse")
WITH_INTERVAL = (
    *("alpha", "beta", "gamma", "log_alpha", "log_beta"),
    *("peak_sqrt_kl", "peak_score", "near_origin_error"),
    *("heldout_error", "beyond_limit_error"),
)
WITHOUT_INTERVAL = ("r2", "aic", "bic")


def tabulate_forms(
    job: Job,
    settings: AnalysisSettings,
    curves_file: Path,
    deep_curves_file: Path,
    forms: Path,
    extrapolation: Path,
    kl_estimate: Path,
) -> None:
    """Fit rival forms to all curves, compare the KL of best-of-n with its estimate; write tables.

    `is_deep` tells rows of `deep_curves_file` (best-of-n beyond n = 1,000, on fewer prompts) from
    those of the curves.
    """
    curves, deep_curves = pd.read_parquet(curves_file), pd.read_parquet(deep_curves_file)
    sources = {False: curves} | ({True: deep_curves} if len(deep_curves) else {})
    form_parts, point_parts, kl_parts = [], [], []
    for is_deep, source in sources.items():
        compute = deep_statistics if is_deep else study_statistics
        statistics = compute(source, settings.analysis, settings.seed)
        compared = study_forms(source, statistics, settings)
        form_parts.append(pd.concat([form_table(c) for c in compared]).assign(is_deep=is_deep))
        point_parts.append(
            pd.concat([extrapolation_table(c) for c in compared]).assign(is_deep=is_deep)
        )
        differences = kl_differences(source, statistics, settings.analysis)
        kl_parts.append(differences.assign(is_deep=is_deep))
    tables = {forms: form_parts, extrapolation: point_parts, kl_estimate: kl_parts}
    for path, parts in tables.items():
        table = pd.concat(parts, ignore_index=True)
        table.to_csv(path, index=False, float_format="%.9g")
        print(f"{path.name}: {len(table)} rows")


def study_forms(
    curves: pd.DataFrame, statistics: CurveStatistics, settings: AnalysisSettings
) -> list[FormStatistics]:
    """Compare forms of gold and of proxy scores on every curve, in this order."""
    return [
        compare_forms(
            statistics, score, initial_scores(curves, statistics, score), settings.analysis
        )
        for score in ("gold", "proxy")
    ]


def form_table(forms: FormStatistics) -> pd.DataFrame:
    """One row per curve and predictor: parameters, errors and peaks with intervals.

    Columns: the cell; score (gold or proxy); form (overopt.theory.forms, then the two
    predictors without a form, last_value and straight_line, which have held-out errors only);
    num_seeds, num_prompts, num_fitted;
    alpha, beta, gamma, log_alpha, log_beta (overopt.theory.form_fits.FormFit);
    r2, aic, bic (descriptive: points of a curve are not independent);
    rmse, heldout_rmse, beyond_limit_rmse (overopt.analysis.held_out; initial-policy sd), and each
    of them minus that of the method's own form, ..._excess, paired; heldout_error,
    beyond_limit_error: mean of score minus prediction; near_origin_error;
    peak_kl, peak_score of the form, peak_share of the replicates in which it has a peak (an
    interval is over those); observed_peak_kl, observed_peak_score of the curve. All but counts, r2,
    aic, bic and peak_share have _low and _high, over prompts and seeds. A bootstrap
    RMSE is biased upwards, as replicates add noise; in an excess most of that cancels.
    """
    num_curves, num_forms = len(forms.groups), len(predictors())
    table = forms.groups.loc[forms.groups.index.repeat(num_forms), GROUP_KEYS]
    table = table.reset_index(drop=True).assign(score=forms.score)
    columns: dict[str, object] = {"form": predictors() * num_curves}
    for name in ("num_seeds", "num_prompts", "num_fitted"):
        columns[name] = np.repeat(forms.groups[name].to_numpy(), num_forms)
    columns |= {name: forms.values[name][0].ravel() for name in WITHOUT_INTERVAL}
    for name in (*COMPARED_ERRORS, *WITH_INTERVAL):
        columns |= _with_interval(name, forms.values[name], forms.intervals)
    for name in COMPARED_ERRORS:
        columns |= _with_interval(f"{name}_excess", excess(forms, name), forms.intervals)
    has_peak = np.isfinite(forms.values["peak_sqrt_kl"][1:])
    columns["peak_share"] = has_peak.mean(axis=0).ravel()
    for name, values in forms.observed.items():
        repeated = np.repeat(values, num_forms, axis=1)
        columns |= _with_interval(f"observed_{name}", repeated, forms.intervals)
    return _in_nats(table.assign(**columns))


def excess(forms: FormStatistics, error: str) -> Array:
    """`error` of each predictor minus that of the method's own form (the paper's), paired.

    Shape (1 + replicates, curves, predictors): positive where the paper's form is better.
    """
    values = forms.values[error]
    names = predictors()
    own = [names.index(METHODS[method].form) for method in forms.groups["method"]]
    return values - np.take_along_axis(values, np.array(own)[None, :, None], axis=2)


def extrapolation_table(forms: FormStatistics) -> pd.DataFrame:
    """One row per curve, split, predictor and held-out point.

    Columns: the cell; score; split (heldout, beyond_limit: overopt.analysis.held_out); form;
    sqrt_kl; fit_max_kl, the largest KL the form was fitted to; actual, predicted and error (actual
    minus predicted, paired), each with _low and _high. Scores count from the curve's own initial
    policy, in initial-policy sd.
    """
    names = ["split", "form", "sqrt_kl", "fit_max_kl"]
    for column in ("actual", "predicted", "error"):
        names += [column, f"{column}_low", f"{column}_high"]
    points = forms.points.reindex(columns=["curve", *names])
    cells = forms.groups[GROUP_KEYS].assign(score=forms.score)
    return points.merge(cells, left_on="curve", right_index=True)[[*GROUP_KEYS, "score", *names]]


def _with_interval(name: str, values: Array, intervals: Intervals) -> dict[str, Array]:
    return intervals.columns(name, values.reshape(len(values), -1))


def _in_nats(table: pd.DataFrame) -> pd.DataFrame:
    """Replace the columns of sqrt(KL) at peaks by KL."""
    for column in [name for name in table if "peak_sqrt_kl" in str(name)]:
        table[column] = table[column] ** 2
    return table.rename(columns=lambda name: str(name).replace("peak_sqrt_kl", "peak_kl"))
