"""Amount of reward-model data (Gao et al. 2022, section 3.3): figures 5, 6, 10, 17, 18, 21."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from overopt.config.cells import RM_GROUP_KEYS, RM_KEYS
from overopt.figures.catalog import RM_DATA
from overopt.figures.inputs import FigureTables, nothing_to_draw, sweep_over_data
from overopt.figures.legends import RM_LEGEND, line_legend, size_legend
from overopt.figures.points_against_size import (
    ALPHA_UNIT,
    BETA_UNIT,
    CHANCE_LOSS,
    DATA_SIZE_LABEL,
    MARK,
    draw_points,
    error_bars,
    mark_chance,
    mark_threshold,
    seed_means,
    size_figure,
    ticks_at,
)
from overopt.figures.registry import figure
from overopt.figures.replicates import statistics_of
from overopt.figures.sample import count_of, note_sample, note_text
from overopt.figures.style import (
    GRAY,
    HEIGHT,
    WIDTH,
    format_count,
    size_colors,
    style,
)

SMALLEST_MARKER, LARGEST_MARKER = 3.0, 9.0  # points


@figure("05", category=RM_DATA, group="Validation loss", title="Gold score against the RM's loss")
def figure_05(tables: FigureTables) -> Figure:
    """Gold score of the best of n against the RM's validation loss (Gao et al. 2022, Fig. 5).

    Gold score of the best of n at the largest n against the reward model's loss on held-out
    synthetic comparisons. One point per size (color) and amount of data (area); horizontal bars
    span the seeds.

    **To see:** whether points of equal loss have equal gold, whatever mix of size and data they
    come from.

    **Beside the paper:** figure 5 of Gao et al. 2022, which calls this weak evidence. In the
    paper's own figure, at a loss of about 0.5, points with 32,000 comparisons lie below those with
    90,000; the area of the points shows such a pattern here.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    # One point per RM size and amount of data.
    gold = sweep_over_data(tables, tables.peaks, "best_of_n")
    losses = seed_means(_rms_of(tables, gold), RM_GROUP_KEYS, "validation_loss")
    rows = gold.merge(losses[[*RM_GROUP_KEYS, *_with_bounds("validation_loss")]], on=RM_GROUP_KEYS)
    colors = size_colors(rows["num_parameters"])
    markers = _marker_sizes(rows["num_comparisons"].tolist())
    with style():
        figure = Figure(figsize=(WIDTH, HEIGHT))
        axes = figure.add_subplot()
        axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        y_bars, x_bars = error_bars(rows, "final_gold"), error_bars(rows, "validation_loss")
        for i, row in enumerate(rows.to_dict("records")):
            axes.errorbar(
                *(row["validation_loss"], row["final_gold"]),
                xerr=x_bars[:, [i]],
                yerr=y_bars[:, [i]],
                fmt="o",
                markersize=markers[row["num_comparisons"]],
                color=colors[row["num_parameters"]],
                markeredgecolor="white",
                markeredgewidth=0.5,
                elinewidth=0.6,
            )
        axes.axvline(CHANCE_LOSS, **MARK)
        axes.set(xlabel="validation loss of the RM (nats); dashed: chance")
        axes.set_ylabel(f"gold score at n = {_largest_n(tables)} (initial-policy sd)")
        axes.set_title("Gold score against the RM's loss")
        note_sample(axes, rows)
        size_legend(figure, colors)
        _data_legend(figure, markers)
    return figure


@figure(
    "06",
    category=RM_DATA,
    group="Validation loss",
    title="Loss against amount of data, by RM size",
)
def figure_06(tables: FigureTables) -> Figure:
    """Validation loss against amount of data, by RM size (Gao et al. 2022, Fig. 6).

    Loss of the reward models on held-out synthetic comparisons, by amount of data and size. Bars:
    lowest to highest seed. Horizontal line: the loss of a coin, log 2; vertical line: the 2,000
    comparisons below which the paper sees hardly any learning, where the axis reaches it.

    **To see:** where the loss leaves chance, whether that place moves with size, and whether larger
    reward models then improve faster.

    **Beside the paper:** figure 6 of Gao et al. 2022. There all sizes stay near chance up to 2,000
    comparisons. A world whose task has an easy part leaves chance earlier.
    """
    cells = sweep_over_data(tables, tables.peaks, "best_of_n")
    losses = seed_means(_rms_of(tables, cells), RM_GROUP_KEYS, "validation_loss")
    title = "Validation loss by amount of data"
    with style():
        figure, axes = size_figure(title, DATA_SIZE_LABEL, "validation loss (nats)")
        _draw_by_size(figure, axes, losses, "validation_loss")
        mark_chance(axes)
        mark_threshold(axes)
        note_text(axes, f"{count_of(losses['num_seeds'], 'seed')}; bars: their range")
    return figure


@figure(
    "10",
    category=RM_DATA,
    group="Gold by size and data",
    title="Highest gold score, RM size x data",
)
def figure_10(tables: FigureTables) -> Figure:
    """Highest gold score of best-of-n for every RM size and amount of data (2022, Fig. 10).

    Highest gold score that best-of-n reaches, for every reward-model size and amount of data, with
    half the length of its interval. White cells are not in the study.

    **To see:** whether more parameters and more data both help, and whether one makes up for the
    other.

    **Beside the paper:** figure 10 of Gao et al. 2022 shows the same numbers as curves. A highest
    point of a noisy curve is biased upwards, more so for flat curves.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    rows = sweep_over_data(tables, tables.peaks, "best_of_n")
    half = (rows["peak_gold_high"] - rows["peak_gold_low"]) / 2
    table = rows.assign(half=half).pivot(
        index="num_parameters", columns="num_comparisons", values=["peak_gold", "half"]
    )
    values, halves = table["peak_gold"], table["half"]
    with style():
        figure = Figure(figsize=(WIDTH, HEIGHT))
        axes = figure.add_subplot()
        image = axes.pcolormesh(values.to_numpy(dtype=float), cmap="viridis", edgecolors="white")
        middle = float(np.nanmean(image.get_clim()))
        for (i, j), value in np.ndenumerate(values.to_numpy(dtype=float)):
            if np.isfinite(value):
                text = f"{value:.2f}\n$\\pm${halves.iloc[i, j]:.2f}"
                color = "white" if value < middle else "black"
                axes.text(j + 0.5, i + 0.5, text, ha="center", va="center", color=color, size=7)
        axes.set_xticks(np.arange(values.shape[1]) + 0.5, map(format_count, values.columns))
        axes.set_yticks(np.arange(values.shape[0]) + 0.5, map(format_count, values.index))
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set(xlabel=DATA_SIZE_LABEL, ylabel=RM_LEGEND, title="Highest gold score, best-of-n")
        note_sample(axes, rows)
        figure.colorbar(image, ax=axes, label="highest gold score (initial-policy sd)")
    return figure


@figure(
    "17",
    category=RM_DATA,
    group="Coefficients by data",
    title="Best-of-n: alpha against amount of data",
)
def figure_17(tables: FigureTables) -> Figure:
    """Coefficient alpha of best-of-n against data, mean over RM sizes (2022, Fig. 17).

    Coefficient alpha of the best-of-n form gold = d (alpha - beta d) by amount of data. Colors:
    each reward-model size; black: their mean, with its interval, where every size is trained.

    **To see:** whether alpha follows the amount of data as smoothly as it follows the size.

    **Beside the paper:** figure 17 of Gao et al. 2022, which shows the mean only and finds no clean
    law. The mean is taken in every bootstrap replicate, as sizes share prompts and data.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    return _coefficient_figure(tables, "alpha", ALPHA_UNIT)


@figure(
    "18",
    category=RM_DATA,
    group="Coefficients by data",
    title="Best-of-n: beta against amount of data",
)
def figure_18(tables: FigureTables) -> Figure:
    """Coefficient beta of best-of-n against data, mean over RM sizes (2022, Fig. 18).

    Coefficient beta of the best-of-n form gold = d (alpha - beta d) by amount of data. Colors: each
    reward-model size; black: their mean, with its interval, where every size is trained.

    **To see:** whether beta follows the amount of data as smoothly as it follows the size.

    **Beside the paper:** figure 18 of Gao et al. 2022, which shows the mean only and finds no clean
    law. The mean is taken in every bootstrap replicate, as sizes share prompts and data.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    return _coefficient_figure(tables, "beta", BETA_UNIT)


@figure(
    "21",
    category=RM_DATA,
    group="Gold by size and data",
    title="Gold of the best of n against data",
)
def figure_21(tables: FigureTables) -> Figure:
    """Gold score of the best of n against amount of data, by RM size (2022, Fig. 21).

    Gold score of the best of n at the largest n, by amount of data and size. Vertical line: the
    paper's threshold of 2,000 comparisons, where the axis reaches it.

    **To see:** where gold first exceeds zero, the initial policy's score, and whether larger reward
    models then rise faster.

    **Beside the paper:** figure 21 of Gao et al. 2022. There gold is below zero, worse than no
    optimization, up to 2,000 comparisons.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    rows = sweep_over_data(tables, tables.peaks, "best_of_n")
    ylabel = f"gold score at n = {_largest_n(tables)} (initial-policy sd)"
    with style():
        figure, axes = size_figure("Gold score by amount of data", DATA_SIZE_LABEL, ylabel)
        axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        _draw_by_size(figure, axes, rows, "final_gold")
        mark_threshold(axes)
        note_sample(axes, rows)
    return figure


def _coefficient_figure(tables: FigureTables, quantity: str, unit: str) -> Figure:
    rows = sweep_over_data(tables, tables.coefficients, "best_of_n")
    rows = rows[rows["form"] == "best_of_n"]
    means = _mean_over_sizes(tables, rows, quantity)
    if means.empty:
        raise nothing_to_draw("amount of data at which every RM size is trained", "rm_data")
    form = r"gold $= d\,(\alpha - \beta d)$"
    title = rf"Best-of-n: $\{quantity}$ of {form}"
    with style():
        figure, axes = size_figure(title, DATA_SIZE_LABEL, rf"$\{quantity}$ ({unit})")
        colors = size_colors(rows["num_parameters"])
        for size, points in rows.groupby("num_parameters"):
            axes.plot(
                *(points["num_comparisons"], points[quantity]),
                color=colors[size],
                marker="o",
                markersize=2.5,
                linewidth=0.8,
            )
        draw_points(axes, means["num_comparisons"], means, quantity, "black", line=True)
        ticks_at(axes, rows["num_comparisons"].tolist())
        mark_threshold(axes)
        note_sample(axes, rows)
        size_legend(figure, colors)
        number = int(means["num_sizes"].iloc[0])
        mean = Line2D([], [], color="black", marker="o", markersize=4, linewidth=1.2)
        line_legend(figure, {f"mean of\n{number} sizes": mean})
    return figure


def _mean_over_sizes(tables: FigureTables, rows: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Mean over RM sizes in every replicate, at the amounts of data that all sizes have."""
    statistics = statistics_of(tables, rows)
    groups = statistics.groups
    num_sizes = groups.groupby("num_comparisons")["proxy_size"].transform("nunique")
    table = []
    for amount, cells in groups[num_sizes == groups["proxy_size"].nunique()].groupby(
        "num_comparisons"
    ):
        values = statistics.values[quantity][:, cells.index.to_numpy()].mean(axis=1)
        low, high = statistics.intervals.bounds(values)
        numbers = {quantity: values[0], f"{quantity}_low": low, f"{quantity}_high": high}
        table.append({"num_comparisons": amount, "num_sizes": len(cells)} | numbers)
    return pd.DataFrame(table)


def _rms_of(tables: FigureTables, cells: pd.DataFrame) -> pd.DataFrame:
    """The proxy RMs of these cells, one row per seed."""
    return tables.proxy_rms.merge(cells[RM_KEYS].drop_duplicates(), on=RM_KEYS)


def _draw_by_size(figure: Figure, axes: Axes, rows: pd.DataFrame, quantity: str) -> None:
    """Draw `quantity` against the amount of data, a line for each RM size."""
    colors = size_colors(rows["num_parameters"])
    sizes = np.array(sorted(colors))
    spread = np.linspace(-0.02, 0.02, len(sizes))  # decades; else bars hide one another
    for shift, (size, points) in zip(spread, rows.groupby("num_parameters"), strict=True):
        x = points["num_comparisons"].to_numpy(dtype=float) * 10**shift
        draw_points(axes, x, points, quantity, colors[size], line=True)
    ticks_at(axes, rows["num_comparisons"].tolist())
    size_legend(figure, colors)


def _data_legend(figure: Figure, markers: dict[float, float]) -> None:
    lines = {
        format_count(amount): Line2D([], [], color=GRAY, marker="o", markersize=size, linewidth=0)
        for amount, size in reversed(markers.items())
    }
    line_legend(figure, lines, "comparisons")


def _marker_sizes(amounts: list[float]) -> dict[float, float]:
    """Width of a marker by amount of data, even in rank."""
    ordered = sorted(set(amounts))
    widths = np.linspace(SMALLEST_MARKER, LARGEST_MARKER, len(ordered))
    return dict(zip(ordered, widths.tolist(), strict=True))


def _with_bounds(column: str) -> list[str]:
    return [column, f"{column}_low", f"{column}_high"]


def _largest_n(tables: FigureTables) -> int:
    return int(tables.binned_curves["n"].max())
