"""
Resampling of prompts and seeds, shared by all cells of a study.

The points of one curve come from one pool of responses or one run, so they are not independent;
prompts and seeds are. Every replicate uses the same resampled prompts in every cell. A proxy RM's
seed sets its backbone, its training and the PPO against it, each from a random stream of its own
size: so seeds are resampled size by size, and alike in all cells of one size. Contrasts between
cells of one size are paired in seeds, all contrasts in prompts.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

DRAWS_PER_SEED = 32


@dataclass(frozen=True)
class Resamples:
    """Row 0 is the data as they are, rows 1, 2, ... are bootstrap replicates.

    `prompt_weights` has shape (1 + replicates, Q), rows sum to 1. `seeds` are the distinct seeds of
    the study, `proxy_sizes` the sizes that have them; `entropy` makes the draws.
    """

    prompt_weights: Array
    seeds: tuple[int, ...]
    proxy_sizes: tuple[str, ...]
    entropy: int

    def seed_draws(self, proxy_size: str = "") -> npt.NDArray[np.int64]:
        """Seeds drawn with replacement for the RMs of one size, shape (replicates, draws).

        A size has the same draws whichever other sizes the study has.
        """
        rng = np.random.default_rng([self.entropy, zlib.crc32(proxy_size.encode())])
        shape = (len(self.prompt_weights) - 1, DRAWS_PER_SEED * len(self.seeds))
        return rng.choice(np.asarray(self.seeds, dtype=np.int64), size=shape)

    def seed_weights(self, seeds: Sequence[int], proxy_size: str = "") -> Array:
        """Weights of the distinct seeds of a cell group, shape (1 + replicates, len(seeds)).

        The first k - 1 draws of its size that are among the k `seeds`, so that groups of one size
        share the draws of the seeds they share; one seed keeps its weight. Rows sum to 1.

        k - 1 draws, not k (Rao and Wu 1988): with k the variance of a mean over seeds would come
        out (k - 1) / k of what it is, a third short at three seeds; with k - 1 it is right on
        average. It still rests on k seeds, and may be far off in one study: tests and intervals
        that matter need Student's t, as `overopt.claims.significance` has it. One seed shows
        nothing of the variance between seeds: its intervals are over prompts only.
        """
        num_draws = max(len(seeds) - 1, 1)
        is_seed = self.seed_draws(proxy_size)[:, :, None] == np.asarray(seeds)
        is_used = is_seed.any(axis=2).cumsum(axis=1) <= num_draws
        counts = (is_seed & is_used[:, :, None]).sum(axis=1)
        return (
            np.vstack([np.ones(len(seeds)), counts])
            / np.append(len(seeds), np.maximum(counts.sum(axis=1), 1))[:, None]
        )


def draw_resamples(
    num_prompts: int,
    seeds: Sequence[int],
    num_bootstrap: int,
    rng: np.random.Generator,
    proxy_sizes: Sequence[str] = ("",),
) -> Resamples:
    """Draw `num_bootstrap` replicates of `num_prompts` prompts and of each size's `seeds`."""
    counts = rng.multinomial(num_prompts, np.full(num_prompts, 1 / num_prompts), num_bootstrap)
    weights = np.vstack([np.ones(num_prompts), counts]) / num_prompts
    entropy = int(rng.integers(2**63))
    sizes = tuple(sorted(set(proxy_sizes)))
    return Resamples(weights, tuple(sorted(set(map(int, seeds)))), sizes, entropy)


def percentile_interval(values: Array, confidence: float) -> tuple[Array, Array]:
    """Percentile interval over replicates: `values` of row 0, the estimate, are left out.

    `values` has shape (1 + replicates, ...). Replicates without a value (NaN) are left out; the
    interval is NaN where the estimate or every replicate is.
    """
    replicates, has_value = values[1:], np.isfinite(values[1:]).any(axis=0)
    has_value &= np.isfinite(values[0])
    tail = (1 - confidence) / 2
    replicates = np.where(has_value, replicates, 0.0)
    # `nanquantile` takes column after column, in several times the time.
    quantile = np.nanquantile if np.isnan(replicates).any() else np.quantile
    low, high = quantile(replicates, [tail, 1 - tail], axis=0)
    return np.where(has_value, low, np.nan), np.where(has_value, high, np.nan)


def interval_columns(name: str, values: Array, confidence: float) -> dict[str, Array]:
    """Columns `name`, `name`_low, `name`_high: estimates and their `percentile_interval`.

    `values` has shape (1 + replicates, ...), each column the shape that follows.
    """
    low, high = percentile_interval(values, confidence)
    return {name: values[0], f"{name}_low": low, f"{name}_high": high}
