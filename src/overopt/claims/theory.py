"""Claims that follow from the paper's theory: identities, checked exactly."""

from itertools import combinations

import numpy as np
import numpy.typing as npt

from overopt.claims.evidence import Evidence
from overopt.claims.registry import claim
from overopt.claims.verdicts import Condition, Finding
from overopt.theory.best_of_n import best_of_n_scores
from overopt.theory.discrete_kl import discrete_best_of_n_kl
from overopt.theory.forms import BEST_OF_N, RL
from overopt.theory.goodhart import (
    expected_gold,
    expected_gold_given_discrete_noise,
    iterated_best_of_n_form,
    iterated_rl_form,
    regressional_slope,
)
from overopt.theory.kl import best_of_n_kl

Array = npt.NDArray[np.float64]

ROUNDING = 1e-9
GOLD_VARIANCE, NOISE_VARIANCE = 1.0, 0.5
POOL = 8
NOT_OF_DATA = "A property of the model, not of the study's data."


@claim(
    "C46",
    title="Regressional Goodhart identity",
    says="If proxy = gold + independent noise, expected gold is linear in proxy with slope "
    "Var X / (Var X + Var Z): exactly for normal noise, and for bounded noise up to an error "
    "that vanishes faster than Var Z.",
    section="4.2.1, appendix A",
)
def regressional_identity(evidence: Evidence) -> Finding:
    """Expected gold given gold plus noise, by integration, against the slope of the identity."""
    del evidence
    nodes, weights = np.polynomial.hermite.hermgauss(80)
    noise, shares = np.sqrt(2 * NOISE_VARIANCE) * nodes, weights / np.sqrt(np.pi)
    proxy = np.linspace(-3, 3, 13)
    exact = expected_gold_given_discrete_noise(proxy, np.sqrt(GOLD_VARIANCE), noise, shares)
    error = np.abs(exact - regressional_slope(GOLD_VARIANCE, NOISE_VARIANCE) * proxy).max()
    bounded = [_bounded_noise_error(delta) for delta in (1.0, 0.1)]
    conditions = [
        _exact("largest error of the identity for normal noise (sd)", float(error)),
        Condition(
            "error of the identity over Var Z for noise of +-0.1, over that for noise of +-1",
            np.array([bounded[1] / bounded[0]]),
            high=0.1,
            is_exact=True,
        ),
    ]
    return Finding(conditions, NOT_OF_DATA)


@claim(
    "C48",
    title="Gain of iterated RLHF",
    says="k rounds of RLHF gain beta d log k over one at the same total distance d, if alpha and "
    "beta stay the same and d adds.",
    section="4.3",
)
def iterated_rlhf_gain(evidence: Evidence) -> Finding:
    """K rounds of distance d / k gain beta d log k over one round of d, by the law."""
    rng = evidence.generator("C48")
    d, alpha, beta = rng.uniform(0.1, 10, 100), rng.uniform(0.1, 1, 100), rng.uniform(0.05, 1, 100)
    errors = []
    for k in range(1, 11):
        rounds = k * RL.score(d / k, alpha, beta)
        errors += [
            np.abs(iterated_rl_form(d, alpha, beta, k) - rounds).max(),
            np.abs(rounds - RL.score(d, alpha, beta) - beta * d * np.log(k)).max(),
            np.abs(
                iterated_best_of_n_form(d, alpha, beta, k) - k * BEST_OF_N.score(d / k, alpha, beta)
            ).max(),
        ]
    statistic = "largest error of the formula against summing the law over 1 to 10 rounds"
    note = (
        "This is algebra: it takes for granted that alpha and beta stay the same from round to "
        "round and that d adds. Neither the paper nor this study trained iteratively."
    )
    return Finding([_exact(statistic, max(errors))], note)


@claim(
    "C49",
    title="Unbiased estimator",
    says="The best-of-n estimator from a whole pool is unbiased and has a lower variance than "
    "naive resampling.",
    section="2",
)
def estimator_is_better(evidence: Evidence) -> Finding:
    """The estimator is the mean of naive best-of-n over every draw from the pool, which varies."""
    proxy, gold = evidence.generator("C49").normal(size=(2, 50, POOL))
    ns = [2, 4]
    whole = best_of_n_scores(proxy, {"gold": gold}, ns)["gold"]
    naive = [_every_draw(proxy, gold, n) for n in ns]
    means = np.stack([scores.mean(axis=1) for scores in naive], axis=1)
    least = min(float(scores.var(axis=1).min()) for scores in naive)
    conditions = [
        _exact(
            "largest difference between the pool estimator and the mean of naive best-of-n over "
            "every draw from the pool (sd)",
            float(np.abs(whole - means).max()),
        ),
        Condition(
            "smallest variance of naive best-of-n over the draws from one pool",
            np.array([least]),
            low=0,
            is_exact=True,
        ),
    ]
    note = (
        f"50 pools of {POOL} responses, n = 2 and 4. The variance of naive best-of-n is that of "
        f"the estimator plus that over the draws from a pool. {NOT_OF_DATA}"
    )
    return Finding(conditions, note)


@claim(
    "C50",
    title="Best-of-n ignores the proxy's units",
    says="Recentring and rescaling the proxy does not change what best-of-n selects.",
    section="2.2",
)
def selection_ignores_units(evidence: Evidence) -> Finding:
    """Recentring and rescaling the proxy changes nothing that best-of-n selects."""
    rng = evidence.generator("C50")
    proxy, gold = rng.normal(size=(2, 50, 64))
    scale, shift = np.exp(rng.normal(size=(50, 1))), rng.normal(0, 5, (50, 1))
    ns = [1, 2, 8, 64]
    before, after = (
        best_of_n_scores(scores, {"gold": gold}, ns)["gold"]
        for scores in (proxy, scale * proxy + shift)
    )
    statistic = "largest change of a best-of-n gold score when the proxy is shifted and scaled"
    return Finding([_exact(statistic, float(np.abs(after - before).max()))])


@claim(
    "C54",
    title="KL formula is an upper bound",
    says="log n - (n - 1) / n is the KL of best-of-n without ties, and an upper bound with them.",
    section="2; Beirami et al. 2025",
)
def formula_is_upper_bound(evidence: Evidence) -> Finding:
    """The exact KL of best-of-n on small discrete policies is at most the formula."""
    rng = evidence.generator("C54")
    excesses, shortfalls = [], []
    for num_responses in (2, 5, 20, 200):
        for concentration in (0.1, 1.0, 10.0):
            probabilities = rng.dirichlet(np.full(num_responses, concentration)) + 1e-12
            probabilities /= probabilities.sum()
            for n in (1, 2, 8, 64, 1000):
                exact = discrete_best_of_n_kl(probabilities, n)
                excesses.append(exact - float(best_of_n_kl(n)))
            shortfalls.append(-excesses[-1])
    statistic = "largest excess of the exact KL over log n - (n - 1) / n, 60 cases (nats)"
    note = (
        f"On policies with 2 to 200 responses the formula overstates the KL of best-of-1,000 by "
        f"{min(shortfalls):.2f} to {max(shortfalls):.2f} nats."
    )
    own = evidence.curves[evidence.curves["method"] == "best_of_n"]
    if "kl_estimate" in own and own["kl_estimate"].notna().any():
        largest = own[own["n"] == own["n"].max()]
        difference = float((largest["kl"] - largest["kl_estimate"]).mean())
        note += f" In this study, by an estimate: by {difference:.3f} nats at n = {own['n'].max()}."
    return Finding([_exact(statistic, max(excesses))], note)


def _exact(statistic: str, error: float) -> Condition:
    return Condition(statistic, np.array([error]), high=ROUNDING, is_exact=True)


def _every_draw(proxy: Array, gold: Array, n: int) -> Array:
    """Gold of the best by proxy in every subset of n responses of a pool, (pools, subsets)."""
    subsets = np.array(list(combinations(range(proxy.shape[1]), n)))
    best = proxy[:, subsets].argmax(axis=2)[..., None]
    return np.take_along_axis(gold[:, subsets], best, axis=2)[..., 0]


def _bounded_noise_error(delta: float) -> float:
    """Error of the identity at proxy 1.3 for noise of +-`delta`, over the noise's variance."""
    noise = np.array([-delta, delta])
    exact = expected_gold_given_discrete_noise(
        1.3, np.sqrt(GOLD_VARIANCE), noise, np.array([0.5, 0.5])
    )
    identity = expected_gold(
        1.3, gold_mean=0, gold_variance=GOLD_VARIANCE, noise_mean=0, noise_variance=delta**2
    )
    return abs(float(exact - identity)) / delta**2
