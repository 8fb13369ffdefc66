"""Curves that no table holds, with bands over the replicates of the fits: gains, gaps, averages."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.bootstrap import percentile_interval
from overopt.analysis.curve_statistics import CurveStatistics, curve_statistics
from overopt.analysis.group_curves import GROUP_KEYS, GroupCurve
from overopt.figures.inputs import FigureTables, same_cells
from overopt.randomness import numpy_generator

Array = npt.NDArray[np.float64]


def statistics_of(tables: FigureTables, cells: pd.DataFrame) -> CurveStatistics:
    """Curves of these cells in every replicate, paired; replicates as those of the fits."""
    settings = tables.settings
    rng = numpy_generator(settings.bootstrap_seed, "bootstrap")
    return curve_statistics(same_cells(tables.curves, cells), settings.analysis, rng)


def initial_scores(tables: FigureTables, statistics: CurveStatistics, score: str) -> list[Array]:
    """Score of each cell's own policy before optimization, in every replicate: (R,) per cell.

    From initial_gold_score or initial_proxy_score: as accurate as the pool, where the first
    evaluation of a PPO run has a few responses per prompt only.
    """
    means: list[Array] = []
    for cell in statistics.groups[GROUP_KEYS].itertuples(index=False):
        rows = same_cells(tables.curves, pd.DataFrame([cell], columns=GROUP_KEYS))
        rows = rows.drop_duplicates(["seed", "prompt_id"])
        by_seed = rows.pivot(index="seed", columns="prompt_id", values=f"initial_{score}_score")
        resamples = statistics.resamples
        weights = resamples.seed_weights(by_seed.index.tolist(), str(cell.proxy_size))
        means.append(((resamples.prompt_weights @ by_seed.to_numpy().T) * weights).sum(axis=1))
    return means


def band_table(
    curve: GroupCurve, scores: dict[str, Callable[[GroupCurve], Array]], confidence: float
) -> pd.DataFrame:
    """A curve in the columns of `overopt.analysis.tables.binned_curves`.

    `scores` gives each score from the curve, in every replicate, shape (R, K).
    """
    values = {name: function(curve) for name, function in scores.items()}
    return _band_table(curve, values, confidence)


def mean_curve(curves: list[GroupCurve], confidence: float) -> pd.DataFrame:
    """Mean of best-of-n curves over cells, in the columns of
    `overopt.analysis.tables.binned_curves`.

    All at the same n. The mean is taken in every replicate, so that its band knows that cells
    share prompts and seeds.
    """
    values = {
        name: np.mean([curve.scores[name] for curve in curves], axis=0)
        for name in ("gold", "proxy")
    }
    return _band_table(curves[0], values, confidence)


def _band_table(curve: GroupCurve, values: dict[str, Array], confidence: float) -> pd.DataFrame:
    position = curve.points["position"].to_numpy()
    sqrt_kl = curve.sqrt_kl[0, position]
    columns: dict[str, object] = {
        "num_seeds": curve.points["num_seeds"].to_numpy(),
        "kl": sqrt_kl**2,
        "sqrt_kl": sqrt_kl,
    }
    for name, score in values.items():
        low, high = percentile_interval(score[:, position], confidence)
        columns |= {name: score[0, position], f"{name}_low": low, f"{name}_high": high}
    return pd.DataFrame(columns)
