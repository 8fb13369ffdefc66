"""Curves by amount of reward-model data (Gao et al. 2022, section 3.3): figures 4, 13, 19."""

import pandas as pd
from matplotlib.figure import Figure

from overopt.analysis.group_curves import GROUP_KEYS
from overopt.errors import UserError
from overopt.figures.inputs import (
    FigureTables,
    data_sweep_sizes,
    nothing_to_draw,
    same_cells,
    sweep_over_data,
)
from overopt.figures.replicates import mean_curve, statistics_of
from overopt.figures.sample import note_sample, note_text
from overopt.figures.score_against_kl import Series, score_figure, series_of
from overopt.figures.style import category_colors, format_count, size_colors

DATA_LEGEND = "comparisons"


def figure_04a(tables: FigureTables) -> Figure:
    """Best-of-n: scores against KL, by amount of data, at one RM size (2022, Fig. 4a).

    The size at which PPO sweeps the amount of data too, else the smallest that does.
    """
    rows = sweep_over_data(tables, tables.binned_curves, "best_of_n")
    sizes = data_sweep_sizes(rows)
    try:
        with_ppo = data_sweep_sizes(sweep_over_data(tables, tables.binned_curves, "ppo"))
    except UserError:  # the study sweeps data with best-of-n only
        with_ppo = []
    shared = [size for size in sizes if size in with_ppo]
    return _scores_by_data(tables, rows, [*shared, *sizes][0], "Best-of-n")


def figure_04b(tables: FigureTables) -> Figure:
    """PPO: scores against KL, by amount of data, at one RM size (Gao et al. 2022, Fig. 4b)."""
    rows = sweep_over_data(tables, tables.binned_curves, "ppo")
    return _scores_by_data(tables, rows, data_sweep_sizes(rows)[0], "PPO")


def figure_13(tables: FigureTables) -> Figure:
    """Best-of-n gold with four epochs and with four times the data (Gao et al. 2022, Fig. 13).

    Mean over the RM sizes that have all of them. Footnote 7.
    """
    cells = _epoch_cells(tables)
    statistics = statistics_of(tables, cells)
    kinds = cells.sort_values(["num_comparisons", "num_epochs"])
    kinds = kinds.groupby(["num_comparisons", "num_epochs"])
    series = []
    for color, ((amount, epochs), group) in zip(category_colors(3), kinds, strict=True):
        columns = statistics.groups.index[_is_one_of(statistics.groups, group)]
        curve = mean_curve([statistics.curves[i] for i in columns], statistics.confidence)
        label = f"{epochs} x {amount:,}"
        series.append(Series(label, color, curve))
    title = "Best-of-n: epochs or data"
    figure = score_figure(series, title=title, legend_title="epochs x data")
    seeds, prompts = int(cells["num_seeds"].max()), int(cells["num_prompts"].max())
    sizes = cells["proxy_size"].nunique()
    note_text(figure.axes[0], f"mean of {sizes} RM sizes, {seeds} seeds, {prompts} prompts")
    return figure


def figure_19(tables: FigureTables) -> Figure:
    """Best-of-n: scores against KL, by amount of data, at the largest RM (2022, Fig. 19)."""
    rows = sweep_over_data(tables, tables.binned_curves, "best_of_n")
    return _scores_by_data(tables, rows, data_sweep_sizes(rows)[-1], "Best-of-n")


def _scores_by_data(
    tables: FigureTables, rows: pd.DataFrame, proxy_size: str, method_name: str
) -> Figure:
    rows = rows[rows["proxy_size"] == proxy_size]
    colors = size_colors(rows["num_comparisons"])
    labels = [format_count(amount) for amount in colors]
    series = series_of(tables, rows, labels, list(colors.values()))
    size = format_count(rows["num_parameters"].iloc[0])
    title = f"{method_name}, {size} RM"
    figure = score_figure(series, title=title, legend_title=DATA_LEGEND)
    note_sample(figure.axes[0], same_cells(tables.peaks, rows))
    return figure


def _epoch_cells(tables: FigureTables) -> pd.DataFrame:
    """Cells with some data once, several times, and with as much more data once."""
    missing = nothing_to_draw("RM trained for several epochs on little data", "epochs")
    peaks = tables.peaks
    rows = peaks[
        (peaks["method"] == "best_of_n")
        & (peaks["policy_size"] == tables.settings.main_policy)
        & (peaks["labels"] == "deterministic")
        & ~peaks["proxy_size"].isin(tables.settings.excluded_sizes)
    ]
    repeated = rows[rows["num_epochs"] > 1]
    if repeated.empty:
        raise missing
    epochs = int(repeated["num_epochs"].max())
    amount = int(repeated.loc[repeated["num_epochs"] == epochs, "num_comparisons"].min())
    wanted = [(1, amount), (epochs, amount), (1, epochs * amount)]
    kinds = pd.MultiIndex.from_frame(rows[["num_epochs", "num_comparisons"]])
    rows = rows[kinds.isin(wanted)]
    complete = rows.groupby("proxy_size")["num_comparisons"].transform("size") == len(wanted)
    if not complete.any():
        raise missing
    return rows[complete]


def _is_one_of(groups: pd.DataFrame, cells: pd.DataFrame) -> pd.Series:
    wanted = pd.MultiIndex.from_frame(cells[GROUP_KEYS])
    return pd.Series(pd.MultiIndex.from_frame(groups[GROUP_KEYS]).isin(wanted), groups.index)
