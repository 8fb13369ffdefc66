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
        average. It still rests on k seeds, and may be far off in one study: so intervals need
        Student's t (`overopt.analysis.intervals`). One seed shows nothing of the variance between
        seeds.
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
