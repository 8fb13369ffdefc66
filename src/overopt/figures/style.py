"""What all figures share: style, colors of sizes, the square-root scale, saving."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.scale import FuncScale
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

WIDTH, HEIGHT = 6.4, 4.2  # inches; legible when printed across a page
DPI = 200
GRAY = "0.35"
KL_TICKS = (0, 0.5, 1, 2, 4, 6, 10, 20, 30, 40, 60, 80, 100, 150, 200, 300, 400)
MAX_TICKS = 7

Color = tuple[float, float, float]


class SquareRootScale(FuncScale):
    """Axis in proportion to the square root of its values, with ticks that are the values.

    On it d = sqrt(KL) is even, as in all figures of Gao et al. 2022, while labels are in nats.
    Values below 0 are drawn at 0.
    """

    def __init__(self, axis: Axis) -> None:
        super().__init__(axis, functions=(_square_root, _square))

    def set_default_locators_and_formatters(self, axis: Axis) -> None:
        """Put ticks at values; `kl_axis` chooses round ones."""
        axis.set_major_locator(FixedLocator(list(KL_TICKS)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_locator(NullLocator())

    def limit_range_for_scale(self, vmin: float, vmax: float, minpos: float) -> tuple[float, float]:
        """Keep the axis from 0 up."""
        return max(vmin, 0.0), vmax


def _square_root(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return np.sqrt(np.maximum(np.asarray(values, dtype=np.float64), 0))


def _square(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return np.square(np.asarray(values, dtype=np.float64))


def kl_axis(axes: Axes, max_kl: float) -> None:
    """Make x a KL in nats from 0 to `max_kl` on a square-root scale, with a few round ticks."""
    axes.set_xscale(SquareRootScale(axes.xaxis))
    axes.set_xlim(0, max_kl)
    axes.xaxis.set_major_locator(FixedLocator(_kl_ticks(max_kl)))


def kl_axis_upright(axes: Axes, max_kl: float) -> None:
    """Make y a KL in nats, as `kl_axis` does x."""
    axes.set_yscale(SquareRootScale(axes.yaxis))
    axes.set_ylim(0, max_kl)
    axes.yaxis.set_major_locator(FixedLocator(_kl_ticks(max_kl)))


def _kl_ticks(max_kl: float) -> list[float]:
    spacing = np.sqrt(max_kl) / MAX_TICKS
    ticks = [0.0]
    for tick in KL_TICKS[1:]:
        if tick <= max_kl and np.sqrt(tick) - np.sqrt(ticks[-1]) >= 0.75 * spacing:
            ticks.append(float(tick))
    return ticks


@contextmanager
def style() -> Generator[None]:
    """Style of all figures; nothing of it stays behind."""
    with (
        sns.axes_style("ticks"),
        sns.plotting_context("paper", font_scale=1.1),
        mpl.rc_context(
            {
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.titlelocation": "left",
                "figure.constrained_layout.use": True,
                "legend.frameon": False,
                "svg.hashsalt": "overopt",  # otherwise ids in the SVG are random
            }
        ),
    ):
        yield


def size_colors(sizes: Iterable[float]) -> dict[float, Color]:
    """One color per size, dark to light with size; readable by the color-blind.

    Of reward models, of their data, or any other quantity that has an order.
    """
    ordered = sorted(set(sizes))
    colormap = mpl.colormaps["viridis"]  # its yellow end is too light on white
    return {
        size: colormap(position)[:3]
        for size, position in zip(ordered, np.linspace(0.0, 0.88, len(ordered)), strict=True)
    }


def category_colors(number: int) -> list[Color]:
    """Colors of things without an order, such as policies; readable by the color-blind."""
    return list(sns.color_palette("colorblind", number))


def format_count(number: float) -> str:
    """Write a number of parameters as people do: 257, 6.6k, 38.2k, 150k, 1.2B."""
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= limit * 0.9995:
            scaled = number / limit
            return f"{scaled:.{1 if scaled < 99.95 else 0}f}".removesuffix(".0") + unit
    return f"{number:.0f}"


def save_figure(figure: Figure, path: Path) -> list[Path]:
    """Write `figure` as PNG (200 dpi) and SVG; equal figures give equal bytes.

    `path` has no suffix; returns the two paths written.
    """
    targets = [path.with_name(f"{path.name}.{suffix}") for suffix in ("png", "svg")]
    path.parent.mkdir(parents=True, exist_ok=True)
    with style():
        figure.savefig(targets[0], dpi=DPI, metadata={"Software": None})
        with mpl.rc_context({"figure.constrained_layout.use": False}):
            figure.set_layout_engine(None)  # what was laid out for one file stands for the other
            figure.savefig(targets[1], metadata={"Date": None, "Creator": None})
    return targets
