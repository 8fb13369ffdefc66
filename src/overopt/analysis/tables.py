"""Tables of fits, peaks, paired differences and curves, ready to be written as CSV."""

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.curve_statistics import CurveStatistics
from overopt.analysis.group_curves import GroupCurve
from overopt.analysis.intervals import Intervals
from overopt.config.cells import ALIKE_KEYS, GROUP_KEYS
from overopt.config.methods import METHODS, SHARED_FORM

Array = npt.NDArray[np.float64]

# Quantities that are compared between proxy sizes.
FIT_COLUMNS = ["alpha", "beta", "r2"]
COMPARED = ["alpha", "beta", "shared_beta", "peak_gold", "final_gold", "drop"]


def coefficients(statistics: CurveStatistics) -> pd.DataFrame:
    """Coefficients of all fits, one row a fit (Gao et al. 2022, sections 3.1 and 3.2).

    Columns: method, policy_size, proxy_size, num_parameters, labels, num_comparisons, num_epochs,
    kl_coef (the cell); form ("best_of_n": d (alpha - beta d), "rl": d (alpha - beta log d),
    "rl_shared_alpha": the same with one alpha for all proxy sizes); alpha, alpha_low, alpha_high,
    beta, beta_low, beta_high (over prompts and seeds, NaN with one seed; initial-policy sd per
    sqrt(nat), beta of best-of-n per nat); r2 (about the mean of the points), r2_of_runs (mean over
    seeds of the r2 of a free fit to each seed by itself: where runs differ, it is higher);
    num_seeds, num_prompts, num_points (that entered the fit). NaN where a cell has too few points.
    """
    groups = statistics.groups
    free = groups[GROUP_KEYS].assign(form=[METHODS[name].form for name in groups["method"]])
    shared = groups[GROUP_KEYS].assign(form=SHARED_FORM)
    for table, prefix in ((free, ""), (shared, "shared_")):
        for column in FIT_COLUMNS[:2]:
            _add_with_interval(table, column, statistics, prefix + column)
        table["r2"] = statistics.values[f"{prefix}r2"][0]
        table["r2_of_runs"] = np.nan if prefix else statistics.values["r2_of_runs"][0]
        for column in ("num_seeds", "num_prompts", "num_points"):
            table[column] = groups[column]
    is_shared = ~np.isnan(statistics.values["shared_beta"][0])
    return pd.concat([free, shared[is_shared]], ignore_index=True)


def peaks(statistics: CurveStatistics) -> pd.DataFrame:
    """Peaks and ends of gold curves, one row a cell (Gao et al. 2022, Figure 1).

    Columns: the cell as in `coefficients`; initial_gold (of this policy; 0 for the main one),
    peak_gold, kl_at_peak, final_gold (last step, or largest n), drop (peak minus final), each with
    _low and _high; final_kl, proxy_at_peak, final_proxy; num_seeds, num_prompts. Scores in
    initial-policy sd of gold, KL in nats per sequence. A PPO peak is the highest bin of sqrt(KL),
    averaged over seeds: less biased upwards than the highest single evaluation, but still biased.
    """
    table = statistics.groups[GROUP_KEYS].copy()
    for column in ("initial_gold", "peak_gold", "kl_at_peak", "final_gold", "drop"):
        _add_with_interval(table, column, statistics, column)
    for column in ("final_kl", "proxy_at_peak", "final_proxy"):
        table[column] = statistics.values[column][0]
    return table.assign(
        num_seeds=statistics.groups["num_seeds"], num_prompts=statistics.groups["num_prompts"]
    )


def differences(statistics: CurveStatistics) -> pd.DataFrame:
    """Paired differences between every two proxy sizes that are alike in all else.

    Columns: method, policy_size, labels, num_comparisons, num_epochs, kl_coef; form (of a
    coefficient, else empty); quantity (alpha, beta, peak_gold, final_gold, drop); larger, smaller
    (proxy sizes); difference (larger minus smaller), low, high. Pairing by prompts and seeds
    removes the noise both share, so an interval is much shorter than those of the two cells
    suggest.
    """
    rows = []
    for key, cells in statistics.groups.groupby(ALIKE_KEYS):
        ordered = cells.sort_values("num_parameters")
        for smaller, larger in combinations(ordered.index, 2):
            cell = dict(zip(ALIKE_KEYS, key, strict=True))
            names = {
                "larger": ordered.loc[larger, "proxy_size"],
                "smaller": ordered.loc[smaller, "proxy_size"],
            }
            for quantity in COMPARED:
                values = statistics.values[quantity][:, [larger, smaller]]
                if np.isnan(values[0]).any():
                    continue
                contrast = values[:, 0] - values[:, 1]
                low, high = statistics.intervals.bounds(contrast)
                numbers = {"difference": contrast[0], "low": float(low), "high": float(high)}
                rows.append(
                    cell | form_and_quantity(str(cell["method"]), quantity) | names | numbers
                )
    columns = [*ALIKE_KEYS, "form", "quantity", "larger", "smaller", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def binned_curves(statistics: CurveStatistics) -> pd.DataFrame:
    """Curves with bands, one row a cell and point: an n of best-of-n, a bin of PPO.

    Columns: the cell as in `coefficients`; num_seeds (that reach this KL; those that ended before
    count with their end); n or step (mean of the evaluations in the bin); kl, sqrt_kl; gold,
    gold_low, gold_high, proxy, proxy_low, proxy_high, and human, human_low, human_high where there
    is a human score. Scores in initial-policy sd of gold (human: of itself), KL in nats per
    sequence, bands pointwise intervals over prompts and seeds, NaN with one seed. PPO bins are of
    sqrt(KL), and kl is the square of the bin's mean sqrt_kl.
    """
    tables = [
        _binned_curve(statistics.groups.loc[[row], GROUP_KEYS], curve, statistics.intervals)
        for row, curve in enumerate(statistics.curves)
    ]
    return pd.concat(tables, ignore_index=True)


def form_and_quantity(method: str, quantity: str) -> dict[str, str | None]:
    """Form and name under which a statistic stands in the tables."""
    if quantity.startswith("shared_"):
        return {"form": SHARED_FORM, "quantity": quantity.removeprefix("shared_")}
    return {"form": METHODS[method].form if quantity in FIT_COLUMNS else None, "quantity": quantity}


def _binned_curve(cell: pd.DataFrame, curve: GroupCurve, intervals: Intervals) -> pd.DataFrame:
    table = cell.loc[cell.index.repeat(len(curve.points))].reset_index(drop=True)
    return table.join(band_table(curve, curve.scores, intervals))


def band_table(curve: GroupCurve, scores: dict[str, Array], intervals: Intervals) -> pd.DataFrame:
    """Points of a curve with bands of `scores`, each of shape (1 + replicates, K).

    Columns: those of `binned_curves` from num_seeds on, with the names of `scores`.
    """
    position = curve.points["position"].to_numpy()
    sqrt_kl = curve.sqrt_kl[0, position]
    columns: dict[str, object] = {
        "num_seeds": curve.points["num_seeds"],
        "n": curve.points["n"].astype("Int64"),
        "step": curve.points["step"].astype("Float64"),
        "kl": sqrt_kl**2,
        "sqrt_kl": sqrt_kl,
    }
    for name, values in scores.items():
        columns |= intervals.columns(name, values[:, position])
    return pd.DataFrame(columns)


def _add_with_interval(
    table: pd.DataFrame, column: str, statistics: CurveStatistics, quantity: str
) -> None:
    columns = statistics.intervals.columns(column, statistics.values[quantity])
    table[list(columns)] = pd.DataFrame(columns)
