"""
A study's curve statistics: every job that needs them calls these functions, and nothing else.

Bootstrap replicates are drawn from the seed of the fits and from the prompts and RM seeds of all
curves, so that fits, forms, claims and figures have the same replicates, also where a job looks at
some cells only. Computing them again takes less than a second on the default study.
"""

import pandas as pd

from overopt.analysis.curve_statistics import CurveStatistics, curve_statistics, resamples_of
from overopt.config.analysis import AnalysisConfig
from overopt.randomness import numpy_generator


def study_statistics(
    curves: pd.DataFrame, config: AnalysisConfig, seed: int, cells: pd.DataFrame | None = None
) -> CurveStatistics:
    """Statistics of a study's curves, in the replicates that all jobs share.

    Parameters
    ----------
    curves
        All recalibrated curves of the study (analysis/curves.parquet), or its tilted ones, which
        have the same prompts: with the same RM seeds they have the same replicates.
    config
        Settings of the statistics.
    seed
        The seed of the fits (`AnalysisSettings.seed`).
    cells
        Rows of `curves`, those of some cells, to compute statistics of these only.

    """
    resamples = resamples_of(curves, config, numpy_generator(seed, "bootstrap"))
    return curve_statistics(curves if cells is None else cells, config, resamples)


def deep_statistics(
    deep_curves: pd.DataFrame, config: AnalysisConfig, seed: int
) -> CurveStatistics:
    """Statistics of best-of-n beyond n = 1,000, which has prompts and so replicates of its own."""
    resamples = resamples_of(deep_curves, config, numpy_generator(seed, "deep_bootstrap"))
    return curve_statistics(deep_curves, config, resamples)
