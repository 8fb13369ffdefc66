"""Beyond the paper: coefficients with the KL estimated, and beside gold's own; its trends."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from overopt.config.methods import METHODS
from overopt.figures.catalog import FITS
from overopt.figures.inputs import FigureTables, nothing_to_draw, sweep_over_sizes
from overopt.figures.points_against_size import (
    ALPHA_UNIT,
    BETA_UNIT,
    RM_SIZE_LABEL,
    draw_points,
    ticks_at,
)
from overopt.figures.registry import figure
from overopt.figures.sample import count_of, note_sample, note_text
from overopt.figures.style import HEIGHT, WIDTH, category_colors, format_count, style

BESIDE = 1.1
QUANTITY_NAMES = {
    "alpha": r"$\alpha$",
    "beta": r"$\beta$",
    "peak_gold": "highest gold",
    "final_gold": "gold at the largest n",
    "validation_loss": "validation loss",
}
AXIS_NAMES = {"num_parameters": "over RM sizes", "num_comparisons": "over amounts of data"}


@figure(
    "kl_estimate",
    category=FITS,
    group="KL of best-of-n",
    title="Coefficients with KL estimated",
)
def figure_kl_estimate(tables: FigureTables) -> Figure:
    """Coefficients of best-of-n with the KL's formula and with its estimate, by RM size.

    Coefficients of best-of-n by reward-model size, with the KL by the formula log n - (n - 1) / n
    and with an estimate that accounts for repeated responses (Beirami et al. 2025).

    **To see:** whether the choice matters: the formula is an upper bound, and exact where no two
    responses are alike.

    **Beside the paper:** not in the paper, which uses the formula. A policy with few likely
    responses saturates below it, and its alpha and beta come out too small.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    # The estimate accounts for repeated responses (Beirami et al. 2025); the formula is an upper
    # bound.
    rows = tables.kl_estimate[~tables.kl_estimate["is_deep"].astype(bool)]
    rows = sweep_over_sizes(tables, rows, "best_of_n")
    x = rows["num_parameters"].to_numpy(dtype=float)
    blue, orange, *_ = category_colors(2)
    units = {"alpha": ALPHA_UNIT, "beta": BETA_UNIT}
    with style():
        figure = Figure(figsize=(WIDTH * 1.35, HEIGHT))
        for axes, (quantity, unit) in zip(figure.subplots(1, 2), units.items(), strict=True):
            draw_points(axes, x, rows, quantity, blue, "KL by the formula")
            label = "KL estimated"
            draw_points(axes, x * BESIDE, rows, f"{quantity}_estimate", orange, label)
            axes.set(xscale="log", xlabel=RM_SIZE_LABEL, ylabel=rf"$\{quantity}$ ({unit})")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_count(value)))
            ticks_at(axes, x.tolist(), min_ratio=2.5)
        gap = rows["max_kl_difference"].max()
        largest = int(rows["max_n"].max())
        figure.axes[0].set_title("Best-of-n: formula and estimate of the KL")
        sample = sweep_over_sizes(tables, tables.peaks, "best_of_n")
        seeds, prompts = count_of(sample["num_seeds"], "seed"), int(sample["num_prompts"].max())
        note_text(
            figure.axes[1],
            f"KLs up to {gap:.2g} nats apart, $n \\leq {largest}$; {seeds}, {prompts} prompts",
        )
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


@figure(
    "gold_ceiling",
    category=FITS,
    group="Ceiling of gold",
    title="Coefficients beside gold's own",
)
def figure_gold_ceiling(tables: FigureTables) -> Figure:
    """Coefficients of best-of-n by RM size, and of best-of-n by the gold RM itself.

    Coefficients of best-of-n by reward-model size (points), and of best-of-n by the gold reward
    model itself (line, with its band).

    **To see:** how much of a proxy's beta is the proxy's fault. Optimizing gold cannot
    overoptimize, so its beta is what the distribution of gold scores gives: 0 or below where scores
    are normal and the best of n goes on rising, above 0 where responses near the best possible are
    common. What lies above the line is what optimizing a proxy adds.

    **Beside the paper:** not in the paper, which does not tell how its gold score is distributed.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    # Optimizing gold cannot overoptimize: its beta is what the distribution of gold scores gives.
    rows = sweep_over_sizes(tables, tables.coefficients, "best_of_n")
    rows = rows[rows["form"] == "best_of_n"]
    ceiling = tables.gold_ceiling.iloc[0]
    x = rows["num_parameters"].to_numpy(dtype=float)
    blue, orange, *_ = category_colors(2)
    with style():
        figure = Figure(figsize=(WIDTH * 1.35, HEIGHT))
        units = {"alpha": ALPHA_UNIT, "beta": BETA_UNIT}
        for axes, (quantity, unit) in zip(figure.subplots(1, 2), units.items(), strict=True):
            draw_points(axes, x, rows, quantity, blue, "optimizing a proxy")
            axes.axhline(ceiling[quantity], color=orange, linewidth=1.2, label="optimizing gold")
            low, high = ceiling[f"{quantity}_low"], ceiling[f"{quantity}_high"]
            axes.axhspan(low, high, color=orange, alpha=0.15, linewidth=0)
            axes.set(xscale="log", xlabel=RM_SIZE_LABEL, ylabel=rf"$\{quantity}$ ({unit})")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_count(value)))
            ticks_at(axes, x.tolist(), min_ratio=2.5)
        figure.axes[0].set_title(r"Best-of-n by proxies, and by gold itself")
        note_sample(figure.axes[1], rows)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


@figure(
    "paper_trends",
    category=FITS,
    group="Beside the paper",
    title="Slopes per decade, the paper's too",
)
def figure_paper_trends(tables: FigureTables) -> Figure:
    """Slopes per decade over the mean, this run's and the paper's, each with its interval.

    Trends of this run beside those read off the paper's figures: least-squares slope per decade of
    reward-model parameters or of data, divided by the quantity's mean. Points to the right rise
    with size, to the left fall. Bars: this run's over prompts and seeds; the paper's from the
    scatter about its line, as it publishes no errors.

    **To see:** which signs agree, and which slopes.

    **Beside the paper:** levels depend on the gold reward model and the task, so only relative
    slopes are compared. The arXiv and ICML versions differ in figure 3. An interval may leave the
    view where a mean is near zero.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    # Of `paper_comparison.csv`. Levels depend on the gold reward model and the task; relative
    # slopes have no unit. Intervals: this run's over prompts and seeds, the paper's from the
    # scatter about its line.
    rows = tables.paper_comparison
    rows = rows[rows["relative_slope"].notna() & rows["paper_relative_slope"].notna()]
    if rows.empty:
        raise nothing_to_draw("trend over three sizes that the paper has too", "rm_size")
    rows = rows.iloc[::-1].reset_index(drop=True)
    blue, orange, *_ = category_colors(2)
    with style():
        figure = Figure(figsize=(WIDTH * 1.2, 0.33 * len(rows) + 1.6))
        axes = figure.add_subplot()
        axes.axvline(0, color="0.7", linewidth=0.8, zorder=0)
        _draw_slopes(axes, rows, "relative_slope", 0.14, blue, "this run")
        _draw_slopes(axes, rows, "paper_relative_slope", -0.14, orange, "the paper")
        axes.set_yticks(range(len(rows)), [_trend_name(row) for row in rows.to_dict("records")])
        axes.tick_params(axis="y", length=0)
        axes.set(ylim=(-0.6, len(rows) - 0.4), title="Trends beside the paper's")
        axes.set_xlabel("slope per decade of the size, over the mean")
        # An interval may be as wide as it likes where the mean is near zero; the view is not.
        shown = ["relative_slope", *(f"paper_relative_slope{end}" for end in ("", "_low", "_high"))]
        reach = 1.25 * float(np.nanmax(np.abs(rows[shown].to_numpy(dtype=float))))
        axes.set_xlim(-reach, reach)
        note_text(axes, "levels are not comparable")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def _draw_slopes(
    axes: Axes, rows: pd.DataFrame, column: str, shift: float, color: object, label: str
) -> None:
    x = rows[column].to_numpy(dtype=float)
    low, high = (rows[f"{column}_{end}"].to_numpy(dtype=float) for end in ("low", "high"))
    bars = np.nan_to_num(np.maximum([x - low, high - x], 0))
    y = np.arange(len(rows)) + shift
    axes.errorbar(x, y, xerr=bars, fmt="o", markersize=4, linewidth=1, color=color, label=label)


def _trend_name(row: dict[str, object]) -> str:
    """In words: the quantity, the method, the axis, and which version of the paper."""
    quantity = QUANTITY_NAMES.get(str(row["quantity"]), str(row["quantity"]))
    method = METHODS[name].label if (name := str(row["method"])) in METHODS else "RM"
    shared = ", one alpha" if row["form"] == "rl_shared_alpha" else ""
    version = {"icml": ", ICML", "arxiv": ", arXiv"}.get(str(row["paper_version"]), "")
    return f"{method}: {quantity}{shared}{version}\n{AXIS_NAMES[str(row['axis'])]}"
