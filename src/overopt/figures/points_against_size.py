"""Points with intervals against the size of a reward model or of its data, on a log axis."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from overopt.figures.style import GRAY, HEIGHT, WIDTH, Color, format_count

RM_SIZE_LABEL = "RM parameters"
DATA_SIZE_LABEL = "comparisons the RM is trained on"
PAPER_THRESHOLD = 2000  # comparisons below which the paper sees near-chance losses (section 3.3)
CHANCE_LOSS = float(np.log(2))
ALPHA_UNIT, BETA_UNIT = r"initial-policy sd per $\sqrt{\mathrm{nat}}$", "initial-policy sd per nat"

MARK: dict[str, Any] = {"color": GRAY, "linewidth": 0.8, "linestyle": (0, (4, 2)), "zorder": 0}

Array = npt.NDArray[np.float64]


def size_figure(title: str, xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    """Return a figure and its axes, of which x is a size on a log scale; call it within `style`."""
    figure = Figure(figsize=(WIDTH, HEIGHT))
    axes = figure.add_subplot()
    axes.set(xscale="log", xlabel=xlabel, ylabel=ylabel, title=title)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_count(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    return figure, axes


def ticks_at(axes: Axes, sizes: Sequence[float], min_ratio: float = 1.7) -> None:
    """Put ticks at these sizes, where a size is `min_ratio` times the last that has one."""
    kept: list[float] = []
    for size in sorted(set(sizes)):
        if not kept or size / kept[-1] > min_ratio:
            kept.append(size)
    axes.xaxis.set_major_locator(FixedLocator(kept))
    axes.xaxis.set_minor_locator(NullLocator())


def draw_points(
    axes: Axes,
    x: npt.ArrayLike,
    points: pd.DataFrame,
    quantity: str,
    color: Color | str,
    label: str | None = None,
    *,
    line: bool = False,
) -> None:
    """Draw `quantity` of `points` with its interval, columns quantity, _low and _high."""
    y = points[quantity].to_numpy(dtype=float)
    axes.errorbar(
        np.asarray(x, dtype=float),
        y,
        yerr=error_bars(points, quantity),
        color=color,
        fmt="o-" if line else "o",
        markersize=4,
        linewidth=1.2 if line else 1,
        elinewidth=1,
        label=label,
    )


def error_bars(points: pd.DataFrame, quantity: str) -> Array:
    """Lengths below and above the estimate, shape (2, P); 0 where there is no interval."""
    y = points[quantity].to_numpy(dtype=float)
    low, high = (points[f"{quantity}_{end}"].to_numpy(dtype=float) for end in ("low", "high"))
    return np.nan_to_num(np.maximum([y - low, high - y], 0))


def draw_line(axes: Axes, line: pd.DataFrame, color: Color, label: str) -> None:
    """Draw a regression line with its band, a frame of `trend_lines`; draw none where empty."""
    if line.empty:
        return
    x = line["num_parameters"]
    axes.plot(x, line["fitted"], color=color, linewidth=1.2, label=label)
    axes.fill_between(x, line["low"], line["high"], color=color, alpha=0.15, linewidth=0)


def mark_chance(axes: Axes) -> None:
    """Draw the loss of a coin, log 2, and name it at the axis."""
    axes.axhline(CHANCE_LOSS, **MARK)
    axes.set_ylabel(f"{axes.get_ylabel()}; dashed: chance")


def mark_threshold(axes: Axes) -> None:
    """Draw the paper's threshold of 2,000 comparisons and name it, where the axis reaches it."""
    low, high = axes.get_xlim()
    if low < PAPER_THRESHOLD < high:
        axes.axvline(PAPER_THRESHOLD, **MARK)
        axes.set_xlabel(f"{axes.get_xlabel()}; dashed: the paper's threshold")


def seed_means(proxy_rms: pd.DataFrame, keys: Sequence[str], column: str) -> pd.DataFrame:
    """Mean of `column` over seeds, with the lowest and highest seed as _low and _high.

    A range, not an interval: three seeds have none worth drawing. Ascending in the keys.
    """
    grouped = proxy_rms.groupby(list(keys))
    table = grouped[column].agg([("mean", "mean"), ("low", "min"), ("high", "max")])
    table = table.rename(columns={"mean": column, "low": f"{column}_low", "high": f"{column}_high"})
    return table.assign(num_seeds=grouped.size()).reset_index()
