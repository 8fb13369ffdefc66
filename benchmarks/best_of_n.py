"""
The best-of-n estimator on a large pool, against a straightforward exact implementation.

The straightforward one computes the binomial coefficients as exact integers, value by value, as the
formula stands (WebGPT, appendix I). It takes hours for the whole pool, so it is timed on a few
prompts and values of n, and its time for the whole is that times their number.
"""

from collections.abc import Sequence
from math import comb
from typing import Any

import numpy as np
from benchmarks.materials import Materials, Setup
from benchmarks.timing import cpu_seconds, spread

from overopt.theory.best_of_n import best_of_n_scores
from overopt.theory.kl import default_ns

TARGET_SECONDS = 1.0
NUM_PROMPTS, NUM_RESPONSES = 1_000, 12_600


def straightforward(
    proxy_scores: np.ndarray, gold_scores: np.ndarray, ns: Sequence[int]
) -> np.ndarray:
    """Sum over the sorted pool of C(i - 1, n - 1) / C(N, n) score_i, in exact integers; (Q, ns).

    Scores have to be distinct within a prompt: the formula has no ties.
    """
    num_prompts, number = proxy_scores.shape
    result = np.empty((num_prompts, len(ns)))
    for prompt in range(num_prompts):
        ranked = gold_scores[prompt][np.argsort(proxy_scores[prompt])].tolist()
        for column, n in enumerate(ns):
            total, ways = comb(number, n), 1  # ways = C(i - 1, n - 1), from i = n up
            estimate = 0.0
            for rank in range(n, number + 1):
                estimate += ways / total * ranked[rank - 1]  # Python rounds once
                ways = ways * rank // (rank - n + 1)
            result[prompt, column] = estimate
    return result


def measure(setup: Setup, materials: Materials) -> dict[str, Any]:
    """CPU seconds of the whole pool, by ours for a curve's n and for every n, and by the other."""
    num_prompts, number = (4, 50) if setup.is_quick else (NUM_PROMPTS, NUM_RESPONSES)
    rng = np.random.default_rng(0)
    proxy = rng.standard_normal((num_prompts, number)).astype(np.float32)
    gold = (proxy + rng.standard_normal(proxy.shape)).astype(np.float32)
    ns = default_ns(number)
    curve = [
        cpu_seconds(lambda: best_of_n_scores(proxy, {"gold": gold}, ns))
        for _ in range(setup.repeats)
    ]
    every_n = list(range(1, number + 1))
    every = [
        cpu_seconds(lambda: best_of_n_scores(proxy, {"gold": gold}, every_n))
        for _ in range(setup.repeats)
    ]
    sample, few = [1, 3, number // 4, number - 1], 1
    distinct = np.argsort(rng.random((few, number)), axis=1).astype(np.float64)
    slow_seconds = cpu_seconds(lambda: straightforward(distinct, gold[:few], sample))
    exact = straightforward(distinct, gold[:few], sample)
    fast = best_of_n_scores(distinct, {"gold": gold[:few]}, sample)["gold"]
    per_value = slow_seconds / (few * len(sample))
    return {
        "num_prompts": num_prompts,
        "num_responses": number,
        "num_ns": len(ns),
        "curve_seconds": spread(curve),
        "every_n_seconds": spread(every),
        "straightforward_seconds": per_value * num_prompts * len(ns),
        "straightforward_timed_values": few * len(sample),
        "largest_difference": float(np.abs(exact - fast).max()),
        "target": TARGET_SECONDS,
    }
