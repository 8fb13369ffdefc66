"""Every figure of the catalog, drawn and saved."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

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
from overopt.figures.sample import note_figure
from overopt.figures.style import save_figure

FUNCTIONS: tuple[Callable[[FigureTables], Figure], ...] = (
    *(shape.figure_01a, shape.figure_01b, shape.figure_08, shape.figure_20),
    setup_diagram.figure_02,
    *(rm_size.figure_03a, rm_size.figure_03b, rm_size.figure_03c),
    *(rm_size.figure_11, rm_size.figure_12),
    *(rm_data_curves.figure_04a, rm_data_curves.figure_04b),
    *(rm_data_curves.figure_13, rm_data_curves.figure_19),
    *(rm_data.figure_05, rm_data.figure_06, rm_data.figure_10),
    *(rm_data.figure_17, rm_data.figure_18, rm_data.figure_21),
    *(policy_size.figure_07a, policy_size.figure_07b),
    *(policy_size.figure_22, policy_size.figure_23, policy_size.figure_24),
    *(training.figure_14, training.figure_15, training.figure_16, training.figure_25),
    kl_penalty.figure_09,
    *(extrapolation.figure_26a, extrapolation.figure_26b),
    *(beyond_paper.figure_kl_estimate, beyond_paper.figure_gold_ceiling),
    beyond_paper.figure_paper_trends,
)
DRAW = {function.__name__: function for function in FUNCTIONS}


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
