"""
How sure a statistic is inside or outside an interval, from its bootstrap replicates.

A statistic varies with the prompts and with the seeds, and a study has many prompts but few seeds.
Its variance in the bootstrap, V = V_s + V_p, is right on average, but V_s rests on k seeds of each
proxy size. So the deviation that counts as significant at level p is not a normal quantile times
sqrt(V), but

    sqrt(t(p; f)^2 V_s + t(p; Q - 1)^2 V_p)

with Student's t for Q prompts and for the seeds (as for two samples of unequal variance: Cochran
1964). Sizes have seeds of their own, V_s = sum_j V_j, so f is Satterthwaite's
(sum_j V_j)^2 / sum_j V_j^2 / (k - 1): k - 1 = 2 where one size decides, up to 14 for a mean over
seven sizes with three seeds. V_j is the variance of the replicates that goes with the seeds of size
j, by regression on what was drawn.

Measured at true values on the bound of a claim, for means over 1 to 7 sizes with 3 seeds, 64
prompts and V_p of none to as much as V_s (100,000 simulations each): share that is significant at
p = 0.025: 0.013 to 0.025, at 0.005: 0.001 to 0.005; only where prompts add nothing and one of seven
sizes has ten times the others' standard deviation 0.035 and 0.014. Percentiles of the bootstrap at
p = 0.025 (1,500 simulations, one size): 0.03 where only prompts vary, 0.11 where only seeds do. The
price is power where the seeds of one size dominate: t(0.025; 2) is 4.3.

That sizes are independent holds by construction (a job's random stream derives from its size and
seed) but for the subset of the comparisons, which sizes share below the full number. A cell with
one seed in a study of several adds nothing to V_s: its part is over prompts only.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from overopt.analysis.bootstrap import Resamples

Array = npt.NDArray[np.float64]

LOG_P = np.linspace(np.log(1e-12), np.log(0.5), 400)
TOO_FEW = " (too many bootstrap replicates are without a value for a test)"
MAX_MISSING = 0.1  # share of replicates without a value above which nothing is said


class Significance(NamedTuple):
    """Estimate, its interval, and one-sided p-values for being inside and outside an interval."""

    estimate: float
    low: float
    high: float
    p_support: float
    p_contradict: float
    remark: str = ""


class Reference(NamedTuple):
    """Share of the variance that goes with seeds, and the degrees of freedom of both parts."""

    share_of_seeds: float
    df_seeds: float
    df_prompts: float


class Draws(NamedTuple):
    """Which seeds some bootstrap replicates drew.

    `indicators` has a row for each replicate and, after a column of ones, k - 1 columns for each
    proxy size: the weights of all seeds but the first.
    """

    num_prompts: int
    num_seeds: int
    indicators: Array

    @classmethod
    def of(cls, resamples: Resamples, is_used: npt.NDArray[np.bool_]) -> "Draws":
        """Draws of the replicates that `is_used`, shape (B,), selects."""
        by_size = [
            resamples.seed_weights(resamples.seeds, size)[1:][is_used][:, 1:]
            for size in resamples.proxy_sizes
        ]
        ones = np.ones((int(is_used.sum()), 1))
        num_prompts = resamples.prompt_weights.shape[1]
        return cls(num_prompts, len(resamples.seeds), np.hstack([ones, *by_size]))


def significance(
    values: Array,
    low: float,
    high: float,
    resamples: Resamples | None,
    *,
    confidence: float,
    denominator: Array | None = None,
    is_exact: bool = False,
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
    resamples
        What made the replicates; None if they are independent simulations.
    confidence
        Coverage of the interval.
    denominator
        Of a ratio whose denominator is above 0; shape (1 + B,).
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
    if not is_valid[0] or 1 - is_valid.mean() > MAX_MISSING:
        is_ratio = denominator is not None and not unit[0] > 0
        remark = " (its denominator is not above 0: no test)" if is_ratio else TOO_FEW
        return Significance(estimate, np.nan, np.nan, 1.0, 1.0, remark)
    values, unit, deviation = values[is_valid], unit[is_valid], deviation[is_valid]
    draws = None if resamples is None else Draws.of(resamples, is_valid[1:])
    spread = float(deviation[1:].std()) / float(unit[0])
    if spread <= 1e-12 * max(1.0, abs(estimate)):
        remark = " (the same in all bootstrap replicates, as with one seed: no test)"
        return Significance(estimate, np.nan, np.nan, 1.0, 1.0, remark)
    half = spread * float(critical_value((1 - confidence) / 2, reference_of(deviation, draws)))
    p_low, p_high = (
        0.0 if np.isinf(bound) else _p_value(sign * (values - bound * unit), draws)
        for sign, bound in ((1, low), (-1, high))
    )
    sides = np.isfinite([low, high]).sum()
    outside = min(1.0, float(sides) * min(1 - p_low, 1 - p_high))
    return Significance(estimate, estimate - half, estimate + half, max(p_low, p_high), outside)


def _p_value(deviation: Array, draws: Draws | None) -> float:
    """Of `deviation` (1 + B,) if its true value were not above 0."""
    ratio = float(deviation[0]) / float(deviation[1:].std())
    return tail_probability(ratio, reference_of(deviation, draws))


def reference_of(values: Array, draws: Draws | None) -> Reference:
    """Share of the variance of `values[1:]`, shape (1 + B,), that goes with the seeds drawn.

    The adjusted R^2 of the replicates regressed on the seeds' weights, and Satterthwaite's degrees
    of freedom of the parts that go with each proxy size.
    """
    if draws is None:
        return Reference(0.0, np.inf, np.inf)
    if draws.num_seeds == 1:
        return Reference(0.0, np.inf, draws.num_prompts - 1)
    y, x = values[1:], draws.indicators
    coefficients = np.linalg.lstsq(x, y, rcond=None)[0]
    residual = y - x @ coefficients
    noise = (residual @ residual) / (len(y) - x.shape[1])
    share = float(np.clip(1 - noise / y.var(ddof=1), 0, 1))
    df = draws.num_seeds - 1
    parts = (x[:, 1:] * coefficients[1:]).reshape(len(y), -1, df).sum(axis=2).var(axis=0)
    parts = np.maximum(parts - noise * df / len(y), 0)  # what no dependence would show
    if parts.any():
        df *= float(parts.sum() ** 2 / (parts**2).sum())
    return Reference(share, df, draws.num_prompts - 1)


def critical_value(p: npt.ArrayLike, reference: Reference) -> Array:
    """What a statistic in standard errors exceeds with probability `p` < 0.5, at most."""
    of_seeds, of_prompts = (stats.t.isf(p, df) for df in (reference.df_seeds, reference.df_prompts))
    return _combine(of_seeds, of_prompts, reference)


def tail_probability(ratio: float, reference: Reference) -> float:
    """Probability of a statistic above `ratio` standard errors: `critical_value`, inverted."""
    if ratio < 0:
        return 1 - tail_probability(-ratio, reference)
    of_seeds, of_prompts = (
        _critical_on_grid(df) for df in (reference.df_seeds, reference.df_prompts)
    )
    critical = _combine(of_seeds, of_prompts, reference)
    return float(np.exp(np.interp(-ratio, -critical, LOG_P)))


def _combine(of_seeds: Array, of_prompts: Array, reference: Reference) -> Array:
    share = reference.share_of_seeds
    return np.sqrt(share * of_seeds**2 + (1 - share) * of_prompts**2)


def _critical_on_grid(df: float) -> Array:
    return stats.t.isf(np.exp(LOG_P), df)
