"""
Intervals of statistics over prompts and reward-model seeds, from bootstrap replicates.

A statistic varies with the prompts and with the seeds, and a study has many prompts but few seeds.
Its variance over the replicates, V = V_s + V_p, is right on average, but V_s rests on k seeds of
each proxy size. So an interval is the estimate plus and minus t(df) sqrt(V), with Satterthwaite's
degrees of freedom of the sum,

    df = V^2 / (V_s^2 / f + V_p^2 / (Q - 1))

for Q prompts. Sizes have seeds of their own, V_s = sum_j V_j, so f is in turn
(sum_j V_j)^2 / sum_j V_j^2 / (k - 1): k - 1 = 2 where one size decides, up to 14 for a mean over
seven sizes with three seeds. V_j is the variance of the replicates that goes with the seeds of size
j, by regression on what was drawn.

Percentiles of the replicates know nothing of k: they are too short with few seeds, and with one
they hold the prompts alone. One seed shows nothing of the variance between seeds, so a statistic of
a cell with one seed has no interval: its replicates are NaN (`without_seeds`).

That sizes are independent holds by construction (a job's random stream derives from its size and
seed) but for the subset of the comparisons, which sizes share below the full number.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from overopt.analysis.bootstrap import Resamples

Array = npt.NDArray[np.float64]

MAX_MISSING = 0.1
"""Share of replicates without a value above which there is no interval."""


class Spread(NamedTuple):
    """Standard error of statistics, and the degrees of freedom that it rests on; both (C,)."""

    standard_error: Array
    df: Array


def without_seeds(values: Array, num_seeds: int) -> Array:
    """Values (1 + B, ...) of cells with so many seeds; with one, the replicates are NaN.

    They would show the prompts alone. The estimate, row 0, stays.
    """
    if num_seeds > 1:
        return values
    result = np.full(values.shape, np.nan)
    result[0] = values[0]
    return result


@dataclass(frozen=True)
class Intervals:
    """Intervals from replicates that `resamples` made, with this coverage."""

    resamples: Resamples
    confidence: float

    def bounds(self, values: Array) -> tuple[Array, Array]:
        """Low and high end, each of the shape that follows in `values` (1 + B, ...).

        NaN where the estimate is, where more than a tenth of the replicates have no value, and
        where all replicates are the same.
        """
        flat = values.reshape(len(values), -1)
        spread = self.spread(flat)
        tail = (1 - self.confidence) / 2
        half = stats.t.isf(tail, spread.df) * spread.standard_error
        shape = values.shape[1:]
        return (flat[0] - half).reshape(shape), (flat[0] + half).reshape(shape)

    def columns(self, name: str, values: Array) -> dict[str, Array]:
        """Columns `name`, `name`_low, `name`_high: estimates with their `bounds`."""
        low, high = self.bounds(values)
        return {name: values[0], f"{name}_low": low, f"{name}_high": high}

    def spread(self, values: Array) -> Spread:
        """Standard errors of the statistics in the columns of `values` (1 + B, C), and their df."""
        error, df = np.full((2, values.shape[1]), np.nan)
        is_valid = np.isfinite(values[1:])
        is_whole = is_valid.all(axis=0) & np.isfinite(values[0])
        if is_whole.any():
            error[is_whole], df[is_whole] = self._spread(values[1:, is_whole], slice(None))
        has_gaps = ~is_whole & (1 - is_valid.mean(axis=0) <= MAX_MISSING) & np.isfinite(values[0])
        for column in np.flatnonzero(has_gaps):
            rows = is_valid[:, column]
            part = self._spread(values[1:, [column]][rows], rows)
            error[column], df[column] = part.standard_error[0], part.df[0]
        is_constant = error <= 1e-12 * np.maximum(1.0, np.abs(values[0]))
        return Spread(np.where(is_constant, np.nan, error), df)

    def _spread(self, y: Array, rows: slice | npt.NDArray[np.bool_]) -> Spread:
        """Of replicates (B', C) without gaps, those that `rows` selects."""
        error = y.std(axis=0)
        df_prompts = self.resamples.prompt_weights.shape[1] - 1.0
        df_seeds = len(self.resamples.seeds) - 1.0
        if df_seeds == 0:
            return Spread(error, np.full(len(error), df_prompts))
        x = self._indicators[rows]
        if len(y) <= x.shape[1]:  # too few replicates to tell the parts: as if seeds were all
            return Spread(error, np.full(len(error), df_seeds))
        coefficients = np.linalg.lstsq(x, y, rcond=None)[0]
        noise = ((y - x @ coefficients) ** 2).sum(axis=0) / (len(y) - x.shape[1])
        variance = y.var(axis=0, ddof=1)
        share = np.clip(1 - noise / np.where(variance > 0, variance, 1.0), 0, 1)
        k = int(df_seeds)
        parts = np.stack(
            [
                (x[:, 1 + j * k : 1 + (j + 1) * k] @ coefficients[1 + j * k : 1 + (j + 1) * k]).var(
                    0
                )
                for j in range(len(self.resamples.proxy_sizes))
            ]
        )
        parts = np.maximum(parts - noise * k / len(y), 0)  # what no dependence would show
        squares = (parts**2).sum(axis=0)
        f = k * np.where(squares > 0, parts.sum(axis=0) ** 2 / np.where(squares > 0, squares, 1), 1)
        return Spread(error, 1 / (share**2 / f + (1 - share) ** 2 / df_prompts))

    @cached_property
    def _indicators(self) -> Array:
        """Which seeds every replicate drew: ones, then for each size the weights of all but one."""
        resamples = self.resamples
        by_size = [
            resamples.seed_weights(resamples.seeds, size)[1:, 1:] for size in resamples.proxy_sizes
        ]
        return np.hstack([np.ones((len(resamples.prompt_weights) - 1, 1)), *by_size])


def prompt_columns(
    name: str, values: Array, num_prompts: int, confidence: float
) -> dict[str, Array]:
    """Columns `name`, `name`_low, `name`_high of a statistic that no reward-model seed enters.

    `values` is (1 + B, ...), its replicates over `num_prompts` prompts: t with Q - 1 df.
    """
    half = stats.t.isf((1 - confidence) / 2, num_prompts - 1) * values[1:].std(axis=0)
    return {name: values[0], f"{name}_low": values[0] - half, f"{name}_high": values[0] + half}
