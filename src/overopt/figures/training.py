"""PPO in training (Gao et al. 2022, sections 3.4 to 3.6): figures 14, 15, 16, 25."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from overopt.config.cells import CELL_KEYS, GROUP_KEYS
from overopt.figures.catalog import KL_PENALTY, METHODS, POLICY_SIZE
from overopt.figures.inputs import (
    FigureTables,
    nothing_to_draw,
    same_cells,
    sweep_over_penalties,
    sweep_over_policies,
    sweep_over_sizes,
)
from overopt.figures.legends import RM_LEGEND, color_legend, line_legend, size_legend
from overopt.figures.policy_size import policy_label
from overopt.figures.registry import figure
from overopt.figures.sample import count_of, note_text
from overopt.figures.style import (
    GRAY,
    HEIGHT,
    WIDTH,
    Color,
    category_colors,
    format_count,
    kl_axis_upright,
    size_colors,
    style,
)

KL_STEP_LABEL = "KL from the initial policy (nats, square-root scale)"
NUM_STEPS = 101
SMOOTHED = 5  # iterations


@figure(
    "14",
    category=KL_PENALTY,
    group="Training",
    title="KL against PPO iteration, by KL penalty",
)
def figure_14(tables: FigureTables) -> Figure:
    """KL against PPO iteration, by KL penalty (Gao et al. 2022, Fig. 14).

    PPO under several KL penalties. KL from the initial policy in training: thin lines are seeds,
    thick ones their mean as far as all runs go. The vertical axis is a square root, so that growth
    with the square of the iterations is a straight line.

    **To see:** whether the line is straight without a penalty, and whether a penalty ends in a
    plateau, the lower the larger it is.

    **Beside the paper:** figure 14 of Gao et al. 2022, over 3 million completions on a linear axis.
    First iterations that train the value head only stay at 0.
    """
    cells = sweep_over_penalties(tables, tables.peaks)
    colors = size_colors(cells["kl_coef"])
    title = f"PPO, {format_count(cells['num_parameters'].iloc[0])} RM"
    labels = [f"{coefficient:g}" for coefficient in colors]
    return _kl_figure(tables, cells, labels, list(colors.values()), title, "KL penalty")


@figure("15", category=POLICY_SIZE, group="Training", title="KL against PPO iteration, by policy")
def figure_15(tables: FigureTables) -> Figure:
    """KL against PPO iteration, by policy, at the small RM (Gao et al. 2022, Fig. 15).

    PPO of policies of different size against the same reward model. KL from the initial policy in
    training: thin lines are seeds, thick ones their mean as far as all runs go. The vertical axis
    is a square root, so that growth with the square of the iterations is a straight line.

    **To see:** whether the larger policy moves less per iteration.

    **Beside the paper:** figure 15 and footnote 12 of Gao et al. 2022. Learning rates of policies
    differ in both, so that the rate per iteration is not of the size alone.
    """
    cells = sweep_over_policies(tables, tables.peaks, "ppo")
    cells = cells[cells["proxy_size"] == cells["proxy_size"].iloc[0]]
    labels = [policy_label(tables, name) for name in cells["policy_size"]]
    title = f"PPO, {format_count(cells['num_parameters'].iloc[0])} RM"
    return _kl_figure(tables, cells, labels, category_colors(len(cells)), title, "Policy")


@figure("16", category=METHODS, group="Training", title="KL against PPO iteration, by RM size")
def figure_16(tables: FigureTables) -> Figure:
    """KL against PPO iteration, by RM size (Gao et al. 2022, Fig. 16).

    PPO against reward models of every size. KL from the initial policy in training: thin lines are
    seeds, thick ones their mean as far as all runs go. The vertical axis is a square root, so that
    growth with the square of the iterations is a straight line.

    **To see:** whether the lines are straight, and steeper for smaller reward models.

    **Beside the paper:** figure 16 of Gao et al. 2022 (section 3.5: KL grows about quadratically in
    training; there the exponents read off are 1.7 to 2.2). Learning rates rise over the first
    iterations here.
    """
    cells = sweep_over_sizes(tables, tables.peaks, "ppo")
    colors = size_colors(cells["num_parameters"])
    labels = [format_count(size) for size in colors]
    return _kl_figure(
        tables, cells, labels, list(colors.values()), "PPO: KL in training", RM_LEGEND
    )


@figure("25", category=METHODS, group="Training", title="Share of clipped ratios in PPO's updates")
def figure_25(tables: FigureTables) -> Figure:
    """Share of probability ratios that PPO clips, by RM size (Gao et al. 2022, Fig. 25).

    Share of tokens whose probability ratio leaves the clipping range in PPO's updates, by
    reward-model size; mean over the seeds that have reached the iteration and over five iterations.

    **To see:** how large the share is, and whether it bursts, which tells of steps that were too
    large.

    **Beside the paper:** figure 25 of Gao et al. 2022, on which the text makes no claim. Batches
    are smaller here, and the updates per rollout fewer.
    """
    # Mean over the seeds whose run has reached the iteration.
    rows = tables.iterations
    if rows.empty:
        raise nothing_to_draw("PPO run of the main policy without KL penalty", "rm_size")
    rows = rows[~rows["proxy_size"].isin(tables.settings.excluded_sizes)]
    colors = size_colors(rows["num_parameters"])
    with style():
        figure, axes = _training_figure("PPO: clipped ratios")
        label = f"clipped ratios (percent of tokens, mean of {SMOOTHED} iterations)"
        for size, runs in rows.groupby("num_parameters"):
            mean = runs.groupby("step")["clipfrac"].mean().rolling(SMOOTHED, center=True).mean()
            axes.plot(mean.index, mean * 100, color=colors[size], linewidth=1)
        axes.set(xlim=(0, None), ylim=(0, None), ylabel=label)

        note_text(axes, count_of(rows.groupby("proxy_size")["seed"].nunique(), "seed"))
        size_legend(figure, colors)
    return figure


def _kl_figure(
    tables: FigureTables,
    cells: pd.DataFrame,
    labels: Sequence[str],
    colors: Sequence[Color],
    title: str,
    legend_title: str,
) -> Figure:
    """Mean KL over prompts: each seed thin, their mean as far as all runs go."""
    rows = same_cells(tables.curves, cells)
    runs = rows.groupby([*CELL_KEYS, "step"], as_index=False)["kl"].mean()
    with style():
        figure, axes = _training_figure(title)
        for cell, color in zip(cells[GROUP_KEYS].to_dict("records"), colors, strict=True):
            own = same_cells(runs, pd.DataFrame([cell]))
            _draw_runs(axes, [run for _, run in own.groupby("seed")], color)
        axes.set_xlim(left=0)
        kl_axis_upright(axes, float(runs["kl"].max()) * 1.03)
        axes.set(ylabel=KL_STEP_LABEL)
        prompts = tables.curves["prompt_id"].nunique()
        note_text(axes, f"{count_of(cells['num_seeds'], 'seed')}, {prompts} prompts")
        color_legend(figure, zip(labels, colors, strict=True), legend_title)
        lines = {
            "mean": Line2D([], [], color=GRAY, linewidth=2),
            "one seed": Line2D([], [], color=GRAY, linewidth=0.6),
        }
        line_legend(figure, lines)
    return figure


def _draw_runs(axes: Axes, runs: Sequence[pd.DataFrame], color: Color) -> None:
    """Draw each run, and the mean over runs of sqrt(KL), as far as all go."""
    for run in runs:
        axes.plot(run["step"], run["kl"], color=color, linewidth=0.6)
    end = min(float(run["step"].max()) for run in runs)
    steps = np.linspace(0, end, NUM_STEPS)
    roots = [np.interp(steps, run["step"].astype(float), np.sqrt(run["kl"])) for run in runs]
    axes.plot(steps, np.mean(roots, axis=0) ** 2, color=color, linewidth=2)


def _training_figure(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, HEIGHT))
    axes = figure.add_subplot()
    axes.set(title=title, xlabel="PPO iteration (one rollout each)")
    return figure, axes
