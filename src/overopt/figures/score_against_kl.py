"""Scores against KL: gold solid with its band, proxy dashed, fits dotted, KL on a square-root axis.

One `Series` is one cell of the study, or an average of several.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from overopt.config.cells import GROUP_KEYS
from overopt.config.methods import METHODS
from overopt.figures.inputs import FigureTables
from overopt.figures.legends import color_legend, line_legend
from overopt.figures.style import GRAY, HEIGHT, WIDTH, Color, format_count, kl_axis, style
from overopt.theory.forms import FORMS

VIEW = (-3.5, 3.5)  # initial-policy sd; beyond it, curves leave the view
GOLD_WIDTH = 2.0
PROXY_LINE: dict[str, Any] = {"linewidth": 1.0, "linestyle": (0, (4, 2))}
FIT_LINE: dict[str, Any] = {"color": "black", "linewidth": 0.7, "linestyle": (0, (1, 1.6))}
SCORE_LABEL = "RM score (initial-policy sd of gold)"
KL_LABEL = "KL from the initial policy (nats, square-root scale)"


@dataclass(frozen=True)
class Series:
    """One curve of a figure.

    Attributes
    ----------
    label, color
        Of the legend.
    curve
        Columns of `overopt.analysis.tables.binned_curves`: kl, sqrt_kl, gold, gold_low, gold_high
        and where it has them proxy, proxy_low, proxy_high.
    fit
        Form of the fit that is drawn ("best_of_n", "rl"), alpha, beta and the initial score that
        the form counts from; None draws no fit.

    """

    label: str
    color: Color
    curve: pd.DataFrame
    fit: tuple[str, float, float, float] | None = None


def series_of(
    tables: FigureTables, rows: pd.DataFrame, labels: Sequence[str], colors: Sequence[Color]
) -> list[Series]:
    """One series per cell, in the order of `rows` (of binned_curves), with the cell's own fit.

    A curve ends where the first of its runs ends: beyond, runs that ended count with their end.
    """
    cells = rows[GROUP_KEYS].drop_duplicates()
    result = []
    for cell, label, color in zip(cells.to_dict("records"), labels, colors, strict=True):
        curve = rows[_is_cell(rows, cell)]
        curve = curve[curve["num_seeds"] == curve["num_seeds"].max()]
        result.append(Series(label, color, curve, _fit_of(tables, cell)))
    return result


def _is_cell(table: pd.DataFrame, cell: dict[str, object]) -> pd.Series:
    return (table[list(cell)] == pd.Series(cell)).all(axis=1)


def _fit_of(
    tables: FigureTables, cell: dict[str, object]
) -> tuple[str, float, float, float] | None:
    form = METHODS[str(cell["method"])].form
    fits = tables.coefficients[tables.coefficients["form"] == form]
    fits = fits[_is_cell(fits, cell)]
    initial = tables.peaks.loc[_is_cell(tables.peaks, cell), "initial_gold"]
    if fits.empty or initial.empty or fits[["alpha", "beta"]].isna().any(axis=None):
        return None
    (alpha, beta), *_ = fits[["alpha", "beta"]].to_numpy(dtype=float).tolist()
    return form, alpha, beta, float(initial.iloc[0])


def score_figure(
    series: Sequence[Series],
    *,
    title: str,
    legend_title: str,
    ylabel: str = SCORE_LABEL,
    line_name: str = "gold",
    has_proxy: bool = True,
    has_peak: bool = False,
) -> Figure:
    """All series on one pair of axes, with legends beside it.

    `line_name`: what the column gold holds. `has_proxy`: whether the proxy score is drawn.
    `has_peak`: whether an asterisk marks the highest point of each gold curve.
    """
    with style():
        figure = Figure(figsize=(WIDTH, HEIGHT))
        axes = figure.add_subplot()
        axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        for one in series:
            _draw_curve(axes, one, has_proxy)
            _draw_fit(axes, one)
            if has_peak:
                _draw_peak(axes, one)
        kl_axis(axes, max(float(one.curve["kl"].max()) for one in series) * 1.02)
        limit_view(axes, [one.curve for one in series], has_proxy)
        axes.set(xlabel=KL_LABEL, ylabel=ylabel, title=title)
        color_legend(figure, [(one.label, one.color) for one in series], legend_title)
        has_fit = any(one.fit is not None for one in series)
        _style_legend(figure, line_name, has_proxy, has_fit, has_peak)
    return figure


def draw_band(axes: Axes, curve: pd.DataFrame, name: str, color: Color, alpha: float) -> None:
    """Draw the interval of one score of a curve."""
    low, high = curve[f"{name}_low"], curve[f"{name}_high"]
    axes.fill_between(curve["kl"], low, high, color=color, alpha=alpha, linewidth=0)


def limit_view(axes: Axes, curves: Sequence[pd.DataFrame], has_proxy: bool) -> None:
    """Show all lines and gold's bands, but no more than VIEW; say so where a curve leaves it."""
    lines = [curve[["gold", "proxy"] if has_proxy else ["gold"]] for curve in curves]
    bands = [curve[["gold_low", "gold_high"]] for curve in curves]
    low, high = _extent(lines)
    lowest, highest = _extent([*lines, *bands])
    margin = 0.05 * (min(highest, VIEW[1]) - max(lowest, VIEW[0]))
    axes.set_ylim(max(lowest - margin, VIEW[0]), min(highest + margin, VIEW[1]))
    if low < VIEW[0] or high > VIEW[1]:
        note = f"view cut at {VIEW[0]:g} and {VIEW[1]:g} sd; curves reach {low:.1f} to {high:.1f}"
        axes.text(0.01, 0.01, note, transform=axes.transAxes, fontsize="small", color=GRAY)


def _extent(tables: Sequence[pd.DataFrame]) -> tuple[float, float]:
    values = np.concatenate([table.to_numpy(dtype=float).ravel() for table in tables])
    return float(np.nanmin(values)), float(np.nanmax(values))


def size_labels(rows: pd.DataFrame) -> list[str]:
    """How the RM sizes of the cells in `rows` are written, in their order."""
    cells = rows[GROUP_KEYS].drop_duplicates()
    return [format_count(number) for number in cells["num_parameters"]]


def _draw_curve(axes: Axes, one: Series, has_proxy: bool) -> None:
    curve = one.curve
    draw_band(axes, curve, "gold", one.color, 0.2)
    axes.plot(curve["kl"], curve["gold"], color=one.color, linewidth=GOLD_WIDTH)
    if has_proxy:
        draw_band(axes, curve, "proxy", one.color, 0.08)
        axes.plot(curve["kl"], curve["proxy"], color=one.color, **PROXY_LINE)


def _draw_fit(axes: Axes, one: Series) -> None:
    if one.fit is None:
        return
    form, alpha, beta, initial = one.fit
    d = np.linspace(0, one.curve["sqrt_kl"].max(), 200)
    axes.plot(d**2, initial + FORMS[form].score(d, alpha, beta), zorder=3, **FIT_LINE)


def _draw_peak(axes: Axes, one: Series) -> None:
    peak = one.curve.loc[one.curve["gold"].idxmax()]
    axes.plot(
        *([peak["kl"]], [peak["gold"]]),
        marker="*",
        markersize=13,
        color=one.color,
        markeredgecolor="white",
        linestyle="none",
        zorder=4,
    )


def _style_legend(
    figure: Figure, line_name: str, has_proxy: bool, has_fit: bool, has_peak: bool
) -> None:
    styles: dict[str, Artist] = {
        line_name: Line2D([], [], color=GRAY, linewidth=GOLD_WIDTH),
        "its interval": Patch(color=GRAY, alpha=0.25, linewidth=0),
    }
    if has_peak:
        styles["its highest"] = Line2D(
            [], [], color=GRAY, marker="*", markersize=11, markeredgecolor="white", linestyle="none"
        )
    if has_fit:
        styles[f"{line_name}, fit"] = Line2D([], [], **FIT_LINE)
    if has_proxy:
        styles["proxy"] = Line2D([], [], color=GRAY, **PROXY_LINE)
    line_legend(figure, styles, "Score")
