"""
A curve's points split into those that a form is fitted to and those it is asked to predict.

- `heldout`: fitted to the lower part of the curve's own range, best-of-n to two thirds of the
  largest sqrt(KL) up to n = 1,000, PPO to half of the largest KL; every cell has it.
- `beyond_limit`: fitted to the range of the paper's fits, best-of-n to n = 1,000, PPO to
  `max_fit_kl` nats, and asked beyond; only curves that go further have it.

Beside the forms stand two predictors that know none: the last fitted value, and the straight line
through the upper half of the fitted points.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from overopt.analysis.group_curves import GroupCurve
from overopt.config.analysis import AnalysisConfig
from overopt.config.methods import METHODS
from overopt.theory.form_fits import fit_form
from overopt.theory.forms import FORMLESS, FORMS
from overopt.theory.kl import best_of_n_kl

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

SPLITS = ("heldout", "beyond_limit")
MIN_FITTED, MIN_HELD_OUT = 4, 2  # one more than the power form has parameters
PAPER_MAX_N = 1000
LOW_SQRT_KL_SHARE, LOW_KL_SHARE = 2 / 3, 1 / 2


def predictors() -> list[str]:
    """Names of all that predict held-out points: the forms, then those that know no form."""
    return [*FORMS, *FORMLESS]


class ScoreCurve(NamedTuple):
    """Gain in one score: `sqrt_kl`, `gain` (R, K) at the K points that are compared."""

    method: str
    sqrt_kl: Array
    gain: Array


class Split(NamedTuple):
    """Which of a curve's points are fitted and which predicted; each of shape (K,)."""

    is_fitted: BoolArray
    is_held_out: BoolArray


def score_curve(method: str, group: GroupCurve, score: str, initial: Array) -> ScoreCurve:
    """Points that every run of the cell reaches: beyond, runs that ended would flatten the mean."""
    num_seeds = group.points["num_seeds"]
    position = group.points["position"][num_seeds == num_seeds.max()].to_numpy()
    gain = group.scores[score][:, position] - initial[:, None]
    return ScoreCurve(method, group.sqrt_kl[:, position], gain)


def within_limit(curve: ScoreCurve, config: AnalysisConfig) -> BoolArray:
    """Whether a point enters the paper's fit: d > 0, up to n = 1,000 or `max_fit_kl`; (K,)."""
    d = curve.sqrt_kl[0]
    # best-of-n of 1,000 itself lies within, whatever its last digit
    limit = (
        config.max_fit_kl if METHODS[curve.method].is_binned else best_of_n_kl(PAPER_MAX_N) + 1e-9
    )
    return (d > 0) & (d**2 <= limit)


def splits(curve: ScoreCurve, config: AnalysisConfig) -> dict[str, Split]:
    """Splits of `SPLITS`, by name, for which the curve has enough points on both sides."""
    d, whole = curve.sqrt_kl[0], within_limit(curve, config)
    share = np.sqrt(LOW_KL_SHARE) if METHODS[curve.method].is_binned else LOW_SQRT_KL_SHARE
    reach = (
        np.nanmax(np.where(whole, d, 0)) if not METHODS[curve.method].is_binned else np.nanmax(d)
    )
    low = (d > 0) & (d <= share * reach)
    inside = whole if not METHODS[curve.method].is_binned else d > 0
    both = {
        "heldout": Split(low, inside & ~low),
        "beyond_limit": Split(whole, (d > 0) & ~whole),
    }
    return {
        name: split
        for name, split in both.items()
        if split.is_fitted.sum() >= MIN_FITTED and split.is_held_out.sum() >= MIN_HELD_OUT
    }


def point_weights(curve: ScoreCurve, is_used: BoolArray) -> Array:
    """1 at points that are used and that a replicate has."""
    return (is_used & np.isfinite(curve.sqrt_kl) & (curve.sqrt_kl > 0)).astype(np.float64)


def predictions(curve: ScoreCurve, split: Split) -> dict[str, Array]:
    """Predict gold at the held-out points, shape (R, held-out points), by name of the predictor."""
    weights = point_weights(curve, split.is_fitted)
    d = curve.sqrt_kl[:, split.is_held_out]
    predicted = {
        name: fit_form(form, curve.sqrt_kl, curve.gain, weights).predict(d)
        for name, form in FORMS.items()
    }
    last = np.flatnonzero(split.is_fitted)[-1]
    predicted["last_value"] = np.broadcast_to(curve.gain[:, [last]], d.shape)
    intercept, slope = _upper_half_line(curve, split.is_fitted, weights)
    predicted["straight_line"] = intercept[:, None] + slope[:, None] * d
    return predicted


def _upper_half_line(
    curve: ScoreCurve, is_fitted: BoolArray, weights: Array
) -> tuple[Array, Array]:
    """Least-squares line, with intercept, through the upper half of the fitted points."""
    fitted = np.flatnonzero(is_fitted)
    upper = fitted[len(fitted) // 2 :]
    w, y = weights[:, upper], curve.gain[:, upper]
    d = np.where(w > 0, curve.sqrt_kl[:, upper], 0.0)
    center, middle = weighted_mean(d, w), weighted_mean(y, w)
    spread = (w * (d - center[:, None]) ** 2).sum(axis=1)
    slope = (w * (d - center[:, None]) * y).sum(axis=1) / np.where(spread > 0, spread, np.nan)
    return middle - slope * center, slope


def weighted_mean(values: Array, weights: Array) -> Array:
    """Weighted mean of each row; NaN without weight. Values may be NaN where the weight is 0."""
    total = weights.sum(axis=1)
    weighted = np.where(weights > 0, values, 0.0) * weights
    return weighted.sum(axis=1) / np.where(total > 0, total, np.nan)
