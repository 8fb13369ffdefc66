"""Curves that no table holds, in the replicates of the fits: statistics of some cells, averages."""

import numpy as np
import pandas as pd

from overopt.analysis.curve_statistics import CurveStatistics
from overopt.analysis.group_curves import GroupCurve
from overopt.analysis.intervals import Intervals
from overopt.analysis.statistics import study_statistics
from overopt.analysis.tables import band_table
from overopt.figures.inputs import FigureTables, same_cells


def statistics_of(tables: FigureTables, cells: pd.DataFrame) -> CurveStatistics:
    """Statistics of these cells, in the replicates of the fits."""
    settings = tables.settings
    rows = same_cells(tables.curves, cells)
    return study_statistics(tables.curves, settings.analysis, settings.bootstrap_seed, rows)


def mean_curve(curves: list[GroupCurve], intervals: Intervals) -> pd.DataFrame:
    """Mean of best-of-n curves over cells, in the columns of `tables.band_table`.

    All at the same n. The mean is taken in every replicate, so that its band knows that cells
    share prompts and seeds.
    """
    values = {
        name: np.mean([curve.scores[name] for curve in curves], axis=0)
        for name in ("gold", "proxy")
    }
    return band_table(curves[0], values, intervals)
