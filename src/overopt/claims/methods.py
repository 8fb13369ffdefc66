"""Claims on RL against best-of-n (Gao et al. 2022, section 3.5, Figures 8, 14, 16)."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from overopt.analysis.group_curves import GroupCurve
from overopt.claims.curve_readings import (
    RunKL,
    gold_by_proxy,
    highest_proxy,
    mean_over_runs,
    on_grid,
    reach,
    run_kls,
)
from overopt.claims.evidence import Evidence, NotRun, size_cells, values
from overopt.claims.fitted_forms import count_above
from overopt.claims.registry import claim
from overopt.claims.verdicts import Condition, Finding
from overopt.config.cells import RM_KEYS

Array = npt.NDArray[np.float64]

NUM_GRID_POINTS = 25
FIRST_SHARE = 1 / 6  # of a run that the paper's log-log slopes leave out (0.5e6 of 2.95e6 steps)
QUADRATIC = (1.5, 2.5)
NUM_PARTS = 5
EARLY_PROXY = (0.25, 0.75)


@claim(
    "C37",
    title="RL uses more KL",
    says="RL consumes far more KL than best-of-n up to the peak of gold.",
    section="3.5",
    paper="13-18 against 4-5 nats for the smallest RM, 25 against 6 for the third",
)
def rl_consumes_more_kl(evidence: Evidence) -> Finding:
    """The KL at the gold peak of PPO over that of best-of-n is above 1."""
    best_of_n, ppo = matched_cells(evidence)
    rl_kl, bon_kl = values(evidence, "kl_at_peak", ppo), values(evidence, "kl_at_peak", best_of_n)
    ends = values(evidence, "final_kl", best_of_n)
    num_open = int((bon_kl[0] >= ends[0] - 1e-9).sum())
    statistic = f"KL at the gold peak, PPO over best-of-n, means over {len(ppo)} RM sizes"
    note = (
        f"{rl_kl[0].mean():.1f} against {bon_kl[0].mean():.1f} nats; it is more at "
        f"{count_above(rl_kl - bon_kl)} RM sizes. At {num_open} of them best-of-n still rises at "
        "the largest n, so its peak lies further than counted here."
    )
    means = rl_kl.mean(axis=1), bon_kl.mean(axis=1)
    return Finding([Condition(statistic, means[0], low=1, denominator=means[1])], note)


@claim(
    "C38",
    title="KL of RL grows quadratically",
    says="Without a KL penalty the KL of RL grows about quadratically in the number of steps.",
    section="3.5, Figures 14 and 16",
    paper="slopes of 1.7 and 2.2",
)
def rl_kl_is_quadratic(evidence: Evidence) -> Finding:
    """Without a penalty the KL of PPO grows about with the square of the step."""
    cells = size_cells(evidence, "ppo")
    slopes = mean_reading(evidence, cells, _log_log_slope)
    statistic = (
        f"slope of log KL on log step, PPO without KL penalty, mean over {slopes.shape[1]} RM sizes"
    )
    note = (
        f"From {slopes[0].min():.2f} to {slopes[0].max():.2f} over RM sizes; evaluations in the "
        "first sixth of a run are left out. About quadratic is taken as "
        f"{QUADRATIC[0]} to {QUADRATIC[1]}. That the KL of best-of-n grows as log n is an identity."
    )
    return Finding([Condition(statistic, slopes.mean(axis=1), *QUADRATIC)], note)


@claim(
    "C39",
    title="KL of RL rises monotonically",
    says="The KL of RL rises about monotonically in training.",
    section="1, Figure 14",
)
def rl_kl_is_monotone(evidence: Evidence) -> Finding:
    """The KL of PPO rises monotonically in training."""
    cells = size_cells(evidence, "ppo")
    rises = mean_reading(evidence, cells, _smallest_rise)
    lowest = mean_reading(evidence, cells, _rank_correlation)[0].min()
    statistic = (
        "smallest rise of log KL between one fifth of a run and the next, PPO without KL "
        f"penalty, mean over {rises.shape[1]} RM sizes"
    )
    note = (
        f"It rises throughout at {count_above(rises)} RM sizes; the rank correlation of KL with "
        f"step is at least {lowest:.3f} at each."
    )
    return Finding([Condition(statistic, rises.mean(axis=1), low=0)], note)


@claim(
    "C40",
    title="Methods agree better against proxy score",
    says="As curves of gold against proxy score, best-of-n and RL agree better than against KL.",
    section="3.5, Figure 8",
)
def proxy_axis_agrees_better(evidence: Evidence) -> Finding:
    """Curves of gold against proxy differ less between methods than those against KL."""
    by_kl, by_proxy = [], []
    for best_of_n, ppo in _matched_curves(evidence):
        grid = _grid(0, min(reach(best_of_n), reach(ppo)))
        gold = [on_grid(curve, "gold", grid) for curve in (best_of_n, ppo)]
        by_kl.append(np.abs(gold[1] - gold[0]).mean(axis=1))
        grid = _grid(0, min(highest_proxy(best_of_n), highest_proxy(ppo)))
        gold = [gold_by_proxy(curve, grid) for curve in (best_of_n, ppo)]
        by_proxy.append(np.abs(gold[1] - gold[0]).mean(axis=1))
    difference = np.stack(by_kl, axis=1) - np.stack(by_proxy, axis=1)
    statistic = (
        "mean distance between the gold curves of PPO and best-of-n, against sqrt(KL) minus "
        f"against proxy score, mean over {difference.shape[1]} RM sizes (sd)"
    )
    note = (
        f"{np.mean([d[0] for d in by_kl]):.3f} sd at equal KL, "
        f"{np.mean([d[0] for d in by_proxy]):.3f} at equal proxy score, each on average over the "
        f"range both methods reach. Closer at equal proxy at {count_above(difference)} RM sizes."
    )
    return Finding([Condition(statistic, difference.mean(axis=1), low=0)], note)


@claim(
    "C41",
    title="RL starts with the larger gap",
    says="At first RL has the larger gap: lower gold at the same proxy score than best-of-n.",
    section="3.5, Figure 8",
)
def rl_starts_with_larger_gap(evidence: Evidence) -> Finding:
    """At first, PPO has a lower gold score than best-of-n at the same proxy score."""
    differences = []
    for best_of_n, ppo in _matched_curves(evidence):
        end = min(EARLY_PROXY[1], highest_proxy(best_of_n), highest_proxy(ppo))
        if end > EARLY_PROXY[0]:
            grid = _grid(EARLY_PROXY[0], end)
            gold = [gold_by_proxy(curve, grid).mean(axis=1) for curve in (best_of_n, ppo)]
            differences.append(gold[1] - gold[0])
    if not differences:
        raise NotRun(f"no RM's proxy score reaches {EARLY_PROXY[0]} sd with both methods")
    difference = np.stack(differences, axis=1)
    statistic = (
        f"gold at a proxy score of {EARLY_PROXY[0]} to {EARLY_PROXY[1]} sd, PPO minus best-of-n, "
        f"mean over {difference.shape[1]} RM sizes (sd)"
    )
    note = f"PPO has the lower gold score at {count_above(-difference)} RM sizes."
    return Finding([Condition(statistic, difference.mean(axis=1), high=0)], note)


@claim(
    "C42",
    title="RL peaks higher",
    says="RL reaches a higher peak of gold than best-of-n.",
    section="3.5, Figure 8",
    paper="+0.03 to +0.085 for the four smallest RMs, -0.03 to -0.16 for the five largest",
)
def rl_peaks_higher(evidence: Evidence) -> Finding:
    """The highest gold score of PPO is above that of best-of-n."""
    best_of_n, ppo = matched_cells(evidence)
    peaks = [values(evidence, "peak_gold", cells) for cells in (best_of_n, ppo)]
    difference = peaks[1] - peaks[0]
    sizes = [
        f"{size} {number:+.2f}"
        for size, number in zip(ppo["proxy_size"], difference[0], strict=True)
    ]
    statistic = f"peak gold score, PPO minus best-of-n, mean over {len(ppo)} RM sizes (sd)"
    note = (
        f"By RM size, small to large: {', '.join(sizes)}. In the paper's own figures it holds for "
        "the four smallest RMs only. The highest of many noisy points is biased upwards, more for "
        "PPO, which has more points."
    )
    return Finding([Condition(statistic, difference.mean(axis=1), low=0)], note)


def matched_cells(evidence: Evidence) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cells of best-of-n and of PPO with the same RMs, by RM size. NotRun if there are none."""
    both = [size_cells(evidence, method, at_least=1) for method in ("best_of_n", "ppo")]
    rms = both[0][RM_KEYS].merge(both[1][RM_KEYS])
    if rms.empty:
        raise NotRun("no RM of the size sweep was optimized with both best-of-n and PPO")
    matched = [
        cells.reset_index(names="column").merge(rms, on=RM_KEYS).set_index("column")
        for cells in both
    ]
    return matched[0], matched[1]


def _matched_curves(evidence: Evidence) -> list[tuple[GroupCurve, GroupCurve]]:
    curves = evidence.statistics.curves
    best_of_n, ppo = matched_cells(evidence)
    return [(curves[i], curves[j]) for i, j in zip(best_of_n.index, ppo.index, strict=True)]


def _grid(start: float, end: float) -> Array:
    return np.linspace(start, end, NUM_GRID_POINTS)


def mean_reading(evidence: Evidence, cells: pd.DataFrame, read: Callable[[RunKL], Array]) -> Array:
    """Mean over the runs of each cell of `read(run)`, shape (1 + B, cells)."""
    columns = []
    for _, cell in cells.iterrows():
        runs = list(run_kls(evidence, cell))
        columns.append(mean_over_runs(evidence, runs, [read(run) for run in runs]))
    return np.stack(columns, axis=1)


def _log_log_slope(run: RunKL) -> Array:
    is_late = run.steps >= FIRST_SHARE * run.steps.max()
    x = np.log(run.steps[is_late])
    y = np.log(np.maximum(run.kl[:, is_late], 1e-6))
    x = x - x.mean()
    return y @ x / (x @ x)


def _smallest_rise(run: RunKL) -> Array:
    """A rank correlation of exactly 1 in every replicate would leave nothing to test."""
    parts = np.array_split(np.arange(len(run.steps)), NUM_PARTS)
    means = np.stack([run.kl[:, part].mean(axis=1) for part in parts], axis=1)
    return np.diff(np.log(np.maximum(means, 1e-6)), axis=1).min(axis=1)


def _rank_correlation(run: RunKL) -> Array:
    x, y = rankdata(run.steps), rankdata(run.kl, axis=1)
    x, y = x - x.mean(), y - y.mean(axis=1, keepdims=True)
    return y @ x / np.sqrt((x @ x) * (y**2).sum(axis=1))
