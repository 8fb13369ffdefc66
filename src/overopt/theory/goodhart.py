"""
Two predictions of the paper's theory: regressional Goodhart and iterated RLHF.

Regressional Goodhart (Gao et al. 2022, section 4.2.1, appendix A): a proxy that is gold plus
independent noise, proxy = gold + noise, overstates gold in proportion to the noise's share of the
variance. Iterated RLHF (section 4.3): k rounds of RL, each of distance d / k and against a reward
model trained anew, if alpha and beta stay the same and distances add.
"""

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from overopt.theory.forms import BEST_OF_N, RL

Array = npt.NDArray[np.float64]


def regressional_slope(gold_variance: npt.ArrayLike, noise_variance: npt.ArrayLike) -> Array:
    """Slope of expected gold in proxy: `Var X / (Var X + Var Z)` (Gao et al. 2022, appendix A)."""
    gold = np.asarray(gold_variance, dtype=np.float64)
    return gold / (gold + np.asarray(noise_variance, dtype=np.float64))


def expected_gold(
    proxy: npt.ArrayLike,
    *,
    gold_mean: float,
    gold_variance: float,
    noise_mean: float,
    noise_variance: float,
) -> Array:
    """Expected gold given proxy: `E X + (x - E X - E Z) Var X / (Var X + Var Z)` (appendix A).

    Gold X is normal. Exact if the noise Z is normal too (case a); if |Z - E Z| < delta (case b) up
    to an error that vanishes faster than Var Z as delta does.
    """
    surprise = np.asarray(proxy, dtype=np.float64) - gold_mean - noise_mean
    return gold_mean + surprise * regressional_slope(gold_variance, noise_variance)


def expected_gold_given_discrete_noise(
    proxy: npt.ArrayLike, gold_sd: float, noise: Array, probabilities: Array
) -> Array:
    """Expected gold given proxy, exactly, for gold X ~ Normal(0, `gold_sd`) and discrete noise Z.

    `sum_z p(z) f(x - z) (x - z) / sum_z p(z) f(x - z)`, f the density of X. `noise` and
    `probabilities` have shape (M,); returns the shape of `proxy`.
    """
    gold = np.asarray(proxy, dtype=np.float64)[..., None] - noise
    weights = probabilities * norm.pdf(gold, scale=gold_sd)
    return (weights * gold).sum(axis=-1) / weights.sum(axis=-1)


def iterated_rl_form(
    d: npt.ArrayLike, alpha: npt.ArrayLike, beta: npt.ArrayLike, num_iterations: int
) -> Array:
    """Gold score at total distance d after k rounds of RL: `d (alpha - beta log d + beta log k)`.

    Gao et al. 2022, section 4.3. The gain over one round, `beta d log k`, is all extremal: the
    regressional part, alpha, stays. Holds up to some k only, as the law fails at short distances.
    """
    beta = np.asarray(beta, dtype=np.float64)
    return RL.score(d, np.asarray(alpha) + beta * np.log(num_iterations), beta)


def iterated_best_of_n_form(
    d: npt.ArrayLike, alpha: npt.ArrayLike, beta: npt.ArrayLike, num_iterations: int
) -> Array:
    """Gold score of the best-of-n form after k rounds, if distances add: `d (alpha - beta d / k)`.

    The analogue of section 4.3. That d adds is an observation about RL; if each round's policy is
    distilled, best-of-n adds KL instead, and d grows like the root of the number of rounds.
    """
    return BEST_OF_N.score(d, alpha, np.asarray(beta, dtype=np.float64) / num_iterations)
