"""
Predictions that no study here can decide yet: what each needs is said, and nothing is claimed.

They are written down with the others so that their statements stand before the runs that decide
them. Each becomes a test once its method or axis exists.
"""

from collections.abc import Callable

from overopt.claims.evidence import NotRun
from overopt.claims.verdicts import Finding
from overopt.predictions.evidence import PoolEvidence
from overopt.predictions.registry import prediction

_OPEN = {
    "B10": (
        "Flipped labels move the peak, ensembles restore it",
        "With a quarter of the labels flipped the peak of best-of-n lies at a lower KL, and the "
        "worst "
        "of an ensemble restores more than half of the gold that is lost.",
        "Coste et al. 2024, arXiv 2310.02743",
        "an axis of flipped synthetic labels",
    ),
    "B11": (
        "PAR saves the end, not the peak",
        "Rewards as the probability to beat samples of the initial policy raise PPO's gold at 40 "
        "nats "
        "by 1 sd or more for the two smallest proxies, and move its peak by less than .1 sd.",
        "arXiv 2502.18770",
        "reward transforms in RL",
    ),
    "B12": (
        "A log-sigmoid alone does not save the end",
        "The centred log-sigmoid raises gold at the end by less than half of what PAR does.",
        "arXiv 2502.18770",
        "reward transforms in RL",
    ),
    "B13": (
        "Length penalties hurt here",
        "Disentangling or penalizing length lowers gold at n = 1,000: in this world people dislike "
        "length already.",
        "derived from ODIN, arXiv 2402.07319, with the sign of this world",
        "a length penalty on the proxy",
    ),
    "B14": (
        "A language-model loss helps with few comparisons",
        "Keeping a language-model loss in reward-model training gains more than twice as much at "
        "2,000 to 8,000 comparisons as at 60,000.",
        "GRM, arXiv 2406.10216",
        "variants of the reward model's loss",
    ),
    "B15": (
        "Direct alignment overoptimizes too",
        "Gold of DPO, IPO and SLiC rises and falls, and d (alpha - beta log d) halves the error "
        "of a "
        "parabola in KL.",
        "Rafailov et al. 2024, arXiv 2406.02900",
        "DPO, IPO and SLiC as methods",
    ),
    "B16": (
        "Implicit accuracy says nothing",
        "Within a size the accuracy of a direct-alignment policy's implicit reward does not "
        "order gold.",
        "Rafailov et al. 2024, arXiv 2406.02900",
        "DPO, IPO and SLiC as methods",
    ),
    "B17": (
        "Chi-PO spends less KL",
        "At equal penalty chi-PO ends at a lower KL than DPO, and loses less gold with more "
        "epochs.",
        "Huang et al. 2024, arXiv 2407.13399",
        "DPO and chi-PO as methods",
    ),
    "B18": (
        "Online beats offline",
        "Online DPO has more gold than offline DPO at 5 nats, by more than .1 sd.",
        "Tang et al. 2024, arXiv 2405.08448",
        "DPO and online DPO as methods",
    ),
    "B19": (
        "Gold follows the proxy, whatever the optimizer",
        "Over optimizers gold agrees better at equal proxy score than at equal KL: the band's "
        "area is "
        "less than half.",
        "claim C40, extended",
        "three RL methods or more in one study",
    ),
    "B21": (
        "Repeated best-of-n is best-of-n",
        "k rounds of best-of-n with perfect distillation lie on the curve of best-of-n^k.",
        "derived",
        "expert iteration as a method",
    ),
    "B22": (
        "Refreshing the proxy gains less than the law",
        "k rounds with new comparisons gain less than beta d log k.",
        "Gao et al. 2022, section 4.3",
        "iterated RLHF",
    ),
}


def _test_of(need: str) -> Callable[[PoolEvidence], Finding]:
    def not_yet(evidence: PoolEvidence) -> Finding:
        """Tell what the prediction needs."""
        raise NotRun(f"it needs {need}, which this version has not")

    return not_yet


for _id, (_title, _says, _source, _need) in _OPEN.items():
    prediction(_id, title=_title, says=_says, source=_source)(_test_of(_need))
