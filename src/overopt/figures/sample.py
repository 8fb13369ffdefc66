"""What every figure says of its sample, and how it says that there is none."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from overopt.figures.style import GRAY, HEIGHT, WIDTH, style


def note_sample(axes: Axes, rows: pd.DataFrame) -> None:
    """Say over what the intervals are; with one seed there is none.

    `rows` have num_seeds and num_prompts.
    """
    sample = f"{count_of(rows['num_seeds'], 'seed')}, {int(rows['num_prompts'].max())} prompts"
    note_text(axes, sample if rows["num_seeds"].max() > 1 else f"{sample}, no interval")


def count_of(counts: pd.Series, noun: str) -> str:
    """Counts with their noun: "1 seed", "3 seeds", "1 to 3 seeds"."""
    low, high = int(counts.min()), int(counts.max())
    number = str(high) if low == high else f"{low} to {high}"
    return f"{number} {noun}{'s' if high > 1 else ''}"


def note_text(axes: Axes, text: str) -> None:
    """Put a small gray text at the right above the axes."""
    axes.set_title(text, loc="right", fontsize="small", color=GRAY)


def note_figure(text: str) -> Figure:
    """Say in place of a figure why there is none."""
    with style():
        figure = Figure(figsize=(WIDTH, HEIGHT / 3))
        figure.text(0.5, 0.5, text, ha="center", va="center", wrap=True, color=GRAY)
    return figure
