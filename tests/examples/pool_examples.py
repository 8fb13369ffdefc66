"""A scored pool of known truth: proxies are gold with noise, the less the larger they are."""

import numpy as np

from overopt.analysis.scored_pool import ScoredPool, scored_proxy
from overopt.config.cells import DEFAULTS

SIZES = {"s1": 100, "s2": 1_000, "s3": 10_000, "s4": 50_000, "s5": 100_000}


def cell_of(size: str, seed: int) -> dict[str, object]:
    return {
        **DEFAULTS,
        "method": "best_of_n",
        "policy_size": "small",
        "proxy_size": size,
        "num_parameters": SIZES[size],
        "num_comparisons": 60_000,
        "seed": seed,
    }


def pool_of(
    correlations: dict[str, float],
    *,
    seeds: tuple[int, ...] = (0, 1),
    num_prompts: int = 24,
    num_responses: int = 400,
    shared_error: float = 0.0,
    scale: float = 1.0,
) -> ScoredPool:
    """Proxies with these within-prompt correlations with a normal gold.

    `shared_error` is the share of the error's variance that the seeds of a size have in common.
    """
    rng = np.random.default_rng(0)
    gold = rng.standard_normal((num_prompts, num_responses))
    gold -= gold.mean(axis=1, keepdims=True)
    proxies = []
    for size, rho in correlations.items():
        common = rng.standard_normal(gold.shape)
        for seed in seeds:
            own = rng.standard_normal(gold.shape)
            error = np.sqrt(shared_error) * common + np.sqrt(1 - shared_error) * own
            scores = scale * (rho * gold + np.sqrt(1 - rho**2) * error)
            proxies.append(scored_proxy(cell_of(size, seed), scores))
    return ScoredPool(gold, proxies)
