"""The shape of the curves (Gao et al. 2022, section 3.1): figures 1, 8 and 20."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from overopt.figures.inputs import FigureTables, sweep_over_sizes
from overopt.figures.legends import RM_LEGEND, line_legend, size_legend
from overopt.figures.sample import note_sample
from overopt.figures.score_against_kl import (
    FIT_LINE,
    GOLD_WIDTH,
    KL_LABEL,
    PROXY_LINE,
    SCORE_LABEL,
    draw_band,
    limit_view,
    score_figure,
    series_of,
    size_labels,
)
from overopt.figures.style import GRAY, HEIGHT, WIDTH, kl_axis, size_colors, style

RL_LINE: dict[str, Any] = {"linewidth": 1.3, "linestyle": (0, (5, 1.5, 1, 1.5))}
GOLD_LINE: dict[str, Any] = {"linewidth": GOLD_WIDTH}
THICK_PROXY: dict[str, Any] = PROXY_LINE | {"linewidth": 1.5}


def figure_01a(tables: FigureTables) -> Figure:
    """Best-of-n: gold and proxy score against KL, by RM size (Gao et al. 2022, Fig. 1a)."""
    return _scores_by_size(tables, "best_of_n", "Best-of-n: gold and proxy score")


def figure_01b(tables: FigureTables) -> Figure:
    """PPO: gold and proxy score against KL, by RM size (Gao et al. 2022, Fig. 1b).

    A curve ends where the first of its runs ends. The fits have an alpha of their own each.
    """
    return _scores_by_size(tables, "ppo", "PPO: gold and proxy score")


def figure_08(tables: FigureTables) -> Figure:
    """Gold against proxy score, best-of-n and PPO, by RM size (Gao et al. 2022, Fig. 8)."""
    curves = {m: sweep_over_sizes(tables, tables.binned_curves, m) for m in ("best_of_n", "ppo")}
    colors = size_colors(pd.concat(curves.values())["num_parameters"])
    with style():
        figure = Figure(figsize=(WIDTH, HEIGHT))
        axes = figure.add_subplot()
        axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        for method, rows in curves.items():
            line = RL_LINE if method == "ppo" else GOLD_LINE
            for size, curve in rows.groupby("num_parameters"):
                curve = curve[curve["num_seeds"] == curve["num_seeds"].max()]
                color, x = colors[size], curve["proxy"]
                low, high = curve["gold_low"], curve["gold_high"]
                axes.fill_between(x, low, high, color=color, alpha=0.1, linewidth=0)
                axes.plot(x, curve["gold"], color=color, **line)
        _limit_to_both(axes, curves)
        axes.set(xlabel="proxy score (initial-policy sd of gold)", title="Gold against proxy score")
        axes.set_ylabel("gold score (initial-policy sd)")
        peaks = [sweep_over_sizes(tables, tables.peaks, method) for method in curves]
        note_sample(axes, pd.concat(peaks))
        size_legend(figure, colors)
        styles = {
            "best-of-n": Line2D([], [], color=GRAY, linewidth=GOLD_WIDTH),
            "PPO": Line2D([], [], color=GRAY, **RL_LINE),
        }
        line_legend(figure, styles, "Method")
    return figure


def figure_20(tables: FigureTables) -> Figure:
    """Proxy score of best-of-n with fits linear in sqrt(KL) (Gao et al. 2022, Fig. 20)."""
    curves = sweep_over_sizes(tables, tables.binned_curves, "best_of_n")
    forms = tables.forms[(tables.forms["score"] == "proxy") & (tables.forms["form"] == "linear")]
    forms = sweep_over_sizes(tables, forms[~forms["is_deep"]], "best_of_n")
    colors = size_colors(curves["num_parameters"])
    with style():
        figure = Figure(figsize=(WIDTH, HEIGHT))
        axes = figure.add_subplot()
        for size, curve in curves.groupby("num_parameters"):
            draw_band(axes, curve, "proxy", colors[size], 0.12)
            axes.plot(curve["kl"], curve["proxy"], color=colors[size], **THICK_PROXY)
            for alpha in forms.loc[forms["num_parameters"] == size, "alpha"]:
                d = np.linspace(0, curve["sqrt_kl"].max(), 2)
                axes.plot(d**2, alpha * d, zorder=3, **FIT_LINE)
        kl_axis(axes, float(curves["kl"].max()) * 1.02)
        axes.set_ylim(bottom=0)
        axes.set(xlabel=KL_LABEL, ylabel=SCORE_LABEL, title="Best-of-n: proxy score, linear fits")
        note_sample(axes, forms)
        size_legend(figure, colors)
        styles = {
            "proxy": Line2D([], [], color=GRAY, **THICK_PROXY),
            r"fit $\alpha\sqrt{KL}$": Line2D([], [], **FIT_LINE),
        }
        line_legend(figure, styles, "Score")
    return figure


def _scores_by_size(tables: FigureTables, method: str, title: str) -> Figure:
    rows = sweep_over_sizes(tables, tables.binned_curves, method)
    colors = size_colors(rows["num_parameters"])
    series = series_of(tables, rows, size_labels(rows), list(colors.values()))
    figure = score_figure(series, title=title, legend_title=RM_LEGEND)
    note_sample(figure.axes[0], sweep_over_sizes(tables, tables.peaks, method))
    return figure


def _limit_to_both(axes: Axes, curves: dict[str, pd.DataFrame]) -> None:
    """Show as much of PPO's proxy scores as there is room for beside those of best-of-n."""
    reach = {method: float(rows["proxy"].max()) for method, rows in curves.items()}
    # The paper cuts RL at a proxy score of 1.6, where best-of-n ends.
    axes.set_xlim(0, min(max(reach.values()), 1.6 * reach["best_of_n"]) * 1.02)
    limit_view(axes, list(curves.values()), has_proxy=False)
