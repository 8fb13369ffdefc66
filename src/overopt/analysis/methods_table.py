"""
One table of what every method and mitigation changes: methods.csv.

Selection rules and ensembles share pool, prompts and proxies with plain best-of-n; RL methods share
prompts, and their seeds the proxies. So every difference is paired, replicate by replicate.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.curve_statistics import CurveStatistics
from overopt.analysis.intervals import Intervals
from overopt.analysis.sweeps import over
from overopt.config.cells import CELL_KEYS, GROUP_KEYS
from overopt.config.methods import BEST_OF_N, METHODS
from overopt.config.variants import PLAIN

Array = npt.NDArray[np.float64]

QUANTITIES = ("alpha", "beta", "peak_gold", "kl_at_peak", "final_gold", "final_kl")
PLAIN_RL = "ppo"
"""RL methods are compared with plain PPO, all others with plain best-of-n."""


def methods_input(
    selection: pd.DataFrame, curves: pd.DataFrame, main_policy: str, excluded_sizes: list[str]
) -> pd.DataFrame:
    """Curves of the pool with those of the sweep over sizes of every other method.

    `selection` holds best-of-n, rules and ensembles (`overopt.analysis.selection_curves`), `curves`
    all recalibrated curves of a study.
    """
    others = curves[curves["method"] != BEST_OF_N]
    swept = over(others, "variant", main_policy=main_policy, excluded_sizes=excluded_sizes)
    columns = [*CELL_KEYS, "n", "step", "prompt_id", "kl"]
    columns += [f"{kind}_{name}_score" for name in ("gold", "proxy") for kind in KINDS]
    return pd.concat([selection[columns], swept[columns]], ignore_index=True)


KINDS = ("recalibrated", "initial")


def methods_table(statistics: CurveStatistics) -> pd.DataFrame:
    """One row a method, variant and proxy size, with the paired difference to the plain cell.

    Columns: GROUP_KEYS (the cell), num_seeds, form; each of alpha, beta (of
    that form), peak_gold, kl_at_peak, final_gold, final_kl with _low and _high (sd of gold, nats;
    the ends of curves lie at KLs of their own); and the same of each quantity's difference to the
    plain cell of that size, `{quantity}_change`: plain best-of-n, of RL methods plain PPO. Changes
    of alpha and beta stand where both have one form.
    """
    groups = statistics.groups
    plain = {
        (row.method, row.proxy_size): column
        for column, row in zip(groups.index, groups.itertuples(), strict=True)
        if row.variant == PLAIN and row.kl_coef == 0
    }
    rows = []
    for column, cell in zip(groups.index, groups.to_dict("records"), strict=True):
        method = METHODS[str(cell["method"])]
        reference = PLAIN_RL if method.is_binned else BEST_OF_N
        other = plain.get((reference, cell["proxy_size"]))
        row = {key: cell[key] for key in (*GROUP_KEYS, "num_seeds")} | {"form": method.form}
        for name in QUANTITIES:
            values = statistics.values[name]
            row |= _columns(name, values[:, column], statistics.intervals)
            is_comparable = name not in ("alpha", "beta") or METHODS[reference].form == method.form
            change = np.full(len(values), np.nan)
            if other is not None and other != column and is_comparable:
                change = values[:, column] - values[:, other]
            row |= _columns(f"{name}_change", change, statistics.intervals)
        rows.append(row)
    order = list(METHODS)
    rows.sort(key=lambda row: order.index(str(row["method"])))
    return pd.DataFrame(rows)


def _columns(name: str, values: Array, intervals: Intervals) -> dict[str, object]:
    columns = intervals.columns(name, values[:, None])
    return {column: float(value[0]) for column, value in columns.items()}
