"""Cells of example tables: every axis that an example does not name stands at its default."""

import pandas as pd

from overopt.config.cells import DEFAULTS, RM_AXES


def in_plain_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of curves, with the default of every axis of the grid that is not among the columns."""
    return table.assign(**{key: DEFAULTS[key] for key in DEFAULTS if key not in table})


def of_plain_rms(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of proxy RMs, with the default of every axis of theirs that is not a column."""
    names = [key for key in RM_AXES if key in DEFAULTS and key not in table]
    return table.assign(**{key: DEFAULTS[key] for key in names})
