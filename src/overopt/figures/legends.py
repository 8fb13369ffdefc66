"""Legends beside the axes: colors at the upper right, lines and markers at the lower right."""

from collections.abc import Iterable, Mapping

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from overopt.figures.style import Color, format_count

RM_LEGEND = "RM parameters"


def color_legend(figure: Figure, entries: Iterable[tuple[str, Color]], title: str) -> None:
    """Put labels with their colors at the upper right, the last on top."""
    ordered = list(entries)[::-1]
    lines = [Line2D([], [], color=color, linewidth=2.5) for _, color in ordered]
    labels = [label for label, _ in ordered]
    figure.legend(lines, labels, title=title, loc="outside right upper", alignment="left")


def size_legend(figure: Figure, colors: Mapping[float, Color]) -> None:
    """`color_legend` of sizes, such as of `figure_style.size_colors`."""
    entries = [(format_count(size), color) for size, color in colors.items()]
    color_legend(figure, entries, RM_LEGEND)


def line_legend(figure: Figure, lines: Mapping[str, Artist], title: str | None = None) -> None:
    """Put lines and markers with their names at the lower right."""
    figure.legend(
        list(lines.values()),
        list(lines),
        title=title,
        loc="outside right lower",
        alignment="left",
    )
