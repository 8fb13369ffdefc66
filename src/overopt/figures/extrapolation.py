"""Forms fitted at low KL and asked for high KL (Gao et al. 2022, section 3.1): figure 26."""

from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from overopt.analysis.statistics import deep_statistics
from overopt.analysis.tables import binned_curves
from overopt.config.methods import METHODS
from overopt.figures.catalog import FITS
from overopt.figures.inputs import FigureTables, nothing_to_draw, same_cells, sweep_over_sizes
from overopt.figures.legends import line_legend, size_legend
from overopt.figures.points_against_size import error_bars
from overopt.figures.registry import figure
from overopt.figures.sample import count_of, note_text
from overopt.figures.score_against_kl import (
    FIT_LINE,
    GOLD_WIDTH,
    KL_LABEL,
    draw_band,
    limit_view,
)
from overopt.figures.style import (
    GRAY,
    HEIGHT,
    WIDTH,
    Color,
    kl_axis,
    size_colors,
    style,
)
from overopt.theory.form_fits import fit
from overopt.theory.forms import FORMS

Method = Literal["best_of_n", "ppo"]
# A point on the border belongs to the fit, whatever its last digit in a table.
ROUNDING = 1 + 1e-6
BAR_SPACING = 0.016  # of the largest sqrt(KL)


@figure("26a", category=FITS, group="Extrapolation", title="Best-of-n beyond the KL of its fit")
def figure_26a(tables: FigureTables) -> Figure:
    """Best-of-n beyond the KL that its form was fitted to (Gao et al. 2022, Fig. 26a).

    Best-of-n beyond the KL that its form was fitted to. Solid: gold; dotted: gold = d (alpha - beta
    d) fitted up to the vertical mark; the bars at the right are what the fit says of the last
    point, with its interval.

    **To see:** whether the dotted line meets the solid one at the end, and the bar the end of the
    band.

    **Beside the paper:** figure 26a of Gao et al. 2022: fitted to n of 1,000 and less (6 nats),
    tested to n = 60,000 (10 nats). A study without large-n best-of-n predicts the last third of
    sqrt(KL) from the first two instead, and the title says so. Large-n runs have fewer prompts.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    # Large-n best-of-n, fitted to n <= 1,000; without it the lower two thirds of sqrt(KL) predict
    # the rest.
    points = tables.extrapolation
    is_beyond = points["is_deep"].astype(bool) & (points["split"] == "beyond_limit")
    if is_beyond.any():
        title = r"Best-of-n: fitted to $n \leq 1000$"
        return _figure(tables, "best_of_n", _deep_curves(tables), points[is_beyond], title)
    title = r"Best-of-n: fitted to 2/3 of $\sqrt{\mathrm{KL}}$"
    return _figure(tables, "best_of_n", tables.binned_curves, _held_out(points), title)


@figure("26b", category=FITS, group="Extrapolation", title="PPO beyond the KL of its fit")
def figure_26b(tables: FigureTables) -> Figure:
    """PPO beyond the KL that its form was fitted to, the lower half (Gao et al. 2022, Fig. 26b).

    PPO beyond the KL that its form was fitted to: gold = d (alpha - beta log d), fitted to the
    lower half of each curve's KL (dotted, up to the vertical mark). The bars at the right are what
    the fit says of the last point, with its interval.

    **To see:** how far a fit to the rise foresees the fall.

    **Beside the paper:** figure 26b of Gao et al. 2022, fitted to 40 nats and tested to 100. Runs
    here end at lower KL, so the border is half of each curve's own range.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    title = "PPO: fitted to the lower half of the KL"
    return _figure(tables, "ppo", tables.binned_curves, _held_out(tables.extrapolation), title)


def _held_out(points: pd.DataFrame) -> pd.DataFrame:
    return points[~points["is_deep"].astype(bool) & (points["split"] == "heldout")]


def _deep_curves(tables: FigureTables) -> pd.DataFrame:
    """Large-n curves with bands, over the replicates of forms.csv."""
    settings = tables.settings
    statistics = deep_statistics(tables.deep_curves, settings.analysis, settings.bootstrap_seed)
    return binned_curves(statistics)


def _figure(
    tables: FigureTables, method: Method, curves: pd.DataFrame, points: pd.DataFrame, title: str
) -> Figure:
    own = points[(points["form"] == METHODS[method].form) & (points["score"] == "gold")]
    if own[own["method"] == method].empty:
        raise nothing_to_draw(f"{method} curve long enough to predict its end", "rm_size")
    own = sweep_over_sizes(tables, own, method)
    curves = same_cells(curves, own)
    colors = size_colors(own["num_parameters"])
    with style():
        figure = Figure(figsize=(WIDTH, HEIGHT))
        axes = figure.add_subplot()
        axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        end, shown = float(curves["sqrt_kl"].max()), list[pd.DataFrame]()
        for i, (size, color) in enumerate(colors.items()):
            curve = curves[curves["num_parameters"] == size]
            curve = curve[curve["num_seeds"] == curve["num_seeds"].max()]
            draw_band(axes, curve, "gold", color, 0.2)
            axes.plot(curve["kl"], curve["gold"], color=color, linewidth=GOLD_WIDTH)
            points = own[own["num_parameters"] == size]
            points = points[points["sqrt_kl"] <= curve["sqrt_kl"].max() * ROUNDING]
            _draw_fit(axes, method, curve, float(points["fit_max_kl"].iloc[0]))
            _draw_end(axes, points, end * (1.02 + BAR_SPACING * i), color)
            shown += [curve, _as_band(points)]
        kl_axis(axes, (end * (1.03 + BAR_SPACING * len(colors))) ** 2)
        limit_view(axes, shown, has_proxy=False)
        axes.set(xlabel=KL_LABEL, ylabel="gold score (initial-policy sd)", title=title)
        is_deep = bool(own["is_deep"].any())
        prompts = (tables.deep_curves if is_deep else tables.curves)["prompt_id"].nunique()
        seeds = count_of(curves.groupby("num_parameters")["num_seeds"].max(), "seed")
        note_text(axes, f"{seeds}, {prompts} prompts")
        size_legend(figure, colors)
        _line_legend(figure)
    return figure


def _as_band(points: pd.DataFrame) -> pd.DataFrame:
    """What is predicted, as a curve that the view has to show."""
    ends = ("", "_low", "_high")
    return points.rename(columns={f"predicted{end}": f"gold{end}" for end in ends})


def _draw_fit(axes: Axes, method: Method, curve: pd.DataFrame, max_kl: float) -> None:
    """The form fitted to the points up to a KL, dotted over all; a bar where the fit ends."""
    fitted = curve[(curve["kl"] > 0) & (curve["kl"] <= max_kl * ROUNDING)]
    form = FORMS[METHODS[method].form]
    alpha, beta, _ = fit(form, fitted["sqrt_kl"].to_numpy(), fitted["gold"].to_numpy())
    d = np.linspace(0, float(curve["sqrt_kl"].max()), 200)
    axes.plot(d**2, form.score(d, alpha, beta), zorder=3, **FIT_LINE)
    height = float(form.score(np.sqrt(max_kl), alpha, beta))
    axes.plot([max_kl], [height], marker="|", markersize=12, color="black", zorder=4)


def _draw_end(axes: Axes, points: pd.DataFrame, place: float, color: Color) -> None:
    """What the form says of the last point, with its interval, beside the curve's end."""
    last = points.loc[[points["sqrt_kl"].idxmax()]]
    axes.errorbar(
        *([place**2], last["predicted"]),
        yerr=error_bars(last, "predicted"),
        color=color,
        fmt="_",
        markersize=6,
        markeredgewidth=1.5,
        elinewidth=1,
    )


def _line_legend(figure: Figure) -> None:
    lines: dict[str, Artist] = {
        "gold": Line2D([], [], color=GRAY, linewidth=GOLD_WIDTH),
        "its interval": Patch(color=GRAY, alpha=0.25, linewidth=0),
        "fit": Line2D([], [], **FIT_LINE),
        "end of the fit": Line2D(
            [], [], color="black", marker="|", markersize=12, linestyle="none"
        ),
        "predicted\nfor the end": Line2D(
            [], [], color=GRAY, marker="_", markersize=6, linewidth=0, markeredgewidth=1.5
        ),
    }
    line_legend(figure, lines)
