"""Predictions on ensembles of reward models."""

import numpy as np
import numpy.typing as npt

from overopt.analysis.group_curves import GroupCurve
from overopt.claims.evidence import NotRun
from overopt.claims.verdicts import Condition, Finding
from overopt.config.methods import BEST_OF_N
from overopt.predictions.evidence import PoolEvidence
from overopt.predictions.registry import prediction

Array = npt.NDArray[np.float64]

MIDDLE_N = 64
NO_DIFFERENCE = 0.02
EQUIVALENCE = 0.05


def _change(evidence: PoolEvidence, quantity: str, size: str, variant: str) -> Array:
    """Change of a quantity by an ensemble of the seeds, shape (1 + B,)."""
    return evidence.values(quantity, BEST_OF_N, size, variant) - evidence.values(
        quantity, BEST_OF_N, size
    )


@prediction(
    "B6",
    title="A variance penalty needs five members",
    says="With three members or fewer the mean minus variance has no more gold at the largest n "
    "than "
    "the mean; with five or more it has.",
    source="arXiv 2606.09073: the variance of three values is known to 100%, of five to 71%",
    expected="gold at n = 1,000",
)
def variance_needs_members(evidence: PoolEvidence) -> Finding:
    """Gold at the largest n: mean minus variance, minus the mean; mean over sizes."""
    num_seeds = evidence.ensembles_need_seeds()
    if num_seeds == 4:
        raise NotRun("the prediction is of up to three seeds, or of five and more; there are 4")
    difference = [
        evidence.values("final_gold", BEST_OF_N, size, "mean_minus_variance_of_seeds")
        - evidence.values("final_gold", BEST_OF_N, size, "mean_of_seeds")
        for size in evidence.sizes
    ]
    statistic = (
        f"gold at the largest n, mean minus variance of {num_seeds} seeds minus their mean, mean "
        "over sizes (sd)"
    )
    values = np.mean(difference, axis=0)
    few, many = Condition(statistic, values, high=NO_DIFFERENCE), Condition(statistic, values, 0)
    return Finding([few if num_seeds <= 3 else many])


@prediction(
    "B7",
    title="Ensembles help large proxies more than the smallest",
    says="The mean of the seeds lowers beta of the larger half of the sizes, and raises gold at "
    "the "
    "largest n of the smallest proxy by less than half of theirs: its error is shared.",
    source="Coste et al. 2024; Eisenstein et al. 2024",
    expected="change of beta below 0; gain of the smallest below half",
)
def ensembles_help_large_proxies(evidence: PoolEvidence) -> Finding:
    """Changes by the mean of the seeds: beta of the larger sizes, gold of the smallest."""
    evidence.ensembles_need_seeds()
    sizes = evidence.sizes
    larger = sizes[len(sizes) // 2 :]
    betas = [_change(evidence, "beta", size, "mean_of_seeds") for size in larger]
    gains = [_change(evidence, "final_gold", size, "mean_of_seeds") for size in larger]
    smallest = _change(evidence, "final_gold", sizes[0], "mean_of_seeds")
    excess = smallest - np.mean(gains, axis=0) / 2
    return Finding(
        [
            Condition(
                f"change of beta by the mean of the seeds, mean over {', '.join(larger)}",
                np.mean(betas, axis=0),
                high=0,
            ),
            Condition(
                f"gain of {sizes[0]} at the largest n minus half the mean gain of the larger (sd)",
                excess,
                high=0,
            ),
        ]
    )


@prediction(
    "B8",
    title="Fine-tuning seeds gain half of pretraining seeds",
    says="An ensemble whose members share a backbone gains at most half of what one gains whose "
    "members "
    "have their own.",
    source="Eisenstein et al. 2024, arXiv 2312.09244: 2.0 of 4.7 points",
    expected="ratio of gains at n = 64 at most one half",
)
def finetune_seeds_gain_half(evidence: PoolEvidence) -> Finding:
    """Gain of `ensemble_mean` at n = 64 minus half of that of the mean of the seeds."""
    evidence.ensembles_need_seeds()
    excess = []
    for size in _sizes_with(evidence, "ensemble_mean"):
        plain = evidence.study_curve(BEST_OF_N, size)
        shared = evidence.study_curve(BEST_OF_N, size, "ensemble_mean")
        gain = _gold_at(shared) - _gold_at(plain)
        own = evidence.gold_at_n(MIDDLE_N, size, "mean_of_seeds")
        excess.append(gain - (own - evidence.gold_at_n(MIDDLE_N, size)) / 2)
    statistic = (
        f"gain of fine-tuning seeds minus half that of pretraining seeds, n = {MIDDLE_N} (sd)"
    )
    return Finding([Condition(statistic, np.mean(excess, axis=0), high=0)])


@prediction(
    "B9",
    title="Averaged weights are an averaged ensemble",
    says="Without flipped labels the model with the average weights has the gold of the mean of "
    "the "
    "members' scores.",
    source="Ramé et al. 2024, arXiv 2401.12187",
    expected="within .05 sd at the largest n",
)
def averaged_weights_are_an_ensemble(evidence: PoolEvidence) -> Finding:
    """Gold at the largest n: weight average minus ensemble mean, mean over sizes."""
    differences = [
        evidence.study_curve(BEST_OF_N, size, "weight_average").final["gold"]
        - evidence.study_curve(BEST_OF_N, size, "ensemble_mean").final["gold"]
        for size in _sizes_with(evidence, "weight_average", "ensemble_mean")
    ]
    statistic = "gold at the largest n, average weights minus mean of the scores (sd)"
    values = np.mean(differences, axis=0)
    return Finding([Condition(statistic, values, -EQUIVALENCE, EQUIVALENCE)])


def _sizes_with(evidence: PoolEvidence, *variants: str) -> list[str]:
    groups = evidence.study.groups
    found = [
        size
        for size in evidence.sizes
        if set(variants) <= set(groups.loc[groups["proxy_size"] == size, "variant"])
    ]
    if not found:
        raise NotRun(f"no size with the variants {', '.join(variants)}: add them to a sweep")
    return found


def _gold_at(curve: GroupCurve) -> Array:
    """Gold at n = 64, shape (1 + B,)."""
    position = int(np.flatnonzero(curve.points["n"] == MIDDLE_N)[0])
    return curve.scores["gold"][:, position]
