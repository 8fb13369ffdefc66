"""Predictions on proxies whose error is known: gold plus noise of light and of heavy tails."""

import numpy as np
import numpy.typing as npt

from overopt.claims.evidence import NotRun
from overopt.claims.verdicts import Condition, Finding
from overopt.predictions.evidence import PoolEvidence
from overopt.predictions.registry import prediction
from overopt.randomness import numpy_generator
from overopt.theory.best_of_n import best_of_n_scores

Array = npt.NDArray[np.float64]

NUM_DRAWS = 8
"""Noises drawn for each tail; gold is averaged over them."""
SMALL_N, MIDDLE_N, LARGE_N = 16, 64, 1000


@prediction(
    "B23",
    title="The tail of the error decides",
    says="With a proxy of gold plus noise of equal variance, best-of-n rises to n = 1,000 if the "
    "noise "
    "is normal, and falls after n = 64 if it has the tail of Student's t with 3 degrees of "
    "freedom.",
    source="Kwa et al. 2024, arXiv 2407.14503; computed for a normal gold",
    expected="gold at n = 1,000 minus that at n = 64 above 0 for normal noise, below 0 for t "
    "with 3",
)
def tails_decide(evidence: PoolEvidence) -> Finding:
    """Change of gold from n = 64 to n = 1,000, by the tail of the noise."""
    if evidence.pool.gold.shape[1] < LARGE_N:
        raise NotRun(f"a pool of {evidence.pool.gold.shape[1]} responses; {LARGE_N} are needed")
    weights = evidence.statistics.resamples.prompt_weights
    changes = {name: weights @ _change(evidence, name) for name in ("normal", "t3")}
    words = f"gold at n = {LARGE_N:,} minus that at n = {MIDDLE_N}, proxy with noise of"
    return Finding(
        [
            Condition(f"{words} normal tails (sd)", changes["normal"], low=0),
            Condition(f"{words} tails of t with 3 degrees of freedom (sd)", changes["t3"], high=0),
        ]
    )


def _change(evidence: PoolEvidence, tail: str) -> Array:
    """Mean change of gold by prompt, shape (Q,)."""
    gold = evidence.pool.gold
    rng = numpy_generator(evidence.seed, f"tails/{tail}")
    total = np.zeros(len(gold))
    for _ in range(NUM_DRAWS):
        if tail == "normal":
            noise = rng.standard_normal(gold.shape)
        else:
            noise = rng.standard_t(3, gold.shape) / np.sqrt(3)  # the variance of t3 is 3
        best = best_of_n_scores(gold + noise, {"gold": gold}, [MIDDLE_N, LARGE_N])["gold"]
        total += best[:, 1] - best[:, 0]
    return total / NUM_DRAWS
