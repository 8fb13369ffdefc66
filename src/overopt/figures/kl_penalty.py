"""The KL penalty (Gao et al. 2022, section 3.6): figure 9."""

from matplotlib.figure import Figure

from overopt.figures.catalog import KL_PENALTY
from overopt.figures.inputs import FigureTables, same_cells, sweep_over_penalties
from overopt.figures.registry import figure
from overopt.figures.sample import note_sample
from overopt.figures.score_against_kl import score_figure, series_of
from overopt.figures.style import format_count, size_colors

LEGEND = "KL penalty"


@figure("09", category=KL_PENALTY, group="Gold and proxy against KL", title="PPO, by KL penalty")
def figure_09(tables: FigureTables) -> Figure:
    """PPO under several KL penalties: scores against KL, at one RM size (2022, Fig. 9).

    PPO under several KL penalties against one reward model. Solid: gold; dashed: proxy; dotted:
    fits with both coefficients free.

    **To see:** whether gold at a given KL depends on the penalty, and how far each penalty lets the
    policy go.

    **Beside the paper:** figure 9 of Gao et al. 2022. There the penalty acts like early stopping:
    gold over KL does not change, the proxy score at equal KL rises, and so does the gap. The paper
    warns that this is sensitive to hyperparameters. Here the KL is that of sequences, measured
    exactly per token.

    Scores are recalibrated (section 2.2): they count from the main initial policy's mean score of
    the same prompt, in standard deviations of the gold score within a prompt under that policy.
    Gold is the reward model that labels the comparisons, proxy the one that is optimized. KL is in
    nats per response. Bands and bars are bootstrap intervals (95% unless the config says otherwise)
    over prompts and reward-model seeds; a cell with one seed has none.
    """
    rows = sweep_over_penalties(tables, tables.binned_curves)
    colors = size_colors(rows["kl_coef"])
    series = series_of(tables, rows, [f"{c:g}" for c in colors], list(colors.values()))
    size = format_count(rows["num_parameters"].iloc[0])
    title = f"PPO, {size} RM"
    figure = score_figure(series, title=title, legend_title=LEGEND)
    note_sample(figure.axes[0], same_cells(tables.peaks, rows))
    return figure
