"""
Statistics of one curve that need no search for a maximum, in every bootstrap replicate.

The height of a curve's highest point minus its end can only be positive, and the choice of the
point favors noise. The change of a score between two fixed shares of the range has neither fault:
it is negative where a curve falls, positive where it rises, and 0 on average where it is level.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.group_curves import Cell, GroupCurve, cells_by_group
from overopt.analysis.intervals import without_seeds
from overopt.claims.evidence import Evidence
from overopt.config.cells import GROUP_KEYS

Array = npt.NDArray[np.float64]


def at_shares(curve: GroupCurve, score: str, shares: Sequence[float]) -> Array:
    """Score where sqrt(KL) is each share of its highest value, shape (1 + B, shares).

    Linear between points; every replicate has its own highest sqrt(KL).
    """
    return _interpolate(curve.sqrt_kl, curve.scores[score], shares)


def change_in_kl(curve: GroupCurve, score: str, start: float, end: float) -> Array:
    """Change of a score between two shares of the range of sqrt(KL), shape (1 + B,)."""
    at = at_shares(curve, score, (start, end))
    return at[:, 1] - at[:, 0]


def gold_change_in_proxy(curve: GroupCurve, start: float, end: float) -> Array:
    """Change of gold between two shares of the proxy score's range, shape (1 + B,).

    The proxy score counts from its first point and as the highest up to each point.
    """
    proxy = curve.scores["proxy"] - curve.scores["proxy"][:, :1]
    rising = np.maximum.accumulate(np.where(np.isnan(curve.sqrt_kl), -np.inf, proxy), axis=1)
    rising = np.where(np.isnan(curve.sqrt_kl), np.nan, rising)
    at = _interpolate(rising, curve.scores["gold"], (start, end))
    return at[:, 1] - at[:, 0]


def changes_in_kl(
    evidence: Evidence, cells: pd.DataFrame, score: str, start: float, end: float
) -> Array:
    """`change_in_kl` of every cell, shape (1 + B, cells)."""
    curves = (evidence.statistics.curves[column] for column in cells.index)
    return np.stack([change_in_kl(curve, score, start, end) for curve in curves], axis=1)


def kl_at_steps(evidence: Evidence, column: int, steps: Array) -> Array:
    """KL of a PPO cell at training steps, nats, shape (1 + B, steps): linear between evaluations.

    Mean over the runs; NaN beyond the end of a run (`last_common_step`).
    """
    runs = _runs(evidence, column)
    resamples = evidence.statistics.resamples
    seed_weights = resamples.seed_weights([run.seed for run in runs], runs[0].proxy_size)
    total = np.zeros((len(seed_weights), len(steps)))
    for run, weight in zip(runs, seed_weights.T, strict=True):
        kl = resamples.prompt_weights @ run.kl.T
        at = [np.interp(steps, run.points, row, right=np.nan) for row in kl]
        total += weight[:, None] * np.stack(at)
    return without_seeds(total, len(runs))


def last_common_step(evidence: Evidence, column: int) -> int:
    """The training step at which the first of a PPO cell's runs ends, by KL or by its length."""
    return min(int(max(run.points)) for run in _runs(evidence, column))


def _runs(evidence: Evidence, column: int) -> list[Cell]:
    keys = evidence.statistics.groups.loc[column, GROUP_KEYS]
    rows = evidence.curves[(evidence.curves[GROUP_KEYS] == keys).all(axis=1)]
    ((_, runs),) = cells_by_group(rows)
    return runs


def _interpolate(x: Array, y: Array, shares: Sequence[float]) -> Array:
    """Rows of `y` where rows of `x` (rising, NaN at the end) are shares of their highest value."""
    result = np.full((len(x), len(shares)), np.nan)
    for row, (xs, ys) in enumerate(zip(x, y, strict=True)):
        is_known = ~np.isnan(xs)
        if is_known.any():  # a cell with one seed has no replicates
            xs, ys = xs[is_known], ys[is_known]
            result[row] = np.interp(np.asarray(shares) * xs[-1], xs, ys)
    return result
