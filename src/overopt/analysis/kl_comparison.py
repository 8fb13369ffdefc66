"""What an estimate of best-of-n's KL changes in the fits (Beirami et al. 2025).

The formula log n - (n - 1) / n is an upper bound. It is exact where no two responses tie.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.curve_statistics import CurveStatistics
from overopt.analysis.group_curves import GroupCurve, cells_by_group, pointwise_curve
from overopt.analysis.intervals import Intervals, without_seeds
from overopt.config.analysis import AnalysisConfig
from overopt.config.cells import GROUP_KEYS
from overopt.theory.form_fits import solve
from overopt.theory.forms import BEST_OF_N

Array = npt.NDArray[np.float64]


def kl_differences(
    curves: pd.DataFrame, statistics: CurveStatistics, config: AnalysisConfig
) -> pd.DataFrame:
    """Fits of best-of-n with the formula's KL and with its estimate, one row a cell, paired.

    `curves` are those of `statistics`, with kl (formula) and kl_estimate. Columns: the cell;
    max_n; max_kl, max_kl_estimate at that n (nats); max_kl_difference (formula minus estimate, the
    largest over n); alpha, beta (with the formula), alpha_estimate, beta_estimate, and
    alpha_difference, beta_difference (formula minus estimate), each with _low and _high.
    Zero rows without best-of-n cells.
    """
    estimated = curves[curves["method"] == "best_of_n"]
    estimated = estimated.assign(kl=estimated["kl_estimate"])
    rows = []
    positions = statistics.groups.index[statistics.groups["method"] == "best_of_n"]
    for column, (keys, cells) in zip(positions, cells_by_group(estimated), strict=True):
        curve = statistics.curves[column]
        other = pointwise_curve(cells, statistics.resamples, config, BEST_OF_N)
        kl, kl_estimate = curve.sqrt_kl[0] ** 2, other.sqrt_kl[0] ** 2
        numbers = {
            "max_n": int(curve.points["n"].iloc[-1]),
            "max_kl": kl[-1],
            "max_kl_estimate": kl_estimate[-1],
            "max_kl_difference": (kl - kl_estimate).max(),
        }
        rows.append(keys | numbers | _fits(curve, other, statistics.intervals))
    names = [f"{c}{s}" for c in ("alpha", "beta") for s in ("", "_estimate", "_difference")]
    bounds = [f"{name}{bound}" for name in names for bound in ("", "_low", "_high")]
    kls = ["max_n", "max_kl", "max_kl_estimate", "max_kl_difference"]
    return pd.DataFrame(rows, columns=[*GROUP_KEYS, *kls, *bounds])


def _fits(formula: GroupCurve, estimate: GroupCurve, intervals: Intervals) -> dict[str, float]:
    first, second = solve(formula.fit_moments), solve(estimate.fit_moments)
    num_seeds = len(formula.seed_moments)
    numbers: dict[str, float] = {}
    for name in ("alpha", "beta"):
        one, other = getattr(first, name), getattr(second, name)
        for label, values in (("", one), ("_estimate", other), ("_difference", one - other)):
            known = without_seeds(values[:, None], num_seeds)
            columns = intervals.columns(f"{name}{label}", known)
            numbers |= {column: float(value[0]) for column, value in columns.items()}
    return numbers
