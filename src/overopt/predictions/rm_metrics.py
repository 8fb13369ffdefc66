"""Predictions on what a reward model's metrics, which need no optimization, say of the outcome."""

import numpy as np
import numpy.typing as npt

from overopt.claims.evidence import NotRun
from overopt.claims.verdicts import Condition, Finding
from overopt.config.cells import RM_KEYS
from overopt.config.methods import BEST_OF_N
from overopt.predictions.evidence import PoolEvidence
from overopt.predictions.registry import prediction
from overopt.theory.ranks import rank_correlations

Array = npt.NDArray[np.float64]

LEAST_SIZES = 5


@prediction(
    "B24",
    title="Agreement on the base pool predicts best-of-n",
    says="The rank correlation of proxy and gold within prompts, on samples of the initial policy, "
    "orders the peaks of best-of-n over proxies better than validation loss does.",
    source="arXiv 2509.21500; RewardBench 2",
    expected="Spearman .9 or more; more than the validation loss",
)
def agreement_predicts_the_peak(evidence: PoolEvidence) -> Finding:
    """Spearman's correlation over sizes of the peak with the agreement, and with the loss."""
    sizes = _sizes(evidence)
    agreement = np.stack(
        [
            evidence.over_seeds(
                size,
                [rank_correlations(p.scores, evidence.pool.gold) for p in evidence.proxies(size)],
            )
            for size in sizes
        ],
        axis=1,
    )
    peaks = np.stack([evidence.values("peak_gold", BEST_OF_N, size) for size in sizes], axis=1)
    losses = np.array([_loss(evidence, size) for size in sizes])
    with_agreement = rank_correlations(agreement, peaks)
    with_loss = rank_correlations(np.broadcast_to(-losses, peaks.shape), peaks)
    words = f"Spearman's correlation with the peak of best-of-n over {len(sizes)} sizes"
    return Finding(
        [
            Condition(f"{words}, rank agreement on the base pool", with_agreement, low=0.9),
            Condition(
                f"{words}, agreement minus that of the validation loss",
                with_agreement - with_loss,
                low=0,
            ),
        ]
    )


def _loss(evidence: PoolEvidence, size: str) -> float:
    """Mean validation loss of this size's proxies."""
    cells = [proxy.cell for proxy in evidence.proxies(size)]
    rows = evidence.proxy_rms
    for key in RM_KEYS:
        rows = rows[rows[key] == cells[0][key]]
    return float(rows["validation_loss"].mean())


@prediction(
    "B25",
    title="Reward variance does not predict PPO here",
    says="The variance of a proxy's score within prompts does not order the peaks of PPO over "
    "proxies: "
    "PPO here rescales every reward to a standard deviation of 1.",
    source="Razin et al. 2025, arXiv 2503.15477, where it is not rescaled: .83",
    expected="Spearman below .3 either way",
)
def variance_does_not_predict(evidence: PoolEvidence) -> Finding:
    """Spearman's correlation over sizes of PPO's peak with the proxy's standard deviation."""
    sizes = _sizes(evidence)
    spreads = [np.mean([p.sd for p in evidence.proxies(size)]) for size in sizes]
    spread = np.array(spreads, dtype=np.float64)
    peaks = np.stack(
        [
            evidence.study.values["peak_gold"][:, evidence.study_column("ppo", size)]
            for size in sizes
        ],
        axis=1,
    )
    correlation = rank_correlations(np.broadcast_to(spread, peaks.shape), peaks)
    statistic = f"Spearman's correlation of a proxy's sd with PPO's peak, over {len(sizes)} sizes"
    return Finding([Condition(statistic, correlation, -0.3, 0.3)])


def _sizes(evidence: PoolEvidence) -> list[str]:
    if len(evidence.sizes) < LEAST_SIZES:
        raise NotRun(f"{len(evidence.sizes)} RM sizes, {LEAST_SIZES} are needed")
    return evidence.sizes
