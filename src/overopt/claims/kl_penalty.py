"""
Claims on the KL penalty in PPO (Gao et al. 2022, section 3.6, Figures 9 and 14).

Runs with a penalty are compared with those of the same RM without, at equal KL reached, and, as a
test of an explanation of the difference, with best-of-n and with the exactly tilted distribution.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.curve_statistics import CurveStatistics
from overopt.analysis.group_curves import GroupCurve
from overopt.analysis.sweeps import over
from overopt.claims.curve_readings import RunKL, gold_by_proxy, highest_proxy, on_grid, reach
from overopt.claims.evidence import Evidence, NotRun
from overopt.claims.methods import mean_reading
from overopt.claims.registry import claim
from overopt.claims.verdicts import Condition, Finding
from overopt.config.cells import DATA_KEYS, GROUP_KEYS, RM_KEYS

Array = npt.NDArray[np.float64]

NUM_GRID_POINTS = 25
FIRST_SHARE = 0.2  # of the sqrt(KL) both reach: below it no curve has moved yet
EQUAL_GOLD = 0.1  # sd; the smallest effect on the proxy that the paper's figure 9 shows
PLATEAU = 1.25
LAST_SHARE = 2 / 3
REFERENCES = {"best_of_n": "best-of-n", "tilted": "the tilted distribution"}


class Penalized(NamedTuple):
    """A cell with a KL penalty and the cell without of the same RM: columns of the statistics."""

    cell: pd.Series
    column: int
    free_column: int


def penalized_cells(evidence: Evidence) -> list[Penalized]:
    """Cells of PPO with a penalty that have a cell without, by RM size and coefficient.

    The main policy, deterministic labels. NotRun if there are none.
    """
    groups = evidence.statistics.groups
    ppo = groups[groups["method"] == "ppo"]
    ppo = over(ppo, "kl_coef", *DATA_KEYS, main_policy=evidence.main_policy)
    pairs = []
    for _, cells in ppo.groupby(["num_parameters", *RM_KEYS]):
        free = cells.index[cells["kl_coef"] == 0]
        for column, cell in cells[cells["kl_coef"] > 0].sort_values("kl_coef").iterrows():
            pairs += [Penalized(cell, int(str(column)), int(i)) for i in free]
    if not pairs:
        raise NotRun("no PPO with a KL penalty beside one without: switch on the sweep kl_penalty")
    return pairs


@claim(
    "C43",
    title="KL penalty leaves the frontier",
    says="A KL penalty changes how far RL goes, not the gold score at a given KL.",
    section="3.6, Figure 9",
)
def frontier_is_unmoved(evidence: Evidence) -> Finding:
    """At equal KL, gold is the same with a penalty as without."""
    difference = _differences(evidence, "gold")
    statistic = (
        "gold at equal KL, with penalty minus without, mean over "
        f"{difference.shape[1]} cells with a penalty (sd)"
    )
    note = f"{_by_cell(evidence, difference)} The margin of equivalence is {EQUAL_GOLD} sd."
    condition = Condition(statistic, difference.mean(axis=1), -EQUAL_GOLD, EQUAL_GOLD)
    note = f"{note} {_equal_proxy_text(evidence)} {_explanation_text(evidence)}"
    return Finding([condition], note.strip())


@claim(
    "C44",
    title="KL penalty raises the proxy",
    says="A KL penalty raises the proxy score at a given KL, and so the gap between proxy and "
    "gold.",
    section="3.6, Figure 9",
    paper="+0.10 to +0.19",
)
def penalty_raises_proxy(evidence: Evidence) -> Finding:
    """At equal KL, the penalty raises the proxy score, and the gap between proxy and gold."""
    proxy = _differences(evidence, "proxy")
    gap = proxy - _differences(evidence, "gold")
    over = f"with penalty minus without, mean over {gap.shape[1]} cells with a penalty (sd)"
    conditions = [
        Condition(f"proxy score at equal KL, {over}", proxy.mean(axis=1), low=0),
        Condition(f"proxy minus gold at equal KL, {over}", gap.mean(axis=1), low=0),
    ]
    return Finding(conditions, f"Proxy score: {_by_cell(evidence, proxy)}")


@claim(
    "C45",
    title="KL penalty stops early",
    says="A KL penalty acts as early stopping: the final KL falls with its coefficient, and levels "
    "off in training.",
    section="3.6, Figure 14",
    paper="104, 45, 16.5, 10.6, 2.6 nats at 0, 0.01, 0.05, 0.1, 0.5",
)
def penalty_stops_early(evidence: Evidence) -> Finding:
    """A larger coefficient ends at a lower KL, and with the largest the KL levels off."""
    by_rm: dict[int, list[int]] = {}
    for pair in penalized_cells(evidence):
        by_rm.setdefault(pair.free_column, [pair.free_column]).append(pair.column)
    kl = np.maximum(evidence.statistics.values["final_kl"], 1e-6)
    drops = [np.log(kl[:, c[:-1]] / kl[:, c[1:]]).min(axis=1) for c in by_rm.values()]
    strongest = evidence.statistics.groups.loc[[columns[-1] for columns in by_rm.values()]]
    growth = np.exp(mean_reading(evidence, strongest, _log_late_growth).mean(axis=1))
    over = f"mean over {len(by_rm)} RMs"
    conditions = [
        Condition(
            f"log ratio of the final KL at one coefficient to that at the next, the smallest of "
            f"an RM, {over}",
            np.mean(drops, axis=0),
            low=0,
        ),
        Condition(
            "KL at the end over KL after two thirds of the run, at the largest coefficient, "
            f"{over}",
            growth,
            high=PLATEAU,
        ),
    ]
    groups = evidence.statistics.groups
    texts = [
        f"{groups['proxy_size'][c[0]]} "
        + ", ".join(f"{kl[0, i]:.1f} at {groups['kl_coef'][i]:g}" for i in c)
        for c in by_rm.values()
    ]
    note = (
        f"Final KL in nats by coefficient: {'; '.join(texts)}. Runs without a penalty stop at a "
        "limit of KL, or go on rising. Growing with the square of the step, KL would rise by 2.25 "
        f"in the last third; less than {PLATEAU} counts as level."
    )
    return Finding(conditions, note)


def penalty_explanation(evidence: Evidence) -> pd.DataFrame:
    """Does a penalty bring PPO nearer to best-of-n and to the tilted distribution at equal KL?

    One row per cell with a penalty, reference and score: GROUP_KEYS;
    reference (best_of_n, or tilted: pi_0 exp(proxy / c)); score; max_kl (up to which the three are
    compared, nats); distance_free and distance_penalized, the mean distance of PPO's score from
    the reference's at equal KL without and with the penalty (sd); nearer, the first minus the
    second, with nearer_low and nearer_high, paired: above 0 the penalty brings PPO nearer.
    Zero rows without a penalty or a reference.
    """
    try:
        pairs = penalized_cells(evidence)
    except NotRun:
        pairs = []
    rows = []
    for pair in pairs:
        keys = pair.cell[GROUP_KEYS].to_dict()
        for reference, curve in _references(evidence, pair.cell):
            for score in ("gold", "proxy"):
                distances = _distances(evidence, pair, curve, score)
                rows.append(
                    keys | {"reference": reference, "score": score} | _nearer(evidence, *distances)
                )
    columns = [*GROUP_KEYS, "reference", "score", "max_kl"]
    columns += ["distance_free", "distance_penalized", "nearer", "nearer_low", "nearer_high"]
    return pd.DataFrame(rows, columns=columns)


def _differences(evidence: Evidence, score: str) -> Array:
    """Score with penalty minus without at equal KL, mean over sqrt(KL), (1 + B, cells)."""
    curves = evidence.statistics.curves
    columns = []
    for pair in penalized_cells(evidence):
        both = [curves[pair.column], curves[pair.free_column]]
        grid = _grid(both)
        with_penalty, without = (on_grid(curve, score, grid) for curve in both)
        columns.append((with_penalty - without).mean(axis=1))
    return np.stack(columns, axis=1)


def gold_at_equal_proxy(evidence: Evidence) -> Array:
    """Gold with penalty minus without at equal proxy score, mean over proxy scores, (1 + B, cells).

    Over proxy scores that both reach, from FIRST_SHARE of the highest.
    """
    curves = evidence.statistics.curves
    columns = []
    for pair in penalized_cells(evidence):
        both = [curves[pair.column], curves[pair.free_column]]
        end = min(highest_proxy(curve) for curve in both)
        proxies = np.linspace(FIRST_SHARE * end, end, NUM_GRID_POINTS)
        with_penalty, without = (gold_by_proxy(curve, proxies) for curve in both)
        columns.append((with_penalty - without).mean(axis=1))
    return np.stack(columns, axis=1)


def _equal_proxy_text(evidence: Evidence) -> str:
    difference = gold_at_equal_proxy(evidence)
    mean = difference.mean(axis=1)
    low, high = evidence.statistics.intervals.bounds(mean)
    return (
        f"At equal proxy score gold differs by {mean[0]:+.3f} sd "
        f"({evidence.statistics.confidence:.0%} interval {low:+.3f} to {high:+.3f}): "
        f"{_by_cell(evidence, difference)}"
    )


def _grid(curves: list[GroupCurve]) -> Array:
    end = min(reach(curve) for curve in curves)
    return np.linspace(FIRST_SHARE * end, end, NUM_GRID_POINTS)


def _by_cell(evidence: Evidence, difference: Array) -> str:
    pairs = penalized_cells(evidence)
    texts = [
        f"{pair.cell['proxy_size']} at {pair.cell['kl_coef']:g} {number:+.3f}"
        for pair, number in zip(pairs, difference[0], strict=True)
    ]
    return f"{', '.join(texts)}."


def _log_late_growth(run: RunKL) -> Array:
    at = np.searchsorted(run.steps, LAST_SHARE * run.steps[-1])
    return np.log(np.maximum(run.kl[:, -1], 1e-6) / np.maximum(run.kl[:, at], 1e-6))


def _references(evidence: Evidence, cell: pd.Series) -> Iterator[tuple[str, GroupCurve]]:
    sources: dict[str, CurveStatistics | None] = {
        "best_of_n": evidence.statistics,
        "tilted": evidence.tilted,
    }
    for method, statistics in sources.items():
        if statistics is None:
            continue
        rows = statistics.groups
        rows = rows[(rows["method"] == method) & (rows["policy_size"] == cell["policy_size"])]
        for key in RM_KEYS:
            rows = rows[rows[key] == cell[key]]
        for column in rows.index[:1]:
            yield method, statistics.curves[column]


def _distances(
    evidence: Evidence, pair: Penalized, reference: GroupCurve, score: str
) -> tuple[Array, Array, float]:
    """Distance from the reference without and with penalty, each (1 + B,), and the KL reached."""
    curves = evidence.statistics.curves
    both = [curves[pair.free_column], curves[pair.column]]
    grid = _grid([*both, reference])
    target = on_grid(reference, score, grid)
    free, penalized = (np.abs(on_grid(c, score, grid) - target).mean(axis=1) for c in both)
    return free, penalized, float(grid[-1] ** 2)


def _nearer(evidence: Evidence, free: Array, penalized: Array, max_kl: float) -> dict[str, float]:
    low, high = evidence.statistics.intervals.bounds(free - penalized)
    return {
        "max_kl": max_kl,
        "distance_free": free[0],
        "distance_penalized": penalized[0],
        "nearer": free[0] - penalized[0],
        "nearer_low": float(low),
        "nearer_high": float(high),
    }


def _explanation_text(evidence: Evidence) -> str:
    table = penalty_explanation(evidence)
    texts = []
    for reference, name in REFERENCES.items():
        rows = table[table["reference"] == reference]
        if len(rows):
            is_nearer = (rows["nearer_low"] > 0).sum()
            is_further = (rows["nearer_high"] < 0).sum()
            texts.append(
                f"At equal KL the penalty brings PPO nearer to {name} in {is_nearer} of "
                f"{len(rows)} comparisons of gold or proxy, further away in {is_further}."
            )
    return " ".join(texts)
