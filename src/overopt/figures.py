"""
The figures of the scaling laws: one function a figure, named after the paper's (arXiv version).

Each takes tidy tables (`overopt.tables`, `overopt.trends`) and returns a matplotlib Figure. Figures
are made without pyplot, so none stays open.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from overopt.errors import UserError
from overopt.figure_style import (
    GRAY,
    HEIGHT,
    WIDTH,
    format_count,
    kl_axis,
    save_figure,
    size_colors,
    style,
)
from overopt.scaling_laws import best_of_n_form, rl_form, size_sweep

VIEW = (-3.5, 3.5)  # initial-policy sd; beyond it, curves leave the view
GOLD_WIDTH = 2.0
FIT_LINE = {"color": "black", "linewidth": 0.7, "linestyle": (0, (1, 1.6))}
SCORE_LABEL = "RM score (initial-policy sd of gold)"
KL_LABEL = "KL from the initial policy (nats, square-root scale)"


def figure_01a(binned_curves: pd.DataFrame, coefficients: pd.DataFrame, main_policy: str) -> Figure:
    """Best-of-n: gold and proxy score against KL, by reward-model size (Gao et al. 2022, Fig. 1a).

    Parameters
    ----------
    binned_curves
        `overopt.tables.binned_curves`; the sweep over proxy sizes is picked from it.
    coefficients
        `overopt.tables.coefficients`; fits with both coefficients free are drawn.
    main_policy
        The `policy_size` shown.

    """
    return _score_against_kl(
        binned_curves, coefficients, main_policy, "best_of_n", "Best-of-n: gold and proxy score"
    )


def figure_01b(binned_curves: pd.DataFrame, coefficients: pd.DataFrame, main_policy: str) -> Figure:
    """PPO: gold and proxy score against KL, by reward-model size (Gao et al. 2022, Fig. 1b).

    Arguments as those of `figure_01a`. A curve ends where the first of its runs ends.
    """
    return _score_against_kl(
        binned_curves, coefficients, main_policy, "ppo", "PPO: gold and proxy score"
    )


def figure_03a(coefficients: pd.DataFrame, trend_lines: pd.DataFrame, main_policy: str) -> Figure:
    """Coefficient alpha of best-of-n against reward-model size (Gao et al. 2022, Fig. 3a).

    `coefficients` is of `overopt.tables`, `trend_lines` of `overopt.trends`; error bars and the
    band of the line are percentile intervals over prompts and seeds.
    """
    title = r"Best-of-n: $\alpha$ of gold $= d\,(\alpha - \beta d)$"
    return _coefficient_against_size(
        coefficients, trend_lines, main_policy, "best_of_n", "alpha", title
    )


def figure_03b(coefficients: pd.DataFrame, trend_lines: pd.DataFrame, main_policy: str) -> Figure:
    """Coefficient beta of best-of-n against reward-model size (Gao et al. 2022, Fig. 3b).

    Arguments as those of `figure_03a`.
    """
    title = r"Best-of-n: $\beta$ of gold $= d\,(\alpha - \beta d)$"
    return _coefficient_against_size(
        coefficients, trend_lines, main_policy, "best_of_n", "beta", title
    )


def figure_03c(coefficients: pd.DataFrame, trend_lines: pd.DataFrame, main_policy: str) -> Figure:
    """Coefficient beta of PPO with one alpha for all sizes (Gao et al. 2022, Fig. 3c).

    Arguments as those of `figure_03a`. Betas of fits with an alpha of their own are drawn lighter.
    """
    title = r"PPO: $\beta$ of gold $= d\,(\alpha - \beta \log d)$"
    return _coefficient_against_size(
        coefficients, trend_lines, main_policy, "rl_shared_alpha", "beta", title
    )


def draw_figures(
    main_policy: str, curves: Path, coefficients: Path, trend_lines: Path, folder: Path
) -> None:
    """Read the tables (CSV) and write every figure as PNG and SVG into the folder.

    A figure for which the study has no curves says so instead.
    """
    bands, fits, lines = (pd.read_csv(path) for path in (curves, coefficients, trend_lines))
    # With fewer than three sizes there are no lines, and columns of an empty file have no type.
    lines = lines.astype(dict.fromkeys(["num_parameters", "fitted", "low", "high"], float))
    drawn: dict[str, Callable[[], Figure]] = {
        "figure_01a": lambda: figure_01a(bands, fits, main_policy),
        "figure_01b": lambda: figure_01b(bands, fits, main_policy),
        "figure_03a": lambda: figure_03a(fits, lines, main_policy),
        "figure_03b": lambda: figure_03b(fits, lines, main_policy),
        "figure_03c": lambda: figure_03c(fits, lines, main_policy),
    }
    for name, draw in drawn.items():
        try:
            figure = draw()
        except UserError as error:  # a sweep that is switched off leaves nothing to draw
            figure = _note(str(error))
        save_figure(figure, folder / name)


def _note(text: str) -> Figure:
    """Say in place of a figure why there is none."""
    figure = Figure(figsize=(WIDTH, HEIGHT / 3))
    figure.text(0.5, 0.5, text, ha="center", va="center", wrap=True, color=GRAY)
    print(text)
    return figure


def _score_against_kl(
    binned_curves: pd.DataFrame,
    coefficients: pd.DataFrame,
    main_policy: str,
    method: str,
    title: str,
) -> Figure:
    curves = size_sweep(binned_curves[binned_curves["method"] == method], main_policy)
    _check_any(curves, method, main_policy)
    all_seeds = curves.groupby("num_parameters")["num_seeds"].transform("max")
    # Beyond the bins that all seeds reach, runs that ended count with their end.
    curves = curves[curves["num_seeds"] == all_seeds]
    fits = size_sweep(coefficients[coefficients["method"] == method], main_policy)
    colors = size_colors(curves["num_parameters"].tolist())
    with style():
        figure = Figure(figsize=(WIDTH, HEIGHT))
        axes = figure.add_subplot()
        axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        for size, color in colors.items():
            curve = curves[curves["num_parameters"] == size]
            _draw_curve(axes, curve, color)
            _draw_fit(axes, fits[fits["num_parameters"] == size], curve)
        kl_axis(axes, float(curves["kl"].max()) * 1.02)
        _limit_view(axes, curves)
        axes.set(xlabel=KL_LABEL, ylabel=SCORE_LABEL, title=title)
        _note_sample(axes, fits)
        _add_legends(figure, colors)
    return figure


def _check_any(rows: pd.DataFrame, name: str, main_policy: str) -> None:
    if rows.empty:
        raise UserError(
            f"nothing to draw: the study has no {name} result of policy {main_policy!r} without KL "
            "penalty; enable a sweep over proxy sizes with this method to see it"
        )


def _draw_curve(axes: Axes, curve: pd.DataFrame, color: tuple[float, float, float]) -> None:
    x = curve["kl"]
    axes.fill_between(x, curve["gold_low"], curve["gold_high"], color=color, alpha=0.2, linewidth=0)
    axes.fill_between(
        x, curve["proxy_low"], curve["proxy_high"], color=color, alpha=0.08, linewidth=0
    )
    axes.plot(x, curve["gold"], color=color, linewidth=GOLD_WIDTH)
    axes.plot(x, curve["proxy"], color=color, linewidth=1.0, linestyle=(0, (4, 2)))


def _draw_fit(axes: Axes, fits: pd.DataFrame, curve: pd.DataFrame) -> None:
    d = np.linspace(0, curve["sqrt_kl"].max(), 200)
    for form, function in (("best_of_n", best_of_n_form), ("rl", rl_form)):
        for alpha, beta in fits.loc[fits["form"] == form, ["alpha", "beta"]].to_numpy():
            axes.plot(d**2, function(d, alpha, beta), zorder=3, **FIT_LINE)


def _limit_view(axes: Axes, curves: pd.DataFrame) -> None:
    """Show all lines, but no more than VIEW; say so where a curve leaves it."""
    lines = curves[["gold", "proxy"]].to_numpy()
    low, high = float(np.nanmin(lines)), float(np.nanmax(lines))
    margin = 0.05 * (min(high, VIEW[1]) - max(low, VIEW[0]))
    axes.set_ylim(max(low - margin, VIEW[0]), min(high + margin, VIEW[1]))
    if low < VIEW[0] or high > VIEW[1]:
        note = f"view cut at {VIEW[0]:g} and {VIEW[1]:g} sd; curves reach {low:.1f} to {high:.1f}"
        axes.text(0.01, 0.01, note, transform=axes.transAxes, fontsize="small", color=GRAY)


def _add_legends(figure: Figure, colors: dict[int, tuple[float, float, float]]) -> None:
    sizes = [Line2D([], [], color=colors[size], linewidth=2.5) for size in reversed(colors)]
    figure.legend(
        sizes,
        [format_count(size) for size in reversed(colors)],
        title="RM parameters",
        loc="outside right upper",
        alignment="left",
    )
    styles = {
        "gold": Line2D([], [], color=GRAY, linewidth=GOLD_WIDTH),
        "its interval": Patch(color=GRAY, alpha=0.25, linewidth=0),
        "gold, fit": Line2D([], [], **FIT_LINE),
        "proxy": Line2D([], [], color=GRAY, linewidth=1.0, linestyle=(0, (4, 2))),
    }
    figure.legend(
        styles.values(), styles.keys(), title="Score", loc="outside right lower", alignment="left"
    )


def _note_sample(axes: Axes, fits: pd.DataFrame) -> None:
    """Say over what the intervals are: with one seed they cover prompts only."""
    seeds, prompts = fits["num_seeds"].max(), fits["num_prompts"].max()
    note = f"{seeds} seed{'s' if seeds > 1 else ''}, {prompts} prompts"
    axes.set_title(note, loc="right", fontsize="small", color=GRAY)


def _coefficient_against_size(
    coefficients: pd.DataFrame,
    trend_lines: pd.DataFrame,
    main_policy: str,
    form: str,
    quantity: str,
    title: str,
) -> Figure:
    sweep = size_sweep(coefficients, main_policy)
    _check_any(sweep[sweep["form"] == form], form, main_policy)
    with style():
        figure = Figure(figsize=(WIDTH, HEIGHT))
        axes = figure.add_subplot()
        blue = sns.color_palette("colorblind")[0]
        if form == "rl_shared_alpha":
            free = sweep[sweep["form"] == "rl"]
            beside = free.assign(num_parameters=free["num_parameters"] * 1.08)
            _draw_points(axes, beside, quantity, "0.65", r"an $\alpha$ of its own for each RM")
        points = sweep[sweep["form"] == form]
        label = r"one $\alpha$ for all RMs" if form == "rl_shared_alpha" else "estimate, interval"
        _draw_points(axes, points, quantity, blue, label)
        line = trend_lines[(trend_lines["form"] == form) & (trend_lines["quantity"] == quantity)]
        label = r"line in $\log_{10}$ of the parameters" if len(line) else None
        axes.plot(line["num_parameters"], line["fitted"], color=blue, linewidth=1.2, label=label)
        axes.fill_between(
            line["num_parameters"], line["low"], line["high"], color=blue, alpha=0.15, linewidth=0
        )
        axes.set(xscale="log", xlabel="RM parameters", title=title)
        unit = "nat" if (form, quantity) == ("best_of_n", "beta") else r"$\sqrt{\mathrm{nat}}$"
        axes.set_ylabel(rf"$\{quantity}$ (initial-policy sd per {unit})")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_count(value)))
        _note_sample(axes, points)
        axes.legend()
    return figure


def _draw_points(
    axes: Axes, points: pd.DataFrame, quantity: str, color: object, label: str
) -> None:
    y = points[quantity].to_numpy()
    low, high = points[f"{quantity}_low"].to_numpy(), points[f"{quantity}_high"].to_numpy()
    axes.errorbar(
        points["num_parameters"],
        y,
        yerr=np.maximum([y - low, high - y], 0),
        color=color,
        fmt="o",
        markersize=4,
        linewidth=1,
        label=label,
    )
