"""Claims that follow from the paper's theory: identities, checked exactly or by simulation."""

import numpy as np
import numpy.typing as npt

from overopt.claims.evidence import Evidence
from overopt.claims.verdicts import Claim, Condition, Finding
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

NUM_SIMULATIONS, NUM_RESAMPLES = 400, 400
MEAN_MARGIN = 0.01
ROUNDING = 1e-9
GOLD_VARIANCE, NOISE_VARIANCE = 1.0, 0.5
NUM_DRAWS, NUM_PROMPTS = 2000, 50
POOL, N = 64, 8


def regressional_identity(evidence: Evidence) -> Finding:
    """C46: the slope of gold on gold plus noise, and its error for noise that is bounded."""
    rng = evidence.generator("C46")
    gold = rng.normal(0, np.sqrt(GOLD_VARIANCE), (NUM_SIMULATIONS, NUM_DRAWS))
    proxy = gold + rng.normal(0, np.sqrt(NOISE_VARIANCE), gold.shape)
    proxy -= proxy.mean(axis=1, keepdims=True)
    slope = (proxy * gold).sum(axis=1) / (proxy**2).sum(axis=1)
    shares = [_bounded_noise_error(delta) for delta in (1.0, 0.1)]
    conditions = [
        Condition(
            "slope of gold on proxy for normal noise minus Var X / (Var X + Var Z), mean of "
            f"{NUM_SIMULATIONS} simulations",
            _mean(slope - regressional_slope(GOLD_VARIANCE, NOISE_VARIANCE), rng),
            -MEAN_MARGIN,
            MEAN_MARGIN,
            is_simulated=True,
        ),
        Condition(
            "error of the identity over Var Z for noise of +-0.1, over that for noise of +-1",
            np.array([shares[1] / shares[0]]),
            high=0.1,
            is_exact=True,
        ),
    ]
    return Finding(conditions, "A property of the model, not of the study's data.")


def iterated_rlhf_gain(evidence: Evidence) -> Finding:
    """C48: k rounds of distance d / k gain beta d log k over one round of d, by the law."""
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


def estimator_is_better(evidence: Evidence) -> Finding:
    """C49: the estimator from a whole pool has the mean of naive resampling and less variance."""
    rng = evidence.generator("C49")
    shape = (NUM_SIMULATIONS, NUM_PROMPTS, POOL)
    gold = rng.normal(size=shape)
    proxy = gold + rng.normal(size=shape)
    pools = {"gold": gold.reshape(-1, POOL)}
    whole = best_of_n_scores(proxy.reshape(-1, POOL), pools, [N])["gold"].reshape(shape[:2])
    groups = (*shape[:2], POOL // N, N)
    best = proxy.reshape(groups).argmax(axis=3)[..., None]
    naive = np.take_along_axis(gold.reshape(groups), best, axis=3)[..., 0].mean(axis=2)
    conditions = [
        Condition(
            f"mean of the pool estimator minus that of naive best-of-{N}, "
            f"{NUM_SIMULATIONS} simulations (sd)",
            _mean((whole - naive).mean(axis=1), rng),
            -MEAN_MARGIN,
            MEAN_MARGIN,
            is_simulated=True,
        ),
        Condition(
            f"variance of the pool estimator over that of naive best-of-{N}",
            _mean(whole.var(axis=1) / naive.var(axis=1), rng),
            high=1,
            is_simulated=True,
        ),
    ]
    note = (
        f"Best of {N} from {POOL} responses, gold normal, proxy gold plus as much noise; naive is "
        f"the mean over {POOL // N} groups of {N}."
    )
    return Finding(conditions, note)


def selection_ignores_units(evidence: Evidence) -> Finding:
    """C50: recentring and rescaling the proxy changes nothing that best-of-n selects."""
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


def formula_is_upper_bound(evidence: Evidence) -> Finding:
    """C54: the exact KL of best-of-n on small discrete policies is at most the formula."""
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


def _mean(simulations: Array, rng: np.random.Generator) -> Array:
    """Mean of independent simulations (S,), and its bootstrap versions: (1 + NUM_RESAMPLES,)."""
    drawn = rng.choice(simulations, (NUM_RESAMPLES, len(simulations)))
    return np.append(simulations.mean(), drawn.mean(axis=1))


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


CLAIMS = (
    Claim(
        "C46",
        "Regressional Goodhart identity",
        "If proxy = gold + independent noise, expected gold is linear in proxy with slope "
        "Var X / (Var X + Var Z): exactly for normal noise, and for bounded noise up to an error "
        "that vanishes faster than Var Z.",
        "4.2.1, appendix A",
        None,
        regressional_identity,
    ),
    Claim(
        "C48",
        "Gain of iterated RLHF",
        "k rounds of RLHF gain beta d log k over one at the same total distance d, if alpha and "
        "beta stay the same and d adds.",
        "4.3",
        None,
        iterated_rlhf_gain,
    ),
    Claim(
        "C49",
        "Unbiased estimator",
        "The best-of-n estimator from a whole pool is unbiased and has a lower variance than "
        "naive resampling.",
        "2",
        None,
        estimator_is_better,
    ),
    Claim(
        "C50",
        "Best-of-n ignores the proxy's units",
        "Recentring and rescaling the proxy does not change what best-of-n selects.",
        "2.2",
        None,
        selection_ignores_units,
    ),
    Claim(
        "C54",
        "KL formula is an upper bound",
        "log n - (n - 1) / n is the KL of best-of-n without ties, and an upper bound with them.",
        "2; Beirami et al. 2025",
        None,
        formula_is_upper_bound,
    ),
)
