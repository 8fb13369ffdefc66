"""
Trends of coefficients and peaks over the sizes of proxies and of their data.

Lines are in log10 of the size, as in Gao et al. 2022, Figure 3 and sections 3.2 and 3.3.
Replicates are those of `curve_statistics`, paired over all cells.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from overopt.analysis.bootstrap import Resamples
from overopt.analysis.curve_statistics import CurveStatistics
from overopt.analysis.intervals import Intervals
from overopt.analysis.sweeps import over
from overopt.analysis.tables import COMPARED, form_and_quantity
from overopt.config.cells import TREND_KEYS

Array = npt.NDArray[np.float64]

MIN_SIZES = 3  # a line through two points fits always
NUM_LINE_POINTS = 50
LABELS = ["axis", "method", "form", "quantity", *TREND_KEYS]
NUMBERS = [
    *("slope", "slope_low", "slope_high", "intercept", "r2"),
    *("spearman", "spearman_low", "spearman_high", "num_sizes"),
]


class _Series(NamedTuple):
    """A statistic at several sizes: `sizes` (P,), `values` (1 + replicates, P)."""

    labels: dict[str, object]
    sizes: Array
    values: Array


def trends(
    statistics: CurveStatistics,
    main_policy: str,
    metrics: pd.DataFrame | None = None,
    excluded_sizes: Sequence[str] = (),
) -> pd.DataFrame:
    """Slopes per decade and rank correlations over proxy sizes and over data sizes.

    Over proxy sizes (axis "num_parameters"): the main policy, without KL penalty, at the largest
    number of comparisons. Over data sizes (axis "num_comparisons"): the same for each proxy size
    that has at least three. Of every size sweep at least three sizes are needed.

    Parameters
    ----------
    statistics
        Of all cells.
    main_policy
        The `policy_size` whose cells are used.
    metrics
        One row per proxy RM: proxy_size, num_parameters, num_comparisons, num_epochs, seed,
        labels, validation_loss. None leaves the validation loss out.
    excluded_sizes
        Proxy sizes that are left out, those near chance (footnote 3).

    Returns
    -------
    Columns: axis; method, form (of a coefficient) and quantity (alpha, beta, peak_gold,
    final_gold, drop, validation_loss); policy_size; proxy_size (data sweeps), num_comparisons
    (size sweeps); slope per decade of the axis, slope_low, slope_high, intercept (at log10 = 0),
    r2 of the line about the mean; spearman, spearman_low, spearman_high; num_sizes. Intervals are
    over prompts and seeds, of the validation loss over seeds only; NaN where a cell has one seed.

    """
    series = [
        *_size_series(statistics, main_policy, excluded_sizes),
        *_data_series(statistics, main_policy, excluded_sizes),
    ]
    if metrics is not None:
        included = metrics[~metrics["proxy_size"].isin(excluded_sizes)]
        series += _validation_loss_series(included, statistics.resamples, main_policy)
    rows = [s.labels | _trend(s, statistics.intervals) for s in series]
    return pd.DataFrame(rows, columns=[*LABELS, *NUMBERS])


def trend_lines(
    statistics: CurveStatistics, main_policy: str, excluded_sizes: Sequence[str] = ()
) -> pd.DataFrame:
    """Regression lines over proxy sizes with pointwise bootstrap bands (Gao et al. 2022, Fig. 3).

    Columns: method, form, quantity, as in `trends`; num_parameters (evenly spaced in its
    logarithm), fitted, low, high.
    """
    columns = ["method", "form", "quantity", "num_parameters", "fitted", "low", "high"]
    tables = [pd.DataFrame(columns=columns)]
    for labels, sizes, values in _size_series(statistics, main_policy, excluded_sizes):
        x = np.linspace(np.log10(sizes.min()), np.log10(sizes.max()), NUM_LINE_POINTS)
        slope, intercept = _line(np.log10(sizes), values)
        lines = intercept[:, None] + slope[:, None] * x
        low, high = statistics.intervals.bounds(lines)
        numbers = {"num_parameters": 10**x, "fitted": lines[0], "low": low, "high": high}
        tables.append(pd.DataFrame({k: labels[k] for k in columns[:3]} | numbers))
    return pd.concat(tables[1:] or tables, ignore_index=True)


def _size_series(
    statistics: CurveStatistics, main_policy: str, excluded_sizes: Sequence[str]
) -> Iterator[_Series]:
    sweep = over(statistics.groups, main_policy=main_policy, excluded_sizes=excluded_sizes)
    for method, cells in sweep.groupby("method"):
        labels = _kept_fixed(cells, "proxy_size")
        yield from _series(statistics, str(method), cells, {"axis": "num_parameters"} | labels)


def _data_series(
    statistics: CurveStatistics, main_policy: str, excluded_sizes: Sequence[str]
) -> Iterator[_Series]:
    groups, axis = statistics.groups, "num_comparisons"
    sweep = over(groups, axis, main_policy=main_policy, excluded_sizes=excluded_sizes)
    for method, of_method in sweep.groupby("method"):
        for _, cells in of_method.groupby("proxy_size"):
            labels: dict[str, object] = {"axis": axis} | _kept_fixed(cells, axis)
            yield from _series(statistics, str(method), cells, labels)


def _kept_fixed(rows: pd.DataFrame, varied: str) -> dict[str, object]:
    """Values of the columns that a series over `varied` keeps fixed."""
    return {key: rows[key].iloc[0] for key in TREND_KEYS if key in rows and key != varied}


def _series(
    statistics: CurveStatistics, method: str, cells: pd.DataFrame, labels: dict[str, object]
) -> Iterator[_Series]:
    if len(cells) < MIN_SIZES:
        return
    sizes = cells[str(labels["axis"])].to_numpy(dtype=np.float64)
    for quantity in COMPARED:
        values = statistics.values[quantity][:, cells.index.to_numpy()]
        if not np.isnan(values[0]).any():
            names = {"method": method} | form_and_quantity(method, quantity)
            yield _Series(labels | names, sizes, values)


def _validation_loss_series(
    metrics: pd.DataFrame, resamples: Resamples, main_policy: str
) -> Iterator[_Series]:
    sweeps = [("num_parameters", over(metrics, main_policy=main_policy))]
    over_data = over(metrics, "num_comparisons", main_policy=main_policy)
    sweeps += [("num_comparisons", rows) for _, rows in over_data.groupby("proxy_size", sort=False)]
    for axis, cells in sweeps:
        sizes, columns = [], []
        for size, rows in cells.groupby(axis):
            proxy_size = str(rows["proxy_size"].iloc[0])
            weights = resamples.seed_weights(rows["seed"].tolist(), proxy_size)
            sizes.append(size)
            columns.append(weights @ rows["validation_loss"].to_numpy(dtype=np.float64))
        if len(sizes) >= MIN_SIZES:
            values = np.stack(columns, axis=1)
            if np.ptp(values, axis=0).max() == 0:  # one seed: nothing was resampled
                values[1:] = np.nan
            labels: dict[str, object] = {"axis": axis, "quantity": "validation_loss"}
            fixed = _kept_fixed(cells, "proxy_size" if axis == "num_parameters" else axis)
            yield _Series(labels | fixed, np.asarray(sizes, dtype=np.float64), values)


def _trend(series: _Series, intervals: Intervals) -> dict[str, float]:
    x, values = np.log10(series.sizes), series.values
    slope, intercept = _line(x, values)
    residual = values[0] - intercept[0] - slope[0] * x
    spread = float(((values[0] - values[0].mean()) ** 2).sum())
    rank_correlation = _spearman(x, values)
    slope_low, slope_high = intervals.bounds(slope)
    spearman_low, spearman_high = np.clip(intervals.bounds(rank_correlation), -1, 1)
    numbers = (
        slope[0],
        slope_low,
        slope_high,
        intercept[0],
        1 - float((residual**2).sum()) / spread if spread > 0 else np.nan,
        rank_correlation[0],
        spearman_low,
        spearman_high,
        len(x),
    )
    return {name: float(number) for name, number in zip(NUMBERS, numbers, strict=True)}


def _line(x: Array, values: Array) -> tuple[Array, Array]:
    """Slope and intercept of the least-squares line through each row of `values`, shape (R, P)."""
    centered = x - x.mean()
    slope = values @ centered / (centered @ centered)
    return slope, values.mean(axis=1) - slope * x.mean()


def _spearman(x: Array, values: Array) -> Array:
    """Rank correlation of `x` with each row; NaN for rows that are constant or hold NaN."""
    is_valid = np.isfinite(values).all(axis=1) & (np.ptp(values, axis=1) > 0)
    ranks = rankdata(np.where(is_valid[:, None], values, x), axis=1)
    x_ranks = rankdata(x) - (len(x) + 1) / 2
    ranks -= (len(x) + 1) / 2
    norm = np.sqrt((ranks**2).sum(axis=1) * (x_ranks**2).sum())
    return np.where(is_valid, ranks @ x_ranks / norm, np.nan)
