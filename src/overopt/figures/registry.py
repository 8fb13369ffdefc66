"""The register of figures: a decorator puts a drawing function into it, with its place."""

from collections.abc import Callable

from matplotlib.figure import Figure

from overopt.errors import UserError
from overopt.figures.inputs import FigureTables

Draw = Callable[[FigureTables], Figure]

DRAW: dict[str, Draw] = {}


def figure(number: str, *, category: str, group: str, title: str) -> Callable[[Draw], Draw]:
    """Register the function below as a figure; it stays as it is.

    The docstring's first paragraph says what is drawn; the rest is the caption in the report, a
    copy of which `python -m overopt.figures.captions` writes. `overopt.figures.catalog` reads the
    arguments from the source, so they must be literals, or names of the catalog's categories.

    Parameters
    ----------
    number
        The paper's, such as "03a", or a name where the paper has no such figure.
    category, group, title
        Place and entry in the report; `category` is one of those in `overopt.figures.catalog`.

    """
    del category, group, title  # read from the source by the catalog

    def register(draw: Draw) -> Draw:
        name = f"figure_{number}"
        if name in DRAW:
            raise UserError(f"{name} is drawn twice; give the second one a number of its own")
        DRAW[name] = draw
        return draw

    return register
