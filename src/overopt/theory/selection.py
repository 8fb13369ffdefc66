"""
Selection rules: how a policy is made from a pool of samples and their proxy scores.

Every rule gives each response of a prompt's pool a weight; the weights of a prompt sum to 1. With N
samples of the initial policy, `N w` estimates the density ratio to it. So a rule is one curve of
gold against KL, with no training and no further sample. The rules, each with the dial that moves
along its curve:

- best of n (`overopt.theory.best_of_n`): n;
- soft best of n (Verdun et al. 2025, arXiv 2505.03156): draw n, return one with a probability
  proportional to exp(lambda proxy): lambda;
- best of Poisson (Khalaf et al. 2025, arXiv 2506.19248): best of 1 + Poisson(mu): mu;
- tilt: exp(s proxy), which has the highest proxy score at its KL: s;
- pessimistic (Huang et al. 2025, arXiv 2503.21878, chi-squared regularization):
  relu(proxy - lambda) / b with lambda so that weights sum to 1: b;
- quantilizer (Taylor 2016): uniform over the best share q: q.

Pools are of shape (Q, N): N responses to each of Q prompts. Proxy scores should be in one unit for
all proxies (within-prompt standard deviations) where a dial is compared between them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import logsumexp, xlogy
from scipy.stats import rankdata

Array = npt.NDArray[np.float64]

LOG_STEP = 0.5
"""Step of the integral of soft best of n over a logarithm: weights are right to about 1e-8."""
NEGLIGIBLE = 1e-10
"""Relative size of what that integral leaves out at each end."""


def tilted_weights(proxy_scores: Array, s: float) -> Array:
    """Weights of the exact tilt `exp(s proxy)`; shape (Q, N)."""
    logits = s * proxy_scores
    return np.exp(logits - logsumexp(logits, axis=1, keepdims=True))


def soft_best_of_n_weights(proxy_scores: Array, n: int, sharpness: float) -> Array:
    """Weights of soft best of n: of n draws one is returned, with odds exp(sharpness proxy).

    Draws are from the pool with replacement, so that the expectation is a product: with
    a_i = exp(sharpness proxy_i), the weight is `n / N a_i int_0^inf exp(-t a_i) phi(t)^(n-1) dt`,
    phi(t) = mean_j exp(-t a_j). It tends to best of n for a large sharpness, to the initial policy
    for 0, and to the tilt for a large n (Verdun et al. 2025).

    Raises
    ------
    ValueError
        If n is below 1 or the sharpness negative.

    """
    if n < 1 or sharpness < 0:
        raise ValueError(f"soft best of n needs n >= 1 and sharpness >= 0, not {n}, {sharpness}")
    return np.stack([_soft_weights(scores, n, sharpness) for scores in proxy_scores])


def _soft_weights(scores: Array, n: int, sharpness: float) -> Array:
    """Weights of one pool (N,): the integral over log t by the trapezoidal rule.

    It converges exponentially for such integrands. Below the first node the best response has
    hardly decayed; beyond the last nothing is left of phi^(n - 1) or of any response.
    """
    logits = sharpness * (scores - scores.max())
    lowest = np.log(NEGLIGIBLE / n)
    x = np.arange(lowest, np.log(-np.log(NEGLIGIBLE)) - logits.min(), LOG_STEP)
    weights = np.zeros_like(scores)
    for point in x:
        rates = np.exp(np.minimum(point + logits, 700.0))
        decayed = np.exp(-rates)
        log_rest = (n - 1) * np.log(decayed.mean()) if n > 1 else 0.0
        weights += rates * decayed * np.exp(log_rest)
        if log_rest < np.log(NEGLIGIBLE):
            break
    return weights / weights.sum()


def best_of_poisson_weights(proxy_scores: Array, mu: float) -> Array:
    """Weights of best of 1 + Poisson(mu) draws with replacement (Khalaf et al. 2025).

    The best of them is among the i lowest of N with probability `(i/N) exp(mu (i/N - 1))`.
    Responses that tie share their weight. Gold comes out low where mu is no small part of N: by
    .001 sd at N = 12 mu, by .03 at N = 3 mu (normal scores with correlation .3 to .9).
    """
    _check_dial("mu", mu, low=0)
    return _weights_of_quantiles(proxy_scores, lambda u: u * np.exp(mu * (u - 1)))


def quantilizer_weights(proxy_scores: Array, q: float) -> Array:
    """Uniform weights over the share `q` of a pool that the proxy scores highest (Taylor 2016)."""
    if not 0 < q <= 1:
        raise ValueError(f"a quantilizer needs 0 < q <= 1, not {q}")
    return _weights_of_quantiles(proxy_scores, lambda u: np.maximum(u - (1 - q), 0) / q)


def _weights_of_quantiles(proxy_scores: Array, distribution: Callable[[Array], Array]) -> Array:
    """Weights of a rule that sees quantiles only; `distribution` is that of the chosen quantile.

    Of a group of ties, the quantiles are those of its first to its last response.
    """
    num_responses = proxy_scores.shape[1]
    last = rankdata(proxy_scores, "max", axis=1) / num_responses
    before = (rankdata(proxy_scores, "min", axis=1) - 1) / num_responses
    num_tied = np.rint((last - before) * num_responses)
    return (distribution(last) - distribution(before)) / num_tied


def pessimistic_weights(proxy_scores: Array, b: float) -> Array:
    """Weights `relu(proxy - lambda) / b / N`, lambda by prompt so that they sum to 1.

    The maximizer of mean proxy minus b / 2 times chi-squared (Huang et al. 2025). A large b is the
    initial policy, tilted linearly; a small one takes few responses.
    """
    _check_dial("b", b, low=0)
    if b == 0:
        raise ValueError("pessimistic weights need b > 0")
    ordered = -np.sort(-proxy_scores, axis=1)
    num_responses = proxy_scores.shape[1]
    counts = np.arange(1, num_responses + 1)
    # With the k best above lambda: sum of (proxy - lambda) = b N.
    thresholds = (np.cumsum(ordered, axis=1) - b * num_responses) / counts
    is_consistent = ordered > thresholds
    num_above = num_responses - np.argmax(is_consistent[:, ::-1], axis=1)
    chosen = np.take_along_axis(thresholds, num_above[:, None] - 1, axis=1)
    weights = np.maximum(proxy_scores - chosen, 0)
    return weights / weights.sum(axis=1, keepdims=True)


def _check_dial(name: str, value: float, low: float) -> None:
    if not value >= low:
        raise ValueError(f"{name} must be at least {low}, not {value}")


# Distances from the initial policy.


def weights_kl(weights: Array) -> Array:
    """KL from the initial policy by prompt, nats: `log N + sum_i w_i log w_i`, at most log N.

    Of a finite pool: near log N few responses carry the weight, and the true KL is larger.
    """
    return np.maximum(np.log(weights.shape[1]) + xlogy(weights, weights).sum(axis=1), 0)


def weights_chi_squared(weights: Array) -> Array:
    """Chi-squared distance from the initial policy by prompt: `N sum_i w_i^2 - 1`."""
    return weights.shape[1] * (weights**2).sum(axis=1) - 1


def best_of_poisson_kl(mu: float) -> float:
    """KL of best of Poisson, nats, for a continuous proxy score.

    `int_0^1 p log p du` with p(u) = (1 + mu u) exp(mu (u - 1)).
    """
    nodes, node_weights = np.polynomial.legendre.leggauss(200)
    # Most of the mass lies within 1 / mu of 1: integrate over v = (1 - u) (1 + mu) first.
    edges = np.array([0.0, 1, 4, 16, 64]) / (1 + mu)
    edges = np.unique(np.append(edges[edges < 1], 1.0))
    total = 0.0
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        u = 1 - (low + (high - low) * (nodes + 1) / 2)
        log_density = np.log1p(mu * u) + mu * (u - 1)
        total += (high - low) / 2 * float(node_weights @ (np.exp(log_density) * log_density))
    return total


def quantilizer_kl(q: float) -> float:
    """KL of a quantilizer, nats, for a continuous proxy score: `-log q`."""
    return -float(np.log(q))


def best_of_n_chi_squared(n: npt.ArrayLike) -> Array:
    """Chi-squared distance of best of n, for a continuous proxy score: `(n-1)^2 / (2n-1)`."""
    n = np.asarray(n, dtype=np.float64)
    return (n - 1) ** 2 / (2 * n - 1)


# Best of n at which gold is highest.


def hedged_n(proxy_scores: Array, gold_scores: Array, max_n: float) -> float:
    """The n of best of n at which mean gold stops rising: HedgeTune (Khalaf et al. 2025).

    The root of `E_n[gold (1/n + log u)]` in a real n, u the quantile of the proxy score: the
    derivative of mean gold in n. Infinite where gold still rises at `max_n`, 1 where it falls from
    the start.
    """
    u = (rankdata(proxy_scores, axis=1) - 0.5) / proxy_scores.shape[1]
    log_u = np.log(u)

    def slope(log_n: float) -> float:
        n = float(np.exp(log_n))
        density = n * np.exp((n - 1) * log_u)
        density /= density.sum(axis=1, keepdims=True)
        score = log_u - (density * log_u).sum(axis=1, keepdims=True)
        return float((density * gold_scores * score).sum(axis=1).mean())

    if slope(0.0) <= 0:
        return 1.0
    grid = np.linspace(0, np.log(max_n), 60)
    signs = [slope(x) > 0 for x in grid]
    if all(signs):
        return float("inf")
    first = signs.index(False)
    return float(np.exp(brentq(slope, grid[first - 1], grid[first])))


def initial_slope_by_prompt(proxy_scores: Array, gold_scores: Array) -> Array:
    """Slope of gold in d = sqrt(KL) of best of n at d = 0, by prompt: `sqrt(2) Cov(gold, log u)`.

    The covariance within a prompt, u the quantile of the proxy score; shape (Q,). Its mean predicts
    alpha before any optimization.
    """
    log_u = np.log((rankdata(proxy_scores, axis=1) - 0.5) / proxy_scores.shape[1])
    log_u -= log_u.mean(axis=1, keepdims=True)
    return np.sqrt(2) * (gold_scores * log_u).mean(axis=1)


# The rules as a table.


@dataclass(frozen=True)
class Rule:
    """A selection rule with the dial that moves along its curve.

    Attributes
    ----------
    name
        In tables, as a method.
    dial
        Name of the dial.
    values
        Its values, from the initial policy outwards.
    weights
        Weights (Q, N) of proxy scores in within-prompt sd, at a value of the dial.
    kl
        KL at a value of the dial, nats, where it is known for continuous scores; else that of the
        weights is taken.

    """

    name: str
    dial: str
    values: tuple[float, ...]
    weights: Callable[[Array, float], Array]
    kl: Callable[[float], float] | None = None


SOFT_N = 1000
"""Draws of soft best of n; its dial is the sharpness."""

RULES = (
    Rule(
        "soft_best_of_n",
        "sharpness",
        tuple(np.round(np.geomspace(0.1, 30, 12), 4)),
        lambda proxy, value: soft_best_of_n_weights(proxy, SOFT_N, value),
    ),
    Rule(
        "best_of_poisson",
        "mu",
        tuple(np.round(np.geomspace(0.25, 380, 14), 4)),
        best_of_poisson_weights,
        best_of_poisson_kl,
    ),
    Rule(
        "pessimistic",
        "b",
        tuple(np.round(np.geomspace(8, 0.004, 13), 5)),
        pessimistic_weights,
    ),
    Rule(
        "quantilizer",
        "q",
        tuple(np.round(np.geomspace(0.8, 1 / 384, 12), 6)),
        quantilizer_weights,
        quantilizer_kl,
    ),
)
