"""KL divergence of best-of-n from the initial policy, in nats (Gao et al. 2022, section 2)."""

import numpy as np
import numpy.typing as npt


def best_of_n_kl(n: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """KL of best-of-n from the initial policy: `log n - (n - 1) / n`, nats per sequence.

    Exact where no two responses tie on the proxy (Stiennon et al. 2020, appendix G.3), as with a
    continuous distribution of scores; an upper bound otherwise (Beirami et al. 2025): a policy
    that can only say L things cannot move further than log L. Elementwise, shape of `n`.
    """
    n = np.asarray(n, dtype=np.float64)
    return np.log(n) - (n - 1) / n


def estimated_best_of_n_kl(
    n: npt.ArrayLike, selected_logprobs: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Estimate of the KL of best-of-n that accounts for repeated responses (Beirami et al. 2025).

    With `e` the probability the initial policy gives to the selected response,
    `(1-e)^n (log n + (n-1) log(1-e) - (n-1)/n) + (1-(1-e)^n) log((1-(1-e)^n) / e)`; average it
    over selected responses. For e -> 0 it is `best_of_n_kl`.

    Parameters
    ----------
    n
        Number of responses drawn.
    selected_logprobs
        log e, nats per sequence, at most 0; broadcasts against `n`. Raises ValueError if above 0.

    """
    n = np.asarray(n, dtype=np.float64)
    logprobs = np.asarray(selected_logprobs, dtype=np.float64)
    if (logprobs > 0).any():
        raise ValueError(f"a log-probability is {logprobs.max()}, above 0")
    log_others = np.log1p(-np.exp(np.minimum(logprobs, -1e-15)))  # finite for e = 1 too
    some = -np.expm1(n * log_others)  # probability that the response is drawn at least once
    unrepeated = np.log(n) + (n - 1) * log_others - (n - 1) / n
    repeated = np.log(np.where(some > 0, some, 1)) - np.where(some > 0, logprobs, 0)
    return (1 - some) * unrepeated + some * repeated


def default_ns(max_n: int) -> list[int]:
    """Values of n at which curves are evaluated: about two a doubling, from 1 to `max_n`.

    Up to 1,000 these are 1, 2, 3, 4, 6, 8, 12, ..., 512, 768, 1000 (20 values); beyond, the same
    steps go on from 1,000, so that a curve to large n shares all points of one to small n. `max_n`
    is always the last. Raises ValueError if `max_n` < 1.
    """
    if max_n < 1:
        raise ValueError(f"max_n is {max_n}; best-of-n needs at least n = 1")
    doublings = [2**k for k in range(max_n.bit_length())]
    shared = {n for power in doublings for n in (power, 3 * power // 2) if n < 1000}
    deep = {n for power in doublings for n in (1000 * power, 1500 * power)}
    return sorted({n for n in shared | deep if n < max_n} | {max_n})
