"""
Claims on the shape of curves: gold rises and falls, the proxy goes on rising (C1 to C4).

Where gold falls is not searched for (see `curve_values`): the claims are about the change of a
score over the first and the last third of the range of sqrt(KL).
"""

import numpy as np

from overopt.claims.curve_values import changes_in_kl, gold_change_in_proxy
from overopt.claims.evidence import Evidence, NotRun, size_cells, values
from overopt.claims.registry import claim
from overopt.claims.verdicts import Condition, Finding
from overopt.config.methods import METHODS

THIRD = 1 / 3


@claim(
    "C1",
    title="Best-of-n: gold rises, then falls",
    says="With best-of-n the gold score first rises and then falls with KL. (In the paper only RMs "
    "up to 85M parameters fall within 10 nats, so the fall is asked of the smaller half.)",
    section="1, Figure 1a",
    paper="3M RM: 0.50 at the peak, 0.28 at 10 nats; 3B RM: still rising at 1.24",
)
def best_of_n_rises_then_falls(evidence: Evidence) -> Finding:
    """Positive beta; gold rises at first; for the smaller half of the RMs it falls at the end."""
    cells = size_cells(evidence, "best_of_n")
    smaller = cells.iloc[: (len(cells) + 1) // 2]
    last = changes_in_kl(evidence, cells, "gold", 1 - THIRD, 1)
    over = f"mean over {len(cells)} RM sizes"
    names = ", ".join(smaller["proxy_size"])
    return Finding(
        [
            Condition(
                f"beta of best-of-n, {over} (sd per nat)",
                values(evidence, "beta", cells).mean(axis=1),
                low=0,
            ),
            Condition(
                f"change of gold over the first third of sqrt(KL) with best-of-n, {over} (sd)",
                changes_in_kl(evidence, cells, "gold", 0, THIRD).mean(axis=1),
                low=0,
            ),
            Condition(
                "change of gold over the last third of sqrt(KL) with best-of-n, mean over the "
                f"smaller half of the RM sizes, {names} (sd)",
                last[:, : len(smaller)].mean(axis=1),
                high=0,
            ),
        ],
        f"Over that last third gold falls for {_count_below(last)} of {len(cells)} RM sizes.",
    )


@claim(
    "C2",
    title="RL: gold rises, then falls",
    says="With RL the gold score first rises and then falls with KL.",
    section="1, Figure 1b",
    paper="3M RM: 0.585 at the peak, 0 at 95 nats; 3B RM: 1.085, level at 88 nats",
)
def ppo_rises_then_falls(evidence: Evidence) -> Finding:
    """Positive beta; gold rises over the first third of sqrt(KL) and falls over the last."""
    cells = size_cells(evidence, "ppo")
    last = changes_in_kl(evidence, cells, "gold", 1 - THIRD, 1)
    over = f"mean over {len(cells)} RM sizes"
    return Finding(
        [
            Condition(
                f"beta of PPO, {over} (sd per sqrt(nat))",
                values(evidence, "beta", cells).mean(axis=1),
                low=0,
            ),
            Condition(
                f"change of gold over the first third of sqrt(KL) with PPO, {over} (sd)",
                changes_in_kl(evidence, cells, "gold", 0, THIRD).mean(axis=1),
                low=0,
            ),
            Condition(
                f"change of gold over the last third of sqrt(KL) with PPO, {over} (sd)",
                last.mean(axis=1),
                high=0,
            ),
        ],
        f"Over that last third gold falls for {_count_below(last)} of {len(cells)} RM sizes.",
    )


@claim(
    "C3",
    title="The proxy keeps rising",
    says="The proxy score goes on rising where gold falls, and leaves it behind.",
    section="1, Figure 1",
)
def proxy_keeps_rising(evidence: Evidence) -> Finding:
    """Over the last third of sqrt(KL) the proxy score rises, and its lead over gold grows."""
    conditions: list[Condition] = []
    for method in methods_with_sizes(evidence):
        cells = size_cells(evidence, method)
        proxy, gold = (
            changes_in_kl(evidence, cells, score, 1 - THIRD, 1).mean(axis=1)
            for score in ("proxy", "gold")
        )
        where = (
            f"over the last third of sqrt(KL) with {METHODS[method].label}, mean over {len(cells)} "
            "RM sizes (sd)"
        )
        conditions.append(Condition(f"change of the proxy score {where}", proxy, low=0))
        conditions.append(Condition(f"change of proxy minus gold {where}", proxy - gold, low=0))
    return Finding(conditions)


@claim(
    "C4",
    title="Gold against proxy is not monotone",
    says="Gold falls as the proxy score rises, so regressional Goodhart alone is refuted.",
    section="4.2.1, Figure 8",
)
def gold_falls_as_proxy_rises(evidence: Evidence) -> Finding:
    """Gold falls over the last third of the proxy score's range, with PPO if it was run."""
    methods = methods_with_sizes(evidence)
    method = "ppo" if "ppo" in methods else "best_of_n"
    cells = size_cells(evidence, method)
    if method == "best_of_n":
        cells = cells.iloc[: (len(cells) + 1) // 2]
    curves = [evidence.statistics.curves[column] for column in cells.index]
    change = np.stack([gold_change_in_proxy(curve, 1 - THIRD, 1) for curve in curves], axis=1)
    return Finding(
        [
            Condition(
                "change of gold over the last third of the proxy score's range with "
                f"{METHODS[method].label}, mean over {len(cells)} RM sizes (sd)",
                change.mean(axis=1),
                high=0,
            )
        ],
        "Were a proxy's error independent of gold, gold would rise with the proxy score "
        f"throughout; it falls for {_count_below(change)} of {len(cells)} RM sizes.",
    )


def methods_with_sizes(evidence: Evidence) -> list[str]:
    """Methods that have a sweep over RM sizes. NotRun if neither has."""
    methods: list[str] = []
    for method in ("best_of_n", "ppo"):
        try:
            size_cells(evidence, method)
        except NotRun:
            continue
        methods.append(method)
    if not methods:
        raise NotRun("neither method has a sweep over RM sizes: switch it on (rm_size)")
    return methods


def _count_below(changes: np.ndarray) -> int:
    return int((changes[0] < 0).sum())
