"""
This run's trends over sizes beside the paper's, in numbers without a unit (Gao et al. 2022).

Both gold reward models, tasks and size ranges differ, so levels say nothing. What can be compared:
the slope per decade over the mean, its sign, the rank correlation, and the ratio of the value at
the smallest size to that at the largest.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import spearmanr

from overopt.analysis.curve_statistics import CurveStatistics
from overopt.analysis.intervals import Intervals
from overopt.analysis.paper_values import MIN_SIZES, paper_series, paper_trend, sign_of
from overopt.analysis.statistics import study_statistics
from overopt.analysis.sweeps import over
from overopt.config.analysis import AnalysisSettings
from overopt.config.cells import DATA_KEYS

Array = npt.NDArray[np.float64]

COLUMNS = [
    *("axis", "method", "form", "quantity", "paper_version"),
    *("num_sizes", "decades", "relative_slope", "relative_slope_low", "relative_slope_high"),
    *("sign", "spearman", "ratio", "ratio_low", "ratio_high"),
    *("paper_num_sizes", "paper_decades", "paper_relative_slope"),
    *("paper_relative_slope_low", "paper_relative_slope_high"),
    *("paper_sign", "paper_spearman", "paper_ratio", "agreement"),
]
# Mixed signs: a mean near zero is no scale, and a ratio across zero says nothing.
NO_SCALE = np.nan


class _Compared(NamedTuple):
    """A quantity over an axis: its name in `CurveStatistics` (or validation_loss), the paper's."""

    axis: str
    method: str
    form: str
    name: str  # in this project's tables
    statistic: str  # in CurveStatistics.values
    paper_name: str
    version: str = "both"
    condition: str = ""


_SIZE, _DATA = "num_parameters", "num_comparisons"
COMPARED = [
    _Compared(_SIZE, "best_of_n", "best_of_n", "alpha", "alpha", "alpha", "icml"),
    _Compared(_SIZE, "best_of_n", "best_of_n", "alpha", "alpha", "alpha", "arxiv"),
    _Compared(_SIZE, "best_of_n", "best_of_n", "beta", "beta", "beta", "icml"),
    _Compared(_SIZE, "best_of_n", "best_of_n", "beta", "beta", "beta", "arxiv"),
    _Compared(_SIZE, "ppo", "rl_shared_alpha", "beta", "shared_beta", "beta"),
    _Compared(_SIZE, "ppo", "rl", "alpha", "alpha", "alpha"),
    _Compared(_SIZE, "ppo", "rl", "beta", "beta", "beta"),
    _Compared(
        *(_SIZE, "best_of_n", "", "peak_gold", "peak_gold", "peak_gold"),
        condition="highest at KL <= 10 nats",
    ),
    _Compared(
        *(_SIZE, "ppo", "", "peak_gold", "peak_gold", "peak_gold"),
        condition="highest at KL <= 100 nats",
    ),
    _Compared(*(_SIZE, "best_of_n", "", "final_gold", "final_gold", "gold"), condition="n = 1000"),
    _Compared(_SIZE, "", "", "validation_loss", "validation_loss", "validation_loss"),
    _Compared(_DATA, "best_of_n", "best_of_n", "alpha", "alpha", "alpha"),
    _Compared(_DATA, "best_of_n", "best_of_n", "beta", "beta", "beta"),
    _Compared(*(_DATA, "best_of_n", "", "final_gold", "final_gold", "gold"), condition="n = 1000"),
]


def compare_with_paper(
    curves: pd.DataFrame, metrics: pd.DataFrame, settings: AnalysisSettings
) -> pd.DataFrame:
    """Relative slopes, signs, rank correlations and ratios of this run, beside the paper's.

    Parameters
    ----------
    curves
        Recalibrated curves of all cells (analysis/curves.parquet).
    metrics
        One row per proxy RM (analysis/proxy_rms.csv).
    settings
        Settings of the fits.

    Returns
    -------
    One row per quantity and version of the paper. axis: num_parameters (main policy, most
    comparisons) or num_comparisons (mean over the proxy sizes that have every amount of data);
    method, form, quantity; num_sizes; decades between smallest and largest; relative_slope (per
    decade, over the mean) with _low, _high; sign (rising, falling, unclear; "not run" with fewer
    than three sizes); spearman; ratio (smallest size over largest) with _low, _high. The same of
    the paper with prefix paper_, its interval from the scatter about the line. agreement: same
    sign, opposite sign, unclear, not run. Intervals are over prompts and seeds; of the validation
    loss over seeds, NaN with one. NaN where values have both signs and so no scale.

    """
    plain = over(curves, *DATA_KEYS, main_policy=settings.main_policy)
    statistics = study_statistics(curves, settings.analysis, settings.seed, plain)
    rows = [_row(compared, statistics, metrics, settings) for compared in COMPARED]
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(
    compared: _Compared,
    statistics: CurveStatistics,
    metrics: pd.DataFrame,
    settings: AnalysisSettings,
) -> dict[str, object]:
    if compared.name == "validation_loss":
        sizes, values = _validation_losses(metrics, statistics, settings)
    elif compared.axis == _SIZE:
        sizes, values = _over_proxy_sizes(compared, statistics, settings)
    else:
        sizes, values = _over_data_sizes(compared, statistics, settings)
    row: dict[str, object] = {
        "axis": compared.axis,
        "method": compared.method,
        "form": compared.form,
        "quantity": compared.name,
        "paper_version": compared.version,
    }
    row |= _run_columns(sizes, values, statistics.intervals)
    row |= _paper_columns(compared)
    return row | {"agreement": _agreement(str(row["sign"]), str(row["paper_sign"]))}


def _sweep(table: pd.DataFrame, settings: AnalysisSettings, *axes: str) -> pd.DataFrame:
    excluded = settings.excluded_sizes
    return over(table, *axes, main_policy=settings.main_policy, excluded_sizes=excluded)


def _over_proxy_sizes(
    compared: _Compared, statistics: CurveStatistics, settings: AnalysisSettings
) -> tuple[Array, Array]:
    """Sizes (P,) and values (1 + replicates, P) of the sweep over proxy sizes."""
    sweep = _sweep(statistics.groups, settings)
    cells = sweep[sweep["method"] == compared.method].sort_values(_SIZE)
    values = statistics.values[compared.statistic][:, cells.index.to_numpy()]
    return cells[_SIZE].to_numpy(dtype=np.float64), values


def _over_data_sizes(
    compared: _Compared, statistics: CurveStatistics, settings: AnalysisSettings
) -> tuple[Array, Array]:
    """The same over data sizes: the mean over the proxy sizes that have every amount."""
    sweep = _sweep(statistics.groups, settings, _DATA)
    cells = sweep[sweep["method"] == compared.method]
    grid = cells.reset_index().pivot(index=_DATA, columns="proxy_size", values="index")
    grid = grid.loc[:, grid.notna().all()]
    values = statistics.values[compared.statistic]
    if grid.empty:  # no proxy size has every amount
        return np.empty(0), values[:, :0]
    means = values[:, grid.to_numpy(dtype=np.int64)].mean(axis=2)
    return grid.index.to_numpy(dtype=np.float64), means


def _validation_losses(
    metrics: pd.DataFrame, statistics: CurveStatistics, settings: AnalysisSettings
) -> tuple[Array, Array]:
    """Held-out loss of proxy RMs with most comparisons; replicates NaN with one seed."""
    rows = _sweep(metrics, settings)
    sizes, columns = [], []
    for size, proxies in rows.groupby(_SIZE):
        weights = statistics.resamples.seed_weights(
            proxies["seed"].tolist(), str(proxies["proxy_size"].iloc[0])
        )
        sizes.append(size)
        columns.append(weights @ proxies["validation_loss"].to_numpy(dtype=np.float64))
    values = np.stack(columns, axis=1)
    if rows["seed"].nunique() < 2:  # nothing was resampled
        values[1:] = np.nan
    return np.asarray(sizes, dtype=np.float64), values


def _run_columns(sizes: Array, values: Array, intervals: Intervals) -> dict[str, object]:
    if len(sizes) < MIN_SIZES or np.isnan(values[0]).any():
        return {"num_sizes": len(sizes), "sign": "not run"}
    x = np.log10(sizes) - np.log10(sizes).mean()
    slope = values @ x / (x @ x)
    has_scale = (np.sign(values[0]) == np.sign(values[0, 0])).all()
    scale = np.abs(values.mean(axis=1)) if has_scale else np.full(len(values), NO_SCALE)
    ratio = values[:, 0] / values[:, -1] if has_scale else np.full(len(values), NO_SCALE)
    low, high = intervals.bounds(slope / scale)
    ratio_low, ratio_high = intervals.bounds(ratio)
    # The sign needs no scale, so it is told even where values have both signs.
    sign = sign_of(*(float(bound) for bound in intervals.bounds(slope)))
    return {
        "num_sizes": len(sizes),
        "decades": float(np.ptp(x)),
        "relative_slope": float(slope[0] / scale[0]),
        "relative_slope_low": float(low),
        "relative_slope_high": float(high),
        "sign": sign,
        "spearman": float(spearmanr(x, values[0]).statistic),
        "ratio": float(ratio[0]),
        "ratio_low": float(ratio_low),
        "ratio_high": float(ratio_high),
    }


def _paper_columns(compared: _Compared) -> dict[str, object]:
    sizes, values = paper_series(
        compared.paper_name,
        compared.axis,
        method=compared.method,
        form=compared.form,
        version=compared.version,
        condition=compared.condition,
    )
    trend = paper_trend(sizes, values)
    if trend is None:
        raise ValueError(f"the paper's values hold no series for {compared}")
    return {
        "paper_num_sizes": trend.num_sizes,
        "paper_decades": trend.decades,
        "paper_relative_slope": trend.relative_slope,
        "paper_relative_slope_low": trend.low,
        "paper_relative_slope_high": trend.high,
        "paper_sign": trend.sign,
        "paper_spearman": trend.spearman,
        "paper_ratio": trend.ratio,
    }


def _agreement(sign: str, paper_sign: str) -> str:
    if sign == "not run":
        return "not run"
    if "unclear" in (sign, paper_sign):
        return "unclear"
    return "same sign" if sign == paper_sign else "opposite sign"
