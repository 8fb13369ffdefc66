"""
How sure a statistic is inside or outside an interval, from its bootstrap replicates.

The deviation of an estimate from a bound, over its standard error, is compared with Student's t
with the degrees of freedom of `overopt.analysis.intervals`, as in every table. A statistic of cells
with one seed has no p-value (NaN). `tests/analysis/test_intervals.py`
measures the coverage.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from overopt.analysis.intervals import MAX_MISSING, Intervals, Spread

Array = npt.NDArray[np.float64]

TOO_FEW = " (too many bootstrap replicates are without a value for a test)"
ONE_SEED = " (of cells with one RM seed or one ensemble: a second would give an interval)"


class Significance(NamedTuple):
    """Estimate, its interval, and one-sided p-values for being inside and outside an interval."""

    estimate: float
    low: float
    high: float
    p_support: float
    p_contradict: float
    remark: str = ""


def significance(
    values: Array,
    low: float,
    high: float,
    intervals: Intervals,
    *,
    denominator: Array | None = None,
    is_exact: bool = False,
    is_simulated: bool = False,
) -> Significance:
    """p-values of `low < theta < high` and of its opposite, and theta's interval.

    From (estimate - bound) / s, s the standard deviation of the replicates, as told above.
    Inside both bounds: the larger of two one-sided tests (TOST). Outside one of two: twice the
    smaller. Of a ratio, values / denominator, not the ratio is compared with a bound but
    values - bound * denominator with 0 (Fieller 1954): replicates of a ratio whose denominator is
    near 0 show nothing of its error. Its interval is by the delta method.

    Parameters
    ----------
    values
        Shape (1 + B,): estimate, then replicates; NaN where a replicate has no value.
    low, high
        Bounds of the interval, each may be infinite.
    intervals
        Of the replicates.
    denominator
        Of a ratio whose denominator is above 0; shape (1 + B,).
    is_simulated
        The replicates are independent simulations of the estimator, not resampled prompts.
    is_exact
        No sampling error: the p-values are 0 and 1.

    """
    unit = np.ones_like(values) if denominator is None else denominator
    estimate = float(values[0] / unit[0]) if unit[0] > 0 else np.nan
    if is_exact:
        p = 0.0 if low < estimate < high else 1.0
        return Significance(estimate, np.nan, np.nan, p, 1 - p, " (exact)")
    deviation = values - estimate * unit
    is_valid = np.isfinite(deviation)
    if is_valid[0] and not is_valid[1:].any():
        return Significance(estimate, np.nan, np.nan, np.nan, np.nan, ONE_SEED)
    if not is_valid[0] or 1 - is_valid.mean() > MAX_MISSING:
        is_ratio = denominator is not None and not unit[0] > 0
        remark = " (its denominator is not above 0: no test)" if is_ratio else TOO_FEW
        return Significance(estimate, np.nan, np.nan, 1.0, 1.0, remark)
    spread = _spread(deviation, intervals, is_simulated)
    error = float(spread.standard_error[0]) / float(unit[0])
    if not np.isfinite(error):
        remark = " (the same in all bootstrap replicates: no test)"
        return Significance(estimate, np.nan, np.nan, 1.0, 1.0, remark)
    half = error * float(stats.t.isf((1 - intervals.confidence) / 2, spread.df[0]))
    p_low, p_high = (
        0.0
        if np.isinf(bound)
        else _p_value(sign * (values - bound * unit), intervals, is_simulated)
        for sign, bound in ((1, low), (-1, high))
    )
    sides = np.isfinite([low, high]).sum()
    outside = min(1.0, float(sides) * min(1 - p_low, 1 - p_high))
    return Significance(estimate, estimate - half, estimate + half, max(p_low, p_high), outside)


def _p_value(deviation: Array, intervals: Intervals, is_simulated: bool) -> float:
    """Of `deviation` (1 + B,) if its true value were not above 0."""
    spread = _spread(deviation, intervals, is_simulated)
    if np.isnan(spread.standard_error[0]):  # a difference that no replicate moves
        return float(deviation[0] <= 0)
    return float(stats.t.sf(deviation[0] / spread.standard_error[0], spread.df[0]))


def _spread(values: Array, intervals: Intervals, is_simulated: bool) -> Spread:
    """Standard error of one statistic and its df; infinite for independent simulations."""
    if is_simulated:
        error = np.array([np.nanstd(values[1:])])
        return Spread(np.where(error > 0, error, np.nan), np.array([np.inf]))
    return intervals.spread(values[:, None])
