"""Exact KL of best-of-n for a policy that can only say a few things (Beirami et al. 2025)."""

import numpy as np
import numpy.typing as npt
from scipy.special import rel_entr

Array = npt.NDArray[np.float64]


def discrete_best_of_n(probabilities: Array, n: int) -> Array:
    """Probabilities of best-of-n over L responses, sorted by proxy score: `F(y)^n - F^-(y)^n`.

    `probabilities` of the initial policy have shape (L,), the worst response first, no ties. F is
    their cumulative sum, F^- the same without y. Returns shape (L,). Raises ValueError unless n is
    at least 1 and the probabilities sum to 1.
    """
    if n < 1 or not np.isclose(probabilities.sum(), 1):
        raise ValueError(f"n = {n}, probabilities sum to {probabilities.sum()}; expected >= 1, 1")
    cumulative = np.minimum(np.cumsum(probabilities), 1.0)
    cumulative[-1] = 1.0
    return np.diff(cumulative**n, prepend=0.0)


def discrete_best_of_n_kl(probabilities: Array, n: int) -> float:
    """KL of `discrete_best_of_n` from the initial policy, nats; at most log n - (n - 1) / n."""
    return float(rel_entr(discrete_best_of_n(probabilities, n), probabilities).sum())
