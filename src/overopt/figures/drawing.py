"""Every figure of the catalog, drawn and saved."""

from pathlib import Path

from overopt.errors import UserError
from overopt.figures import (
    beyond_paper,
    extrapolation,
    kl_penalty,
    policy_size,
    rm_data,
    rm_data_curves,
    rm_size,
    setup_diagram,
    shape,
    training,
)
from overopt.figures.catalog import FIGURES
from overopt.figures.inputs import FigureTables
from overopt.figures.registry import DRAW
from overopt.figures.sample import note_figure
from overopt.figures.style import save_figure

# The modules that draw figures, each found by its decorator. To add a module, add it here.
TOPICS = (
    *(shape, setup_diagram, rm_size, rm_data, rm_data_curves, policy_size, training, kl_penalty),
    *(extrapolation, beyond_paper),
)


def draw_figures(tables: FigureTables, folder: Path) -> None:
    """Write every figure of the catalog as PNG and SVG into the folder.

    A figure for which the study has no cells says which sweep would give them.
    """
    for entry in FIGURES:
        try:
            figure = DRAW[entry.name](tables)
        except UserError as error:  # a sweep that is switched off leaves nothing to draw
            print(f"{entry.name}: {error}")
            figure = note_figure(str(error))
        save_figure(figure, folder / entry.name)
