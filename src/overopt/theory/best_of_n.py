"""
Best-of-n from one pool of responses per prompt (Gao et al. 2022, section 2).

The response with the highest proxy score among n is the optimized policy. The unbiased
estimator of WebGPT (Nakano et al. 2021, appendix I) uses the whole pool for every n at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

LEFT_OUT = 2.0**-53
"""Weight that the responses left out of a sum have together, at most: rounding takes as much.
An n needs about the 37 N / n best responses, which is few of them for most n."""
WIDEST_BLOCK = 1.2
"""Ratio of the numbers of responses that neighbouring n need, where they share a product."""
PROMPTS_AT_ONCE = 64
"""Prompts in one product: weights are read once for all of them."""


def best_of_n_weights(num_responses: int, ns: Sequence[int]) -> npt.NDArray[np.float64]:
    """Weight of each response of a sorted pool: C(i - 1, n - 1) / C(N, n) (WebGPT, appendix I).

    Returns shape (N, len(ns)), N = `num_responses`; row i - 1 is the response with the i-th
    lowest proxy score, and its weight the probability that it is the best of n drawn without
    replacement. Columns sum to 1. Raises ValueError unless 1 <= n <= N for every n.
    """
    _check_ns(num_responses, ns)
    return _weights_of_the_best(num_responses, np.asarray(ns), num_responses)


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
    _check_ns(num_responses, ns)
    blocks = list(_weight_blocks(num_responses, ns))
    result = np.empty((len(scores), num_prompts, len(ns)))
    pool = np.empty((len(scores), min(num_prompts, PROMPTS_AT_ONCE), num_responses))
    for start in range(0, num_prompts, PROMPTS_AT_ONCE):
        prompts = range(start, min(start + PROMPTS_AT_ONCE, num_prompts))
        for row, prompt in enumerate(prompts):
            order = np.argsort(proxy_scores[prompt])
            for number, values in enumerate(scores.values()):
                pool[number, row] = values[prompt][order]
            _average_ties(proxy_scores[prompt][order], pool[:, row])
        for columns, weights in blocks:
            best = pool[:, : len(prompts), -len(weights) :]
            result[:, prompts.start : prompts.stop, columns] = best @ weights
    return dict(zip(scores, result, strict=True))


def _weight_blocks(num_responses: int, ns: Sequence[int]) -> Iterator[tuple[slice, FloatArray]]:
    """Columns that need about as many of the best responses, and the weights of these responses.

    The best of n is outside the k best responses with a probability of at most (1 - k / N)^n.
    """
    n = np.asarray(ns)
    num_best = np.ceil(-num_responses * np.expm1(np.log(LEFT_OUT) / n)).astype(int)
    size_class = np.floor(np.log(num_best) / np.log(WIDEST_BLOCK))
    borders = [0, *(np.flatnonzero(np.diff(size_class)) + 1), len(n)]
    for start, stop in pairwise(borders):
        most = num_best[start:stop].max()
        yield slice(start, stop), _weights_of_the_best(num_responses, n[start:stop], most)


def _weights_of_the_best(
    num_responses: int, n: npt.NDArray[np.integer], num_best: int
) -> npt.NDArray[np.float64]:
    """The last `num_best` rows of `best_of_n_weights`.

    From the best response down: its weight is n / N, and that of a response with r others above
    it is (N - n - r + 1) / (N - r) of the weight before. Factorials would lose five digits.
    """
    num_above = np.arange(1, num_best)[:, None]
    weights = np.empty((num_best, len(n)))
    weights[0] = n / num_responses
    weights[1:] = np.maximum(num_responses - n - num_above + 1, 0) / (num_responses - num_above)
    np.cumprod(weights, axis=0, out=weights)
    return np.ascontiguousarray(weights[::-1])


def _average_ties(sorted_proxy: FloatArray, pool: npt.NDArray[np.float64]) -> None:
    """Replace, in place, scores of responses with equal proxy scores by their average."""
    is_first = np.concatenate(([True], sorted_proxy[1:] != sorted_proxy[:-1]))
    if is_first.all():
        return
    starts = np.flatnonzero(is_first)
    sizes = np.diff(starts, append=len(sorted_proxy))
    pool[:] = np.repeat(np.add.reduceat(pool, starts, axis=1) / sizes, sizes, axis=1)


def _check_ns(num_responses: int, ns: Sequence[int]) -> None:
    if invalid := [n for n in ns if not 1 <= n <= num_responses]:
        raise ValueError(
            f"n = {invalid[0]} cannot be estimated from a pool of {num_responses} responses per "
            f"prompt; n must lie between 1 and {num_responses}"
        )


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
