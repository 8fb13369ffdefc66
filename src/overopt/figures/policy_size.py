"""Policy size (Gao et al. 2022, section 3.4): figures 7, 22, 23, 24."""

import pandas as pd
from matplotlib.figure import Figure

from overopt.analysis.curve_statistics import initial_scores
from overopt.analysis.group_curves import GROUP_KEYS
from overopt.analysis.tables import band_table
from overopt.figures.inputs import (
    FigureTables,
    nothing_to_draw,
    same_cells,
    sweep_over_policies,
)
from overopt.figures.replicates import statistics_of
from overopt.figures.sample import note_sample
from overopt.figures.score_against_kl import Series, score_figure, series_of
from overopt.figures.style import category_colors, format_count

LEGEND = "Policy"


def figure_07a(tables: FigureTables) -> Figure:
    """Best-of-n of several policies against one small RM (Gao et al. 2022, Fig. 7a)."""
    return _scores_by_policy(tables, "best_of_n", "Best-of-n")


def figure_07b(tables: FigureTables) -> Figure:
    """PPO of several policies against one small RM (Gao et al. 2022, Fig. 7b)."""
    return _scores_by_policy(tables, "ppo", "PPO")


def figure_22(tables: FigureTables) -> Figure:
    """PPO of several policies against a large RM (Gao et al. 2022, Fig. 22)."""
    sizes = sweep_over_policies(tables, tables.binned_curves, "ppo")["proxy_size"].unique()
    if len(sizes) < 2:
        raise nothing_to_draw("PPO result of two policies against a second RM", "policy_size")
    return _scores_by_policy(tables, "ppo", "PPO", largest=True)


def figure_23(tables: FigureTables) -> Figure:
    """The gain of figure 7b: scores minus those of each policy's start (Gao et al. 2022, Fig. 23).

    Gold and proxy count from the policy's own initial scores, in every replicate.
    """
    rows = _policy_cells(tables, "ppo")
    statistics = statistics_of(tables, rows)
    curves = same_cells(tables.curves, rows)
    initial = {name: initial_scores(curves, statistics, name) for name in ("gold", "proxy")}
    series = []
    for label, color, column in _columns(tables, rows, statistics.groups):
        curve = statistics.curves[column]
        gains = {name: curve.scores[name] - start[:, [column]] for name, start in initial.items()}
        series.append(Series(label, color, _whole(band_table(curve, gains, statistics.confidence))))
    title = f"PPO, {_rm_name(rows)}: gain"
    ylabel = "gain in RM score (initial-policy sd of gold)"
    figure = score_figure(series, title=title, legend_title=LEGEND, ylabel=ylabel, has_peak=True)
    note_sample(figure.axes[0], rows)
    return figure


def figure_24(tables: FigureTables) -> Figure:
    """Proxy minus gold against KL, by policy (Gao et al. 2022, Fig. 24)."""
    rows = _policy_cells(tables, "ppo")
    statistics = statistics_of(tables, rows)
    series = []
    for label, color, column in _columns(tables, rows, statistics.groups):
        curve = statistics.curves[column]
        gap = {"gold": curve.scores["proxy"] - curve.scores["gold"]}
        series.append(Series(label, color, _whole(band_table(curve, gap, statistics.confidence))))
    figure = score_figure(
        series,
        title=f"PPO, {_rm_name(rows)}: proxy minus gold",
        legend_title=LEGEND,
        ylabel="proxy minus gold score (initial-policy sd)",
        line_name="proxy minus gold",
        has_proxy=False,
    )
    note_sample(figure.axes[0], rows)
    return figure


def policy_label(tables: FigureTables, policy_size: str) -> str:
    """Name of a policy in a legend."""
    return f"{policy_size} (main)" if policy_size == tables.settings.main_policy else policy_size


def _scores_by_policy(
    tables: FigureTables, method: str, method_name: str, *, largest: bool = False
) -> Figure:
    rows = sweep_over_policies(tables, tables.binned_curves, method)
    rows = rows[rows["proxy_size"] == rows["proxy_size"].iloc[-1 if largest else 0]]
    policies = rows["policy_size"].unique()
    labels = [policy_label(tables, name) for name in policies]
    series = series_of(tables, rows, labels, category_colors(len(policies)))
    title = f"{method_name}, {_rm_name(rows)}"
    figure = score_figure(series, title=title, legend_title=LEGEND, has_peak=True)
    note_sample(figure.axes[0], same_cells(tables.peaks, rows))
    return figure


def _policy_cells(tables: FigureTables, method: str) -> pd.DataFrame:
    """Cells of the small RM, the main policy first."""
    rows = sweep_over_policies(tables, tables.peaks, method)
    return rows[rows["proxy_size"] == rows["proxy_size"].iloc[0]]


def _columns(
    tables: FigureTables, rows: pd.DataFrame, groups: pd.DataFrame
) -> list[tuple[str, tuple[float, float, float], int]]:
    """Label, color and position among the groups of each cell."""
    position = {
        key: i for i, key in enumerate(groups[GROUP_KEYS].itertuples(index=False, name=None))
    }
    keys = rows[GROUP_KEYS].itertuples(index=False, name=None)
    labels = [policy_label(tables, name) for name in rows["policy_size"]]
    colors = category_colors(len(rows))
    return [
        (label, color, position[key])
        for label, color, key in zip(labels, colors, keys, strict=True)
    ]


def _whole(curve: pd.DataFrame) -> pd.DataFrame:
    """The part of a curve that all its runs reach."""
    return curve[curve["num_seeds"] == curve["num_seeds"].max()]


def _rm_name(rows: pd.DataFrame) -> str:
    return f"{format_count(rows['num_parameters'].iloc[0])} RM"
