"""
Resampling of prompts and seeds, shared by all cells of a study.

The points of one curve come from one pool of responses or one run, so they are not independent;
prompts and seeds are. Every replicate uses the same resampled prompts in every cell, and the same
resampled seeds in all cells that have them: contrasts between cells are paired.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

DRAWS_PER_SEED = 32


@dataclass(frozen=True)
class Resamples:
    """Row 0 is the data as they are, rows 1, 2, ... are bootstrap replicates.

    `prompt_weights` has shape (1 + replicates, Q), rows sum to 1. `seed_draws` has shape
    (replicates, draws): seed values, drawn with replacement from those of the whole study.
    """

    prompt_weights: Array
    seed_draws: npt.NDArray[np.int64]

    def seed_weights(self, seeds: Sequence[int]) -> Array:
        """Weights of a cell group's distinct seeds, shape (1 + replicates, len(seeds)).

        The first k - 1 draws that are among the k `seeds`, so that groups share the draws of the
        seeds they share; one seed keeps its weight. Rows sum to 1.

        k - 1 draws, not k (Rao and Wu 1988): with k the variance of a mean over seeds would come
        out (k - 1) / k of what it is, a third short at three seeds; with k - 1 it is right on
        average. It still rests on k seeds, and may be far off in one study: tests and intervals
        that matter need Student's t, as `overopt.claims.significance` has it. One seed shows
        nothing of the variance between seeds: its intervals are over prompts only.
        """
        num_draws = max(len(seeds) - 1, 1)
        is_seed = self.seed_draws[:, :, None] == np.asarray(seeds)
        is_used = is_seed.any(axis=2).cumsum(axis=1) <= num_draws
        counts = (is_seed & is_used[:, :, None]).sum(axis=1)
        return (
            np.vstack([np.ones(len(seeds)), counts])
            / np.append(len(seeds), np.maximum(counts.sum(axis=1), 1))[:, None]
        )


def draw_resamples(
    num_prompts: int, seeds: Sequence[int], num_bootstrap: int, rng: np.random.Generator
) -> Resamples:
    """Draw `num_bootstrap` replicates of `num_prompts` prompts and of the study's `seeds`."""
    counts = rng.multinomial(num_prompts, np.full(num_prompts, 1 / num_prompts), num_bootstrap)
    weights = np.vstack([np.ones(num_prompts), counts]) / num_prompts
    distinct = np.unique(np.asarray(seeds, dtype=np.int64))
    draws = rng.choice(distinct, size=(num_bootstrap, DRAWS_PER_SEED * len(distinct)))
    return Resamples(weights, draws)


def percentile_interval(values: Array, confidence: float) -> tuple[Array, Array]:
    """Percentile interval over replicates: `values` of row 0, the estimate, are left out.

    `values` has shape (1 + replicates, ...). Replicates without a value (NaN) are left out; the
    interval is NaN where the estimate or every replicate is.
    """
    replicates, has_value = values[1:], np.isfinite(values[1:]).any(axis=0)
    has_value &= np.isfinite(values[0])
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(np.where(has_value, replicates, 0.0), [tail, 1 - tail], axis=0)
    return np.where(has_value, low, np.nan), np.where(has_value, high, np.nan)
