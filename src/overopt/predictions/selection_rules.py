"""Predictions on selection rules: weightings of one pool, with no training."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from overopt.analysis.group_curves import score_at_kl
from overopt.claims.evidence import NotRun
from overopt.claims.verdicts import Condition, Finding
from overopt.config.methods import BEST_OF_N
from overopt.predictions.evidence import PoolEvidence
from overopt.predictions.registry import prediction
from overopt.theory.best_of_n import best_of_n_scores
from overopt.theory.kl import default_ns
from overopt.theory.selection import (
    RULES,
    hedged_n,
    initial_slope_by_prompt,
    pessimistic_weights,
    tilted_weights,
    weights_kl,
)

Array = npt.NDArray[np.float64]

KLS = (1.0, 2.0, 4.0)
"""Nats at which best-of-Poisson is compared with best-of-n."""
POISSON_MARGIN = 0.02
PEAK_MARGIN = 0.05
RULE_OF = {rule.name: rule for rule in RULES}
DECLINE_MARGIN = 0.02
SMALL_POOL = 64
TILT_KLS = (2.0, 4.0)


@prediction(
    "B1",
    title="Alpha is known before optimizing",
    says="The slope of best-of-n in sqrt(KL) at its start, sqrt(2) Cov(gold, log quantile of the "
    "proxy) on samples of the initial policy, is within a tenth of the fitted alpha.",
    source="derived: the slope of best-of-n at n = 1",
    expected="fitted over predicted in .9 to 1.1 at every size",
)
def alpha_is_predicted(evidence: PoolEvidence) -> Finding:
    """Ratio of fitted to predicted alpha, size by size."""
    conditions = []
    for size in evidence.sizes:
        slopes = [
            initial_slope_by_prompt(proxy.scores, evidence.pool.gold)
            for proxy in evidence.proxies(size)
        ]
        conditions.append(
            Condition(
                f"fitted alpha over the predicted one, {size}",
                evidence.values("alpha", BEST_OF_N, size),
                0.9,
                1.1,
                denominator=evidence.over_seeds(size, slopes),
            )
        )
    return Finding(conditions)


@prediction(
    "B2",
    title="Best-of-Poisson buys no gold",
    says="At equal KL best-of-Poisson has the gold of best-of-n: it makes the dial continuous, and "
    "no more.",
    source="computed from Khalaf et al. 2025, arXiv 2506.19248",
    expected="difference below .02 sd at KL above .5",
)
def poisson_buys_no_gold(evidence: PoolEvidence) -> Finding:
    """Gold of best-of-Poisson minus best-of-n at equal KL, mean over sizes."""
    conditions = []
    for kl in KLS:
        difference = [
            score_at_kl(evidence.curve("best_of_poisson", size), "gold", kl)
            - score_at_kl(evidence.curve(BEST_OF_N, size), "gold", kl)
            for size in evidence.sizes
        ]
        conditions.append(
            Condition(
                f"gold of best-of-Poisson minus best-of-n at {kl:g} nats, mean over sizes (sd)",
                np.mean(difference, axis=0),
                -POISSON_MARGIN,
                POISSON_MARGIN,
            )
        )
    return Finding(conditions)


@prediction(
    "B3",
    title="Soft best-of-n reaches the peak, no more",
    says="The best sharpness of soft best-of-n reaches the peak of best-of-n over n for the "
    "smallest "
    "proxy, and not more.",
    source="derived: soft best-of-n lies between the tilt and best-of-n (Verdun et al. 2025)",
    expected="within .05 sd of the peak",
)
def soft_reaches_the_peak(evidence: PoolEvidence) -> Finding:
    """Peak of soft best-of-n minus that of best-of-n, smallest proxy."""
    size = evidence.sizes[0]
    difference = evidence.values("peak_gold", "soft_best_of_n", size) - evidence.values(
        "peak_gold", BEST_OF_N, size
    )
    statistic = f"peak gold of soft best-of-n minus best-of-n, {size} (sd)"
    return Finding([Condition(statistic, difference, -PEAK_MARGIN, PEAK_MARGIN)])


@prediction(
    "B4",
    title="HedgeTune finds the peak",
    says="The root of HedgeTune's equation, with gold known, lies within one step of the grid of "
    "n of "
    "the n with the highest gold.",
    source="Khalaf et al. 2025, arXiv 2506.19248",
    expected="every proxy",
)
def hedging_finds_the_peak(evidence: PoolEvidence) -> Finding:
    """Share of proxies whose hedged n is within one grid step of the best n."""
    ns = np.array(default_ns(1000))
    hits = []
    for size in evidence.sizes:
        for proxy in evidence.proxies(size):
            curve = _gold_of(evidence, size, int(str(proxy.cell["seed"])))
            best = int(np.argmax(curve))
            hedged = hedged_n(proxy.scores, evidence.pool.gold, float(ns[: len(curve)][-1]))
            found = int(np.argmin(np.abs(np.log(ns[: len(curve)]) - np.log(min(hedged, 1e6)))))
            hits.append(abs(found - best) <= 1)
    share = float(np.mean(hits))
    statistic = f"share of {len(hits)} proxies with HedgeTune's n within one step of the best"
    return Finding([Condition(statistic, np.array([share]), low=0.999, is_exact=True)])


def _gold_of(evidence: PoolEvidence, size: str, seed: int) -> Array:
    """Mean gold of best-of-n of one proxy RM at each n, shape (points,)."""
    (proxy,) = (one for one in evidence.proxies(size) if one.cell["seed"] == seed)
    ns = [n for n in default_ns(1000) if n <= proxy.scores.shape[1] // 1.5]
    return best_of_n_scores(proxy.scores, {"gold": evidence.pool.gold}, ns)["gold"].mean(axis=0)


@prediction(
    "B5",
    title="Pessimistic weights do not fall with more samples",
    says="At a fixed penalty, gold of pessimistic weights does not fall as the pool grows, where "
    "best-of-n of the smallest proxy does, and the best penalty reaches best-of-n's peak.",
    source="Huang et al. 2025, arXiv 2503.21878",
    expected="decline below .02 sd from 64 responses on; peak within .05",
)
def pessimism_does_not_fall(evidence: PoolEvidence) -> Finding:
    """Decline of gold from a small pool to the whole, at the best penalty; and its peak."""
    size = evidence.sizes[0]
    peak = evidence.values("peak_gold", "pessimistic", size) - evidence.values(
        "peak_gold", BEST_OF_N, size
    )
    rows = evidence.statistics.groups.loc[evidence.column("pessimistic", size)]
    penalties = RULE_OF["pessimistic"].values
    gold = evidence.pool.gold
    if gold.shape[1] < 4 * SMALL_POOL:
        raise NotRun(f"a pool of {gold.shape[1]} responses, {4 * SMALL_POOL} are needed")
    declines = []
    best = int(np.argmax(evidence.curve("pessimistic", size).scores["gold"][0][1:]))
    for proxy in evidence.proxies(size):
        small = _gold_of_parts(proxy.scores, gold, penalties[best])
        whole = (pessimistic_weights(proxy.scores, penalties[best]) * gold).sum(axis=1)
        declines.append(small - whole)
    note = f"The best penalty of {rows['num_seeds']} seeds is b = {penalties[best]:.3g}."
    return Finding(
        [
            Condition(
                f"gold of a pool of {SMALL_POOL} minus that of {gold.shape[1]}, {size} (sd)",
                evidence.over_seeds(size, declines),
                high=DECLINE_MARGIN,
            ),
            Condition(
                f"peak of pessimistic weights minus best-of-n's, {size} (sd)", peak, -PEAK_MARGIN
            ),
        ],
        note,
    )


def _gold_of_parts(scores: Array, gold: Array, b: float) -> Array:
    """Mean gold by prompt over disjoint parts of 64 responses."""
    num_parts = scores.shape[1] // SMALL_POOL
    parts = [np.s_[:, k * SMALL_POOL : (k + 1) * SMALL_POOL] for k in range(num_parts)]
    return np.mean(
        [(pessimistic_weights(scores[part], b) * gold[part]).sum(axis=1) for part in parts], axis=0
    )


@prediction(
    "B20",
    title="Best-of-n spends its KL well, PPO does not",
    says="At equal KL best-of-n has nearly the proxy score of the exact tilt, which has the most "
    "there "
    "is, and PPO clearly less.",
    source="Theoretical limits of alignment, arXiv 2605.07105",
    expected="best-of-n above .98 of the tilt at 2 and 4 nats, PPO below .9",
)
def best_of_n_spends_well(evidence: PoolEvidence) -> Finding:
    """Proxy score at equal KL over that of the tilt."""
    conditions = []
    for kl in TILT_KLS:
        shares, ppo_shares = [], []
        for size in evidence.sizes:
            tilted = [_tilted_proxy(proxy.scores, kl) for proxy in evidence.proxies(size)]
            ideal = evidence.over_seeds(size, tilted)
            shares.append(score_at_kl(evidence.curve(BEST_OF_N, size), "proxy", kl) / ideal)
            ppo_shares.append(_relative_to_best_of_n(evidence, size, kl) * shares[-1])
        name = f"proxy score over the tilt's at {kl:g} nats, mean over sizes"
        conditions += [
            Condition(f"best-of-n: {name}", np.mean(shares, axis=0), low=0.98),
            Condition(f"PPO: {name}", np.mean(ppo_shares, axis=0), high=0.9),
        ]
    return Finding(conditions)


def _tilted_proxy(scores: Array, kl: float) -> Array:
    """Mean proxy score by prompt of the exact tilt whose mean KL over prompts is `kl`."""

    def excess(log_s: float) -> float:
        return float(weights_kl(tilted_weights(scores, np.exp(log_s))).mean()) - kl

    weights = tilted_weights(scores, float(np.exp(brentq(excess, -6, 8))))
    return (weights * scores).sum(axis=1)


def _relative_to_best_of_n(evidence: PoolEvidence, size: str, kl: float) -> Array:
    """PPO's proxy score over best-of-n's at equal KL, both as the study recalibrates them."""
    ppo = score_at_kl(evidence.study_curve("ppo", size), "proxy", kl)
    return ppo / score_at_kl(evidence.study_curve(BEST_OF_N, size), "proxy", kl)
