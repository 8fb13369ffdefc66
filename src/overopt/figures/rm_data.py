"""Amount of reward-model data (Gao et al. 2022, section 3.3): figures 5, 6, 10, 17, 18, 21."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from overopt.analysis.bootstrap import percentile_interval
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

RM_KEYS = ["proxy_size", "num_parameters", "num_comparisons"]
SMALLEST_MARKER, LARGEST_MARKER = 3.0, 9.0  # points


def figure_05(tables: FigureTables) -> Figure:
    """Gold score of the best of n against the RM's validation loss (Gao et al. 2022, Fig. 5).

    One point per RM size and amount of data.
    """
    gold = sweep_over_data(tables, tables.peaks, "best_of_n")
    losses = seed_means(_rms_of(tables, gold), RM_KEYS, "validation_loss")
    rows = gold.merge(losses[[*RM_KEYS, *_with_bounds("validation_loss")]], on=RM_KEYS)
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


def figure_06(tables: FigureTables) -> Figure:
    """Validation loss against amount of data, by RM size (Gao et al. 2022, Fig. 6)."""
    cells = sweep_over_data(tables, tables.peaks, "best_of_n")
    losses = seed_means(_rms_of(tables, cells), RM_KEYS, "validation_loss")
    title = "Validation loss by amount of data"
    with style():
        figure, axes = size_figure(title, DATA_SIZE_LABEL, "validation loss (nats)")
        _draw_by_size(figure, axes, losses, "validation_loss")
        mark_chance(axes)
        mark_threshold(axes)
        note_text(axes, f"{count_of(losses['num_seeds'], 'seed')}; bars: their range")
    return figure


def figure_10(tables: FigureTables) -> Figure:
    """Highest gold score of best-of-n for every RM size and amount of data (2022, Fig. 10)."""
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


def figure_17(tables: FigureTables) -> Figure:
    """Coefficient alpha of best-of-n against data, mean over RM sizes (2022, Fig. 17)."""
    return _coefficient_figure(tables, "alpha", ALPHA_UNIT)


def figure_18(tables: FigureTables) -> Figure:
    """Coefficient beta of best-of-n against data, mean over RM sizes (2022, Fig. 18)."""
    return _coefficient_figure(tables, "beta", BETA_UNIT)


def figure_21(tables: FigureTables) -> Figure:
    """Gold score of the best of n against amount of data, by RM size (2022, Fig. 21)."""
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
        low, high = percentile_interval(values, statistics.confidence)
        numbers = {quantity: values[0], f"{quantity}_low": low, f"{quantity}_high": high}
        table.append({"num_comparisons": amount, "num_sizes": len(cells)} | numbers)
    return pd.DataFrame(table)


def _rms_of(tables: FigureTables, cells: pd.DataFrame) -> pd.DataFrame:
    """The proxy RMs of these cells, one row per seed."""
    keys = ["proxy_size", "labels", "num_comparisons", "num_epochs"]
    return tables.proxy_rms.merge(cells[keys].drop_duplicates(), on=keys)


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
