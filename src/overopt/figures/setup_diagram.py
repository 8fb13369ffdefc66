"""The real and the synthetic setup as a diagram (Gao et al. 2022, section 2.1): figure 2.

Each box is what rules of the workflow make; their names stand in it. Boxes of the real setup, which
a study cannot run, name none.
"""

from typing import Any, Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from overopt.figures.catalog import OVERVIEW
from overopt.figures.inputs import FigureTables
from overopt.figures.registry import figure
from overopt.figures.style import GRAY, Color, category_colors, format_count, style

Kind = Literal["human", "gold", "synthetic", "proxy", "policy", "result"]
SIZE = 9.6, 5.0  # inches
COLUMN, BOX_WIDTH, BOX_HEIGHT = 1.85, 1.5, 0.84
KINDS: tuple[Kind, ...] = ("human", "gold", "synthetic", "proxy", "policy", "result")
RULE_FONT: dict[str, Any] = {"family": "monospace", "size": 6.5, "color": GRAY}


class Box(NamedTuple):
    """One thing of the setup: what it is, the rules that make it, its column and height."""

    kind: Kind
    text: str
    rules: tuple[str, ...]
    column: float
    height: float
    width: float = BOX_WIDTH
    tall: float = BOX_HEIGHT


REAL, SYNTHETIC, SHARED = 3.85, 1.3, -0.85  # heights of the rows
BOXES = {
    "real_comparisons": Box("human", "human\ncomparisons", (), 0, REAL),
    "real_proxy": Box("proxy", "proxy RM", (), 1, REAL),
    "real_policy": Box("policy", "optimized policy", (), 2, REAL),
    "comparisons": Box("human", "human\ncomparisons", ("human_comparisons",), 0, SYNTHETIC),
    "gold_rm": Box("gold", "gold RM", ("gold_rm",), 1, SYNTHETIC),
    "synthetic": Box(
        "synthetic", "synthetic\ncomparisons", ("synthetic_comparisons",), 2, SYNTHETIC
    ),
    "proxy_rm": Box("proxy", "proxy RMs", ("backbone", "proxy_rm"), 3, SYNTHETIC),
    # best-of-n and PPO stand in one frame
    "optimized": Box("policy", "", (), 4, SYNTHETIC, BOX_WIDTH + 0.2, 2.05),
    "best_of_n": Box("policy", "best-of-n", ("pool", "best_of_n"), 4, SYNTHETIC + 0.5),
    "ppo": Box("policy", "PPO", ("ppo",), 4, SYNTHETIC - 0.5),
    "curves": Box("result", "curves, fits", ("pool_gold_scores", "fits"), 5, SYNTHETIC),
    "demonstrations": Box("human", "demonstrations", ("demonstrations",), 0, SHARED),
    "policy": Box("policy", "initial policies", ("policy",), 1, SHARED),
    "responses": Box("synthetic", "pairs of\nresponses", ("synthetic_responses",), 2, SHARED),
    "figures": Box("result", "figures", ("figures",), 5, SHARED),
}
# From, to, bend, dashed: what scores but never trains.
ARROWS = (
    ("real_comparisons", "real_proxy", 0.0, False),
    ("real_proxy", "real_policy", 0.0, False),
    ("comparisons", "gold_rm", 0.0, False),
    ("gold_rm", "synthetic", 0.0, False),
    ("synthetic", "proxy_rm", 0.0, False),
    ("proxy_rm", "optimized", 0.0, False),
    ("optimized", "curves", 0.0, False),
    ("gold_rm", "curves", -0.31, True),
    ("demonstrations", "policy", 0.0, False),
    ("policy", "gold_rm", 0.0, False),
    ("policy", "responses", 0.0, False),
    ("responses", "synthetic", 0.0, False),
    ("policy", "optimized", 0.35, False),
    ("curves", "figures", 0.0, False),
)


@figure(
    "02",
    category=OVERVIEW,
    group="Setup",
    title="The real and the synthetic setup, with the rules",
)
def figure_02(tables: FigureTables) -> Figure:
    """The real and the synthetic setup, with the rules that make it (Gao et al. 2022, Fig. 2).

    The setup. Above: humans compare responses and a reward model learns from them; what humans
    would say of the optimized responses cannot be measured at scale. Below: a gold reward model
    stands for the humans. It labels the comparisons that the proxy reward models learn from and
    scores what optimization makes of them. Under each box stand the rules of this workflow that
    make it.

    **To see:** the gold reward model's scores never train a policy (dashed): they tell how well the
    proxies did.

    **Beside the paper:** figure 2 of Gao et al. 2022 draws the upper row and the middle of the
    lower; here the diagram goes on to the curves, with the names of the rules. The gold reward
    model is itself trained on comparisons by simulated annotators, or on a file of human ones; with
    `gold_rm.source: utility` the embedded world's hidden utility stands in its place.
    """
    details = _details(tables)
    with style():
        figure = Figure(figsize=SIZE)
        axes = figure.add_subplot()
        colors = dict(zip(KINDS, category_colors(len(KINDS)), strict=True))
        for source, target, bend, is_dashed in ARROWS:
            _draw_arrow(axes, BOXES[source], BOXES[target], bend, is_dashed)
        for name, box in BOXES.items():
            _draw_box(axes, box, colors[box.kind], details.get(name, ""))
        _draw_rows(axes)
        axes.set(xlim=(-1.0, 5 * COLUMN + 1.0), ylim=(SHARED - 1.05, REAL + 0.85))
        axes.set_axis_off()
    return figure


def rule_names() -> set[str]:
    """Every rule that the diagram names."""
    return {rule for box in BOXES.values() for rule in box.rules}


def _details(tables: FigureTables) -> dict[str, str]:
    """What this study has in its boxes, in a few words."""
    rms = tables.proxy_rms
    # Only the embedded world knows what its annotators want.
    is_simulated = "human" in tables.binned_curves
    return {
        "comparisons": "simulated annotators" if is_simulated else "from a file",
        "synthetic": f"up to {format_count(float(rms['num_comparisons'].max()))}",
        "proxy_rm": f"{rms['proxy_size'].nunique()} sizes",
        "policy": f"main: {tables.settings.main_policy}",
    }


def _draw_box(axes: Axes, box: Box, color: Color, detail: str) -> None:
    x, y = box.column * COLUMN, box.height
    corner = (x - box.width / 2, y - box.tall / 2)
    shape = {"boxstyle": "round,pad=0,rounding_size=0.09", "linewidth": 1.1, "zorder": 2}
    pale = tuple(1 - 0.22 * (1 - part) for part in color) if box.text else "none"
    patch = FancyBboxPatch(corner, box.width, box.tall, facecolor=pale, edgecolor=color, **shape)
    axes.add_patch(patch)
    lines = [line for line in (detail, *box.rules) if line]
    middle = y + 0.085 * len(lines)
    axes.text(x, middle, box.text, ha="center", va="center", size=9, zorder=3)
    below = y - box.tall / 2 + 0.05
    for line in reversed(lines):
        font = RULE_FONT if line in box.rules else {"size": 7, "color": GRAY}
        axes.text(x, below, line, ha="center", va="bottom", zorder=3, **font)
        below += 0.155


def _draw_arrow(axes: Axes, source: Box, target: Box, bend: float, is_dashed: bool) -> None:
    """Draw an arrow from the edge of one box to the edge of another."""
    start, end = _edge(source, target, bend), _edge(target, source, bend)
    arrow = FancyArrowPatch(
        start,
        end,
        arrowstyle="-|>",
        mutation_scale=11,
        connectionstyle=f"arc3,rad={bend}",
        linestyle=(0, (4, 2)) if is_dashed else "solid",
        linewidth=1.1,
        color=GRAY,
        zorder=1,
        shrinkA=0,
        shrinkB=1,
    )
    axes.add_patch(arrow)


def _edge(box: Box, other: Box, bend: float) -> tuple[float, float]:
    """Where an arrow between two boxes meets the first: a side, or top or bottom if it bends."""
    x, y = box.column * COLUMN, box.height
    if bend:
        return x, y + (box.tall if bend < 0 else -box.tall) / 2
    if box.column == other.column:
        return x, y + (box.tall if other.height > box.height else -box.tall) / 2
    return x + (box.width if other.column > box.column else -box.width) / 2, y


def _draw_rows(axes: Axes) -> None:
    left = -BOX_WIDTH / 2
    font = {"size": 10.5, "weight": "bold", "va": "bottom"}
    axes.text(left, REAL + 0.52, "Real setup", **font)
    axes.text(left, SYNTHETIC + 0.72, "Synthetic setup: this study", **font)
    note = "what humans would say of its responses cannot be measured at scale"
    x = BOXES["real_policy"].column * COLUMN + BOX_WIDTH / 2 + 0.15
    axes.text(x, REAL, note, size=8, color=GRAY, va="center")
    x, y = 2.9 * COLUMN, SYNTHETIC + 1.82
    note = "scores what the proxies choose, trains nothing"
    axes.text(x, y, note, size=8, color=GRAY, ha="center", va="bottom")
