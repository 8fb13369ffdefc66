"""Curves by amount of reward-model data (Gao et al. 2022, section 3.3): figures 4, 13, 19."""

import pandas as pd
from matplotlib.figure import Figure

from overopt.analysis.sweeps import over
from overopt.config.cells import DATA_KEYS, GROUP_KEYS
from overopt.errors import UserError
from overopt.figures.catalog import RM_DATA
from overopt.figures.inputs import (
    FigureTables,
    data_sweep_sizes,
    nothing_to_draw,
    same_cells,
    sweep_over_data,
)
from overopt.figures.registry import figure
from overopt.figures.replicates import mean_curve, statistics_of
from overopt.figures.sample import note_sample, note_text
from overopt.figures.score_against_kl import Series, score_figure, series_of
from overopt.figures.style import category_colors, format_count, size_colors

DATA_LEGEND = "comparisons"


@figure(
    "04a",
    category=RM_DATA,
    group="Gold and proxy against KL",
    title="Best-of-n, by amount of data",
)
def figure_04a(tables: FigureTables) -> Figure:
    """Best-of-n: scores against KL, by amount of data, at one RM size (2022, Fig. 4a).

    Best-of-n against one size of reward model, trained on different amounts of synthetic
    comparisons. Solid: gold; dashed: proxy; dotted: the method's form, both coefficients free.

    **To see:** whether more data gives a higher and later peak of gold and less loss after it.

    **Beside the paper:** figure 4a of Gao et al. 2022, with its 12M reward model; here a size at
    which both methods sweep the data, if there is one. The title names it.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    # The size at which PPO sweeps the amount of data too, else the smallest that does.
    rows = sweep_over_data(tables, tables.binned_curves, "best_of_n")
    sizes = data_sweep_sizes(rows)
    try:
        with_ppo = data_sweep_sizes(sweep_over_data(tables, tables.binned_curves, "ppo"))
    except UserError:  # the study sweeps data with best-of-n only
        with_ppo = []
    shared = [size for size in sizes if size in with_ppo]
    return _scores_by_data(tables, rows, [*shared, *sizes][0], "Best-of-n")


@figure("04b", category=RM_DATA, group="Gold and proxy against KL", title="PPO, by amount of data")
def figure_04b(tables: FigureTables) -> Figure:
    """PPO: scores against KL, by amount of data, at one RM size (Gao et al. 2022, Fig. 4b).

    PPO against one size of reward model, trained on different amounts of synthetic comparisons.
    Solid: gold; dashed: proxy; dotted: the method's form, both coefficients free.

    **To see:** whether more data gives a higher and later peak of gold and less loss after it.

    **Beside the paper:** figure 4b of Gao et al. 2022, with its 12M reward model; here a size at
    which both methods sweep the data, if there is one. The title names it.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    rows = sweep_over_data(tables, tables.binned_curves, "ppo")
    return _scores_by_data(tables, rows, data_sweep_sizes(rows)[0], "PPO")


@figure(
    "13",
    category=RM_DATA,
    group="Epochs or data",
    title="Four epochs against four times the data",
)
def figure_13(tables: FigureTables) -> Figure:
    """Best-of-n gold with four epochs and with four times the data (Gao et al. 2022, Fig. 13).

    Best-of-n, averaged over all reward-model sizes, after training on little data once, on the same
    data several times, and on as much more data once. The same number of steps in the last two.

    **To see:** whether more epochs over the same data help as more data does.

    **Beside the paper:** figure 13 and footnote 7 of Gao et al. 2022: four epochs on 2,000
    comparisons change nothing, one epoch on 8,000 is clearly better. The mean over sizes is taken
    in every bootstrap replicate.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    # Mean over the RM sizes that have all of them. Footnote 7.
    cells = _epoch_cells(tables)
    statistics = statistics_of(tables, cells)
    kinds = cells.sort_values(DATA_KEYS)
    kinds = kinds.groupby(DATA_KEYS)
    series = []
    for color, ((amount, epochs), group) in zip(category_colors(3), kinds, strict=True):
        columns = statistics.groups.index[_is_one_of(statistics.groups, group)]
        curve = mean_curve([statistics.curves[i] for i in columns], statistics.intervals)
        label = f"{epochs} x {amount:,}"
        series.append(Series(label, color, curve))
    title = "Best-of-n: epochs or data"
    figure = score_figure(series, title=title, legend_title="epochs x data")
    seeds, prompts = int(cells["num_seeds"].max()), int(cells["num_prompts"].max())
    sizes = cells["proxy_size"].nunique()
    note_text(figure.axes[0], f"mean of {sizes} RM sizes, {seeds} seeds, {prompts} prompts")
    return figure


@figure(
    "19",
    category=RM_DATA,
    group="Gold and proxy against KL",
    title="Best-of-n with the largest RM",
)
def figure_19(tables: FigureTables) -> Figure:
    """Best-of-n: scores against KL, by amount of data, at the largest RM (2022, Fig. 19).

    Best-of-n against the largest reward model, trained on different amounts of data. Solid: gold;
    dashed: proxy; dotted: the form, both coefficients free.

    **To see:** whether the order is that of figure 4a, and what a large reward model is worth with
    little data.

    **Beside the paper:** figure 19 of Gao et al. 2022, with its 3B reward model.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
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
    rows = over(
        peaks[peaks["method"] == "best_of_n"],
        *DATA_KEYS,
        main_policy=tables.settings.main_policy,
        excluded_sizes=tables.settings.excluded_sizes,
    )
    repeated = rows[rows["num_epochs"] > 1]
    if repeated.empty:
        raise missing
    epochs = int(repeated["num_epochs"].max())
    amount = int(repeated.loc[repeated["num_epochs"] == epochs, "num_comparisons"].min())
    wanted = [(amount, 1), (amount, epochs), (epochs * amount, 1)]
    kinds = pd.MultiIndex.from_frame(rows[DATA_KEYS])
    rows = rows[kinds.isin(wanted)]
    complete = rows.groupby("proxy_size")["num_comparisons"].transform("size") == len(wanted)
    if not complete.any():
        raise missing
    return rows[complete]


def _is_one_of(groups: pd.DataFrame, cells: pd.DataFrame) -> pd.Series:
    wanted = pd.MultiIndex.from_frame(cells[GROUP_KEYS])
    return pd.Series(pd.MultiIndex.from_frame(groups[GROUP_KEYS]).isin(wanted), groups.index)
