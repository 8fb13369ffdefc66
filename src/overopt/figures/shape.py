"""The shape of the curves (Gao et al. 2022, section 3.1): figures 1, 8 and 20."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from overopt.figures.catalog import FITS, METHODS, OVERVIEW
from overopt.figures.inputs import FigureTables, sweep_over_sizes
from overopt.figures.legends import RM_LEGEND, line_legend, size_legend
from overopt.figures.registry import figure
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


@figure("01a", category=OVERVIEW, group="Gold and proxy against KL", title="Best-of-n, by RM size")
def figure_01a(tables: FigureTables) -> Figure:
    """Best-of-n: gold and proxy score against KL, by RM size (Gao et al. 2022, Fig. 1a).

    Best-of-n of the main policy against reward models of every size, trained on the most data. Of n
    responses the one with the highest proxy score is kept; more n is more optimization. Solid:
    gold; dashed: proxy; dotted: the form gold = d (alpha - beta d), d = sqrt(KL), fitted to each
    curve with both coefficients free.

    **To see:** whether gold rises less and less and falls again while the proxy score goes on
    rising, which is overoptimization; and whether larger reward models peak higher and later.

    **Beside the paper:** figure 1a of Gao et al. 2022, which has nine sizes from 3M to 3B
    parameters and n to 60,000 (10 nats). Here every size goes to n = 1,000 (5.9 nats) where the
    study says so; large-n runs are in figure 26a. Bands are new: the paper states no errors.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    return _scores_by_size(tables, "best_of_n", "Best-of-n: gold and proxy score")


@figure("01b", category=OVERVIEW, group="Gold and proxy against KL", title="PPO, by RM size")
def figure_01b(tables: FigureTables) -> Figure:
    """PPO: gold and proxy score against KL, by RM size (Gao et al. 2022, Fig. 1b).

    Reinforcement learning (PPO, no KL penalty) of the main policy against reward models of every
    size, trained on the most data. Solid: gold; dashed: proxy; dotted: gold = d (alpha - beta log
    d), d = sqrt(KL), with an alpha of its own for each size. Evaluations are averaged in bins of
    sqrt(KL), then over seeds; a curve ends where the first of its runs ends.

    **To see:** whether the rise and fall are those of best-of-n at several times the KL, and
    whether smaller reward models fall sooner and further.

    **Beside the paper:** figure 1b of Gao et al. 2022, which goes to 100 nats. The form has an
    infinite slope at the origin and does not hold there (the paper's footnote 1). The view is cut
    where a curve collapses, and says so.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    # A curve ends where the first of its runs ends. The fits have an alpha of their own each.
    return _scores_by_size(tables, "ppo", "PPO: gold and proxy score")


@figure("08", category=METHODS, group="Both methods", title="Gold against proxy score, by RM size")
def figure_08(tables: FigureTables) -> Figure:
    """Gold against proxy score, best-of-n and PPO, by RM size (Gao et al. 2022, Fig. 8).

    Gold against proxy score, best-of-n (solid) and PPO (dash-dotted), by reward-model size. Bands:
    of the gold score.

    **To see:** whether the curves of both methods lie closer together than over KL, and whether
    they fall: were the proxy gold plus independent noise (regressional Goodhart), gold would rise
    throughout.

    **Beside the paper:** figure 8 of Gao et al. 2022, which cuts RL at a proxy score of 1.6; here
    PPO is cut at 1.6 times the highest proxy score of best-of-n.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
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


@figure("20", category=FITS, group="Proxy score", title="Proxy of best-of-n with linear fits")
def figure_20(tables: FigureTables) -> Figure:
    """Proxy score of best-of-n with fits linear in sqrt(KL) (Gao et al. 2022, Fig. 20).

    Proxy score of best-of-n (dashed, with its band) and the best straight line through the origin
    in sqrt(KL) (dotted).

    **To see:** whether the curves are concave: above the line at first, below it at the end.

    **Beside the paper:** figure 20 of Gao et al. 2022, for which no form of the proxy score
    satisfied. Its axis goes to 10 nats.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
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
