"""The KL penalty (Gao et al. 2022, section 3.6): figure 9."""

from matplotlib.figure import Figure

from overopt.figures.inputs import FigureTables, same_cells, sweep_over_penalties
from overopt.figures.sample import note_sample
from overopt.figures.score_against_kl import score_figure, series_of
from overopt.figures.style import format_count, size_colors

LEGEND = "KL penalty"


def figure_09(tables: FigureTables) -> Figure:
    """PPO under several KL penalties: scores against KL, at one RM size (2022, Fig. 9)."""
    rows = sweep_over_penalties(tables, tables.binned_curves)
    colors = size_colors(rows["kl_coef"])
    series = series_of(tables, rows, [f"{c:g}" for c in colors], list(colors.values()))
    size = format_count(rows["num_parameters"].iloc[0])
    title = f"PPO, {size} RM"
    figure = score_figure(series, title=title, legend_title=LEGEND)
    note_sample(figure.axes[0], same_cells(tables.peaks, rows))
    return figure
