"""
Best-of-n from one pool of responses per prompt (Gao et al. 2022, section 2).

The response with the highest proxy score among n is the optimized policy. The unbiased
estimator of WebGPT (Nakano et al. 2021, appendix I) uses the whole pool for every n at once.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

FloatArray = npt.NDArray[np.floating]


def best_of_n_weights(num_responses: int, ns: Sequence[int]) -> npt.NDArray[np.float64]:
    """Weight of each response of a sorted pool: C(i - 1, n - 1) / C(N, n) (WebGPT, appendix I).

    Returns shape (N, len(ns)), N = `num_responses`; row i - 1 is the response with the i-th
    lowest proxy score, and its weight the probability that it is the best of n drawn without
    replacement. Columns sum to 1. Raises ValueError unless 1 <= n <= N for every n.
    """
    if invalid := [n for n in ns if not 1 <= n <= num_responses]:
        raise ValueError(
            f"n = {invalid[0]} cannot be estimated from a pool of {num_responses} responses per "
            f"prompt; n must lie between 1 and {num_responses}"
        )
    rank = np.arange(1, num_responses + 1)[:, None]
    n = np.asarray(ns)[None, :]
    below = np.maximum(rank - n, 0)
    log_weights = _log_choose(rank - 1, rank - 1 - below) - _log_choose(num_responses, n)
    weights = np.where(rank >= n, np.exp(log_weights), 0.0)
    return weights / weights.sum(axis=0)  # log-gamma rounds at 1e-10 for a pool of 60,000


def best_of_n_scores(
    proxy_scores: FloatArray, scores: Mapping[str, FloatArray], ns: Sequence[int]
) -> dict[str, npt.NDArray[np.float64]]:
    """Estimate the score of the response with the highest proxy score among n, for all n, unbiased.

    `sum_i C(i - 1, n - 1) / C(N, n) score(S_i)` over the pool sorted by proxy score (WebGPT,
    appendix I), which equals the average over all subsets of size n. Responses that tie on the
    proxy share their weight: each is chosen with equal probability.

    Parameters
    ----------
    proxy_scores
        Shape (Q, N): N responses to each of Q prompts. Only their order within a prompt matters.
    scores
        Scores to average, by name, each of shape (Q, N): gold, proxy, or any other.
    ns
        Values of n, each between 1 and N. At n = N a single subset is left, so the variance is
        that of one draw; a pool of N >= 4 n is advisable.

    Returns
    -------
    By name, shape (Q, len(ns)), in the units of the scores.

    Raises
    ------
    ValueError
        If n is out of range, shapes differ, or a proxy score is NaN (it has no rank).

    """
    _check_scores(proxy_scores, scores)
    num_prompts, num_responses = proxy_scores.shape
    weights = best_of_n_weights(num_responses, ns)
    result = np.empty((len(scores), num_prompts, len(ns)))
    pool = np.empty((len(scores), num_responses))
    for prompt, proxy in enumerate(proxy_scores):  # one row at a time stays in the cache
        order = np.argsort(proxy)
        for row, values in zip(pool, scores.values(), strict=True):
            row[:] = values[prompt][order]
        _average_ties(proxy[order], pool)
        result[:, prompt] = pool @ weights
    return dict(zip(scores, result, strict=True))


def _log_choose(n: npt.ArrayLike, k: npt.ArrayLike) -> npt.NDArray[np.float64]:
    n, k = np.asarray(n), np.asarray(k)
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


def _average_ties(sorted_proxy: FloatArray, pool: npt.NDArray[np.float64]) -> None:
    """Replace, in place, scores of responses with equal proxy scores by their average."""
    is_first = np.concatenate(([True], sorted_proxy[1:] != sorted_proxy[:-1]))
    if is_first.all():
        return
    starts = np.flatnonzero(is_first)
    sizes = np.diff(starts, append=len(sorted_proxy))
    pool[:] = np.repeat(np.add.reduceat(pool, starts, axis=1) / sizes, sizes, axis=1)


def _check_scores(proxy_scores: FloatArray, scores: Mapping[str, FloatArray]) -> None:
    if proxy_scores.ndim != 2:
        raise ValueError(f"proxy_scores has shape {proxy_scores.shape}; expected (prompts, N)")
    for name, values in scores.items():
        if values.shape != proxy_scores.shape:
            raise ValueError(
                f"scores[{name!r}] has shape {values.shape}; expected that of proxy_scores, "
                f"{proxy_scores.shape}"
            )
    if np.isnan(proxy_scores).any():
        raise ValueError("proxy_scores holds NaN, which cannot be ranked")
