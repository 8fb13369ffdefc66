"""Policy size (Gao et al. 2022, section 3.4): figures 7, 22, 23, 24."""

import pandas as pd
from matplotlib.figure import Figure

from overopt.analysis.curve_statistics import initial_scores
from overopt.analysis.tables import band_table
from overopt.config.cells import GROUP_KEYS
from overopt.figures.catalog import POLICY_SIZE
from overopt.figures.inputs import (
    FigureTables,
    nothing_to_draw,
    same_cells,
    sweep_over_policies,
)
from overopt.figures.registry import figure
from overopt.figures.replicates import statistics_of
from overopt.figures.sample import note_sample
from overopt.figures.score_against_kl import Series, score_figure, series_of
from overopt.figures.style import category_colors, format_count

LEGEND = "Policy"


@figure("07a", category=POLICY_SIZE, group="Small RM", title="Best-of-n, by policy")
def figure_07a(tables: FigureTables) -> Figure:
    """Best-of-n of several policies against one small RM (Gao et al. 2022, Fig. 7a).

    Best-of-n of policies of different size against the same reward model, the smallest that the
    policies share. Asterisks: highest point of gold. Each policy starts at its own initial score;
    zero is the main policy's.

    **To see:** whether the larger policy starts higher, gains less, and peaks at the same KL.

    **Beside the paper:** figure 7a of Gao et al. 2022, with policies of 1.2B and 6B parameters and
    a 12M reward model. Other policies of the study that share the reward model are drawn too, such
    as one of the same size that was trained longer: it tells size from training.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    return _scores_by_policy(tables, "best_of_n", "Best-of-n")


@figure("07b", category=POLICY_SIZE, group="Small RM", title="PPO, by policy")
def figure_07b(tables: FigureTables) -> Figure:
    """PPO of several policies against one small RM (Gao et al. 2022, Fig. 7b).

    PPO of policies of different size against the same reward model, the smallest that the policies
    share. Asterisks: highest point of gold. Each policy starts at its own initial score; zero is
    the main policy's.

    **To see:** whether the larger policy starts higher, gains less, and peaks at the same KL.

    **Beside the paper:** figure 7b of Gao et al. 2022, with policies of 1.2B and 6B parameters and
    a 12M reward model. Other policies of the study that share the reward model are drawn too, such
    as one of the same size that was trained longer: it tells size from training.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    return _scores_by_policy(tables, "ppo", "PPO")


@figure("22", category=POLICY_SIZE, group="Large RM", title="PPO, by policy")
def figure_22(tables: FigureTables) -> Figure:
    """PPO of several policies against a large RM (Gao et al. 2022, Fig. 22).

    PPO of policies of different size against the largest reward model that they share. Asterisks:
    highest point of gold.

    **To see:** whether the picture of figure 7b holds for a reward model that is hard to
    overoptimize.

    **Beside the paper:** figure 22 of Gao et al. 2022, with its 3B reward model.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    sizes = sweep_over_policies(tables, tables.binned_curves, "ppo")["proxy_size"].unique()
    if len(sizes) < 2:
        raise nothing_to_draw("PPO result of two policies against a second RM", "policy_size")
    return _scores_by_policy(tables, "ppo", "PPO", largest=True)


@figure("23", category=POLICY_SIZE, group="Small RM", title="PPO, gain by policy")
def figure_23(tables: FigureTables) -> Figure:
    """The gain of figure 7b: scores minus those of each policy's start (Gao et al. 2022, Fig. 23).

    The runs of figure 7b, each counted from its own policy's initial scores, gold and proxy.

    **To see:** whether the smaller policy gains more.

    **Beside the paper:** figure 23 of Gao et al. 2022. Initial scores are those of the pool of
    best-of-n, more accurate than the first evaluation of a run.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    # Gold and proxy count from the policy's own initial scores, in every replicate.
    rows = _policy_cells(tables, "ppo")
    statistics = statistics_of(tables, rows)
    curves = same_cells(tables.curves, rows)
    initial = {name: initial_scores(curves, statistics, name) for name in ("gold", "proxy")}
    series = []
    for label, color, column in _columns(tables, rows, statistics.groups):
        curve = statistics.curves[column]
        gains = {name: curve.scores[name] - start[:, [column]] for name, start in initial.items()}
        series.append(Series(label, color, _whole(band_table(curve, gains, statistics.intervals))))
    title = f"PPO, {_rm_name(rows)}: gain"
    ylabel = "gain in RM score (initial-policy sd of gold)"
    figure = score_figure(series, title=title, legend_title=LEGEND, ylabel=ylabel, has_peak=True)
    note_sample(figure.axes[0], rows)
    return figure


@figure("24", category=POLICY_SIZE, group="Small RM", title="PPO, proxy minus gold by policy")
def figure_24(tables: FigureTables) -> Figure:
    """Proxy minus gold against KL, by policy (Gao et al. 2022, Fig. 24).

    Proxy minus gold score in the runs of figure 7b, against KL.

    **To see:** whether the gap between what is optimized and what is wanted grows with KL alike for
    all policies.

    **Beside the paper:** figure 24 of Gao et al. 2022, whose caption refers to itself; the gap is
    of the runs of figure 7b. Its interval is of the difference, paired by prompt and seed.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    rows = _policy_cells(tables, "ppo")
    statistics = statistics_of(tables, rows)
    series = []
    for label, color, column in _columns(tables, rows, statistics.groups):
        curve = statistics.curves[column]
        gap = {"gold": curve.scores["proxy"] - curve.scores["gold"]}
        series.append(Series(label, color, _whole(band_table(curve, gap, statistics.intervals))))
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
