"""Reward-model size (Gao et al. 2022, section 3.2): figures 3, 11, 12."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from overopt.analysis.sweeps import over
from overopt.figures.catalog import RM_SIZE
from overopt.figures.inputs import FigureTables, nothing_to_draw, sweep_over_sizes
from overopt.figures.legends import size_legend
from overopt.figures.points_against_size import (
    ALPHA_UNIT,
    BETA_UNIT,
    RM_SIZE_LABEL,
    draw_line,
    draw_points,
    error_bars,
    mark_chance,
    seed_means,
    size_figure,
    ticks_at,
)
from overopt.figures.registry import figure
from overopt.figures.sample import count_of, note_sample, note_text
from overopt.figures.style import (
    GRAY,
    HEIGHT,
    WIDTH,
    Color,
    category_colors,
    format_count,
    size_colors,
    style,
)

LINE_LABEL = r"line in $\log_{10}$ of the parameters"
BESIDE = 1.08  # points of a second fit stand beside those of the first


@figure(
    "03a", category=RM_SIZE, group="Coefficients by size", title="Best-of-n: alpha against RM size"
)
def figure_03a(tables: FigureTables) -> Figure:
    """Coefficient alpha of best-of-n against RM size (Gao et al. 2022, Fig. 3a).

    Coefficient alpha of the best-of-n form gold = d (alpha - beta d), d = sqrt(KL): the initial
    slope of gold in sqrt(KL). One fit per reward-model size, both coefficients free. The line is a
    least-squares line in log10 of the parameters, its band pointwise.

    **To see:** whether alpha rises with the logarithm of the size, as the paper finds.

    **Beside the paper:** figure 3a of Gao et al. 2022. The paper's arXiv and ICML versions hold
    different numbers in figures 3a and 3b (read off: alpha +0.064 and +0.054 per decade, beta
    -0.011 and -0.016); figure_paper_trends shows both beside this run. The paper's band is a
    regression's, not a bootstrap's. The caption promises dashed proxy lines that its figure does
    not show.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    title = r"Best-of-n: $\alpha$ of gold $= d\,(\alpha - \beta d)$"
    return _coefficient_figure(tables, "best_of_n", "alpha", title, ALPHA_UNIT)


@figure(
    "03b", category=RM_SIZE, group="Coefficients by size", title="Best-of-n: beta against RM size"
)
def figure_03b(tables: FigureTables) -> Figure:
    """Coefficient beta of best-of-n against RM size (Gao et al. 2022, Fig. 3b).

    Coefficient beta of the best-of-n form gold = d (alpha - beta d), d = sqrt(KL): how fast gold
    bends down. One fit per reward-model size, both coefficients free. The line is a least-squares
    line in log10 of the parameters, its band pointwise.

    **To see:** whether beta falls with the logarithm of the size, as the paper finds; its trend is
    the smaller one, so look at the bars.

    **Beside the paper:** figure 3b of Gao et al. 2022. The paper's arXiv and ICML versions hold
    different numbers in figures 3a and 3b (read off: alpha +0.064 and +0.054 per decade, beta
    -0.011 and -0.016); figure_paper_trends shows both beside this run. The paper's band is a
    regression's, not a bootstrap's. The caption promises dashed proxy lines that its figure does
    not show.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    title = r"Best-of-n: $\beta$ of gold $= d\,(\alpha - \beta d)$"
    return _coefficient_figure(tables, "best_of_n", "beta", title, BETA_UNIT)


@figure(
    "03c",
    category=RM_SIZE,
    group="Coefficients by size",
    title="PPO: beta against RM size, one alpha",
)
def figure_03c(tables: FigureTables) -> Figure:
    """Coefficient beta of PPO with one alpha for all sizes (Gao et al. 2022, Fig. 3c).

    Coefficient beta of the PPO form gold = d (alpha - beta log d), d = sqrt(KL), by reward-model
    size. Blue: with one alpha for all sizes, as the paper has it. Gray, beside: each size with an
    alpha of its own. Line and band: of the blue points.

    **To see:** whether beta falls with the logarithm of the size, and whether the choice between
    one alpha and free alphas matters.

    **Beside the paper:** figure 3c of Gao et al. 2022. The paper mixes both fits: figure 3c has one
    alpha, but the lines of figure 1b fit best with free ones. Here both are shown, and figure 1b
    says which it draws.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    # Betas of fits with an alpha of their own are drawn lighter, beside.
    title = r"PPO: $\beta$ of gold $= d\,(\alpha - \beta \log d)$"
    return _coefficient_figure(tables, "rl_shared_alpha", "beta", title, ALPHA_UNIT)


@figure(
    "11",
    category=RM_SIZE,
    group="Validation loss",
    title="Loss against RM size, near-chance RMs too",
)
def figure_11(tables: FigureTables) -> Figure:
    """Validation loss against RM size, with the RMs near chance (Gao et al. 2022, Fig. 11).

    Loss on held-out synthetic comparisons by reward-model size, at the most data. Points: mean over
    seeds, bars: lowest to highest. Orange: sizes so small that they stay near chance.

    **To see:** whether the loss falls steadily with size, and where that begins.

    **Beside the paper:** figure 11 of Gao et al. 2022. As there (footnote 3), reward models near
    chance appear here and in figure 12 only and are left out of every trend.
    """
    rms = _size_sweep_rms(tables)
    means = seed_means(rms, ["num_parameters"], "validation_loss")
    excluded = rms[rms["proxy_size"].isin(tables.settings.excluded_sizes)]
    near_chance = means["num_parameters"].isin(excluded["num_parameters"])
    blue, orange, *_ = category_colors(2)
    with style():
        figure, axes = size_figure(
            "Validation loss of the proxy RMs", RM_SIZE_LABEL, "validation loss (nats)"
        )
        groups = [(~near_chance, blue, "in the size sweep")]
        if near_chance.any():
            groups.append((near_chance, orange, "near chance, left out of the trends"))
        for is_member, color, label in groups:
            points = means[is_member]
            draw_points(
                axes, points["num_parameters"], points, "validation_loss", color, label, line=True
            )
        mark_chance(axes)
        ticks_at(axes, means["num_parameters"].tolist())
        note_text(axes, f"{count_of(means['num_seeds'], 'seed')}; bars: their range")
        axes.legend()
    return figure


@figure(
    "12",
    category=RM_SIZE,
    group="Peak",
    title="Predicted and observed peak of gold, by RM size",
)
def figure_12(tables: FigureTables) -> Figure:
    """Peak of the best-of-n form and of the curve, by RM size (Gao et al. 2022, Fig. 12).

    The peak of gold under best-of-n, by reward-model size. Left: its height as the fitted form
    predicts it, alpha^2 / (4 beta), against the highest gold score seen; hollow points have their
    predicted peak beyond the largest n. Right: its place in sqrt(KL), alpha / (2 beta), and where
    the highest score was seen; the line is the largest n.

    **To see:** whether points lie on the diagonal: then the form's two numbers predict how much can
    be gained. Reward models whose fit has no peak are missing.

    **Beside the paper:** figure 12 of Gao et al. 2022 plots alpha / (2 beta) under the title and
    label of a maximum gold score. That is the place of the peak, in sqrt(nats), not its height: its
    values of 1.4 to 3.6 exceed every gold score of the paper. Here both are drawn, each under its
    own name.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    # Left: height alpha^2 / 4 beta against the highest gold score seen. Right: location alpha / 2
    # beta, in sqrt(nats), and where the highest was seen. The paper plots the location under a
    # title that says gold score.
    forms = tables.forms[(tables.forms["score"] == "gold") & (tables.forms["form"] == "best_of_n")]
    if forms.empty:
        raise nothing_to_draw("best_of_n result", "rm_size")
    forms = forms[~forms["is_deep"].astype(bool)]
    rows = sweep_over_sizes(tables, forms, "best_of_n", with_near_chance=True)
    with style():
        figure = Figure(figsize=(WIDTH * 1.35, HEIGHT))
        left, right = figure.subplots(1, 2)
        colors = size_colors(rows["num_parameters"])
        reach = float(sweep_over_sizes(tables, tables.peaks, "best_of_n")["final_kl"].max())
        _draw_heights(left, rows, list(colors.values()), reach)
        _draw_locations(right, rows, reach)
        note_sample(right, rows)
        size_legend(figure, colors)
    return figure


def _coefficient_figure(
    tables: FigureTables, form: str, quantity: str, title: str, unit: str
) -> Figure:
    method = "best_of_n" if form == "best_of_n" else "ppo"
    sweep = sweep_over_sizes(tables, tables.coefficients, method)
    points = sweep[sweep["form"] == form]
    if points.empty:
        raise nothing_to_draw(f"{method} result at two RM sizes", "rm_size")
    blue = category_colors(1)[0]
    with style():
        figure, axes = size_figure(title, RM_SIZE_LABEL, rf"$\{quantity}$ ({unit})")
        if form == "rl_shared_alpha":
            free = sweep[sweep["form"] == "rl"]
            label = r"an $\alpha$ of its own for each RM"
            draw_points(axes, free["num_parameters"] * BESIDE, free, quantity, "0.65", label)
        label = r"one $\alpha$ for all RMs" if form == "rl_shared_alpha" else "estimate, interval"
        draw_points(axes, points["num_parameters"], points, quantity, blue, label)
        lines = tables.trend_lines
        line = lines[(lines["form"] == form) & (lines["quantity"] == quantity)]
        draw_line(axes, line, blue, LINE_LABEL)
        ticks_at(axes, points["num_parameters"].tolist())
        note_sample(axes, points)
        axes.legend()
    return figure


def _size_sweep_rms(tables: FigureTables) -> pd.DataFrame:
    """Proxy RMs of the size sweep, those near chance too."""
    return over(tables.proxy_rms, main_policy=tables.settings.main_policy)


def _draw_heights(axes: Axes, rows: pd.DataFrame, colors: list[Color], reach: float) -> None:
    """Predicted against observed; hollow where the predicted place is beyond the largest n."""
    ends = rows[["peak_score", "observed_peak_score"]].to_numpy(dtype=float)
    limits = float(np.nanmin(ends)), float(np.nanmax(ends))
    margin = 0.12 * (limits[1] - limits[0])
    limits = (min(limits[0] - margin, 0), limits[1] + margin)
    axes.plot(limits, limits, color="0.7", linewidth=0.8, zorder=0)
    x_bars, y_bars = error_bars(rows, "peak_score"), error_bars(rows, "observed_peak_score")
    for i, (row, color) in enumerate(zip(rows.to_dict("records"), colors, strict=True)):
        is_beyond = row["peak_kl"] > reach
        axes.errorbar(
            *(row["peak_score"], row["observed_peak_score"]),
            xerr=x_bars[:, [i]],
            yerr=y_bars[:, [i]],
            fmt="o",
            markersize=5,
            color=color,
            markerfacecolor="white" if is_beyond else color,
            elinewidth=1,
        )
    axes.set(xlim=limits, ylim=limits, title="Height of the peak")
    axes.set_xlabel(r"predicted: $\alpha^2 / 4\beta$ (initial-policy sd)")
    axes.set_ylabel("highest gold score seen (initial-policy sd)")
    if (rows["peak_kl"] > reach).any():
        note = "hollow: predicted beyond the largest n"
        axes.text(0.98, 0.02, note, transform=axes.transAxes, ha="right", color=GRAY, size="small")


def _draw_locations(axes: Axes, rows: pd.DataFrame, reach: float) -> None:
    """Alpha / 2 beta with its interval, and the place of the highest score seen."""
    x = rows["num_parameters"].to_numpy(dtype=float)
    places = pd.DataFrame(
        {
            f"{name}{end}": np.sqrt(rows[f"{source}{end}"].to_numpy(dtype=float))
            for name, source in (("predicted", "peak_kl"), ("observed", "observed_peak_kl"))
            for end in ("", "_low", "_high")
        }
    )
    axes.set_xscale("log")
    draw_points(
        axes, x, places, "predicted", category_colors(1)[0], r"predicted: $\alpha / 2\beta$"
    )
    draw_points(axes, x * BESIDE, places, "observed", GRAY, "of the highest seen")
    axes.set(xlabel=RM_SIZE_LABEL, title="Location")
    axes.set_ylabel(r"$\sqrt{\mathrm{KL}}$ at the peak ($\sqrt{\mathrm{nats}}$)")
    axes.set_ylim(bottom=0)
    axes.axhline(np.sqrt(reach), color="0.7", linewidth=0.8, zorder=0, label="largest n")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_count(value)))
    axes.legend(loc="lower right")
