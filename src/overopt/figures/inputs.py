"""The tables that figures are drawn from, and the sweeps that are picked from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from overopt.analysis.sweeps import over
from overopt.config.cells import CELL_KEYS, GROUP_KEYS
from overopt.config.figures import FigureSettings
from overopt.config.methods import BEST_OF_N
from overopt.errors import UserError

CURVE_COLUMNS = [
    *(*CELL_KEYS, "n", "step", "prompt_id", "kl"),
    *("recalibrated_gold_score", "recalibrated_proxy_score"),
    *("initial_gold_score", "initial_proxy_score"),
]


@dataclass(frozen=True)
class FigureTables:
    """All tables of a study that a figure may read, by the name of their file (`FIGURE_TABLES`).

    `curves` and `deep_curves` are per prompt; `iterations` has one row per iteration of
    PPO in the sweep over RM sizes: CELL_KEYS, step, clipfrac.
    """

    settings: FigureSettings
    curves: pd.DataFrame
    deep_curves: pd.DataFrame
    binned_curves: pd.DataFrame
    coefficients: pd.DataFrame
    peaks: pd.DataFrame
    trend_lines: pd.DataFrame
    proxy_rms: pd.DataFrame
    forms: pd.DataFrame
    extrapolation: pd.DataFrame
    kl_estimate: pd.DataFrame
    gold_ceiling: pd.DataFrame
    paper_comparison: pd.DataFrame
    iterations: pd.DataFrame


def read_tables(
    settings: FigureSettings,
    paths: Sequence[Path],
    run_curves: Sequence[Path],
    iterations: Sequence[Path],
) -> FigureTables:
    """Read the tables of `FIGURE_TABLES`, each named after its file.

    `iterations` are training logs of PPO, which do not say of which run; `run_curves` are the
    curves of the same runs, in the same order, which do.
    """
    tables = {path.stem: _read_table(path) for path in paths}
    # With fewer than three sizes there are no lines, and columns of an empty file have no type.
    numbers = dict.fromkeys(["num_parameters", "fitted", "low", "high"], float)
    tables["trend_lines"] = tables["trend_lines"].astype(numbers)
    runs = zip(run_curves, iterations, strict=True)
    frames = [_read_iterations(curve, log) for curve, log in runs]
    columns = [*CELL_KEYS, "step", "clipfrac"]
    rows = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
    return FigureTables(settings=settings, iterations=rows, **tables)


def _read_table(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path, columns=CURVE_COLUMNS)
    return pd.read_csv(path)


def _read_iterations(curve: Path, log: Path) -> pd.DataFrame:
    keys = pd.read_parquet(curve, columns=CELL_KEYS).iloc[0].to_dict()
    return pd.read_csv(log, usecols=["step", "clipfrac"]).assign(**keys)


def nothing_to_draw(what: str, sweep: str) -> UserError:
    """The error of a figure that the study has no cells for, with the sweep that would give them.

    `what` the study has none of; `sweep`, its name in config/study.yaml.
    """
    return UserError(
        f"nothing to draw: the study has no {what}; switch on the sweep {sweep!r} "
        "(config/study.yaml has it) to see this figure"
    )


def sweep_over_sizes(
    tables: FigureTables, table: pd.DataFrame, method: str, *, with_near_chance: bool = False
) -> pd.DataFrame:
    """Rows of `table` in the sweep over RM sizes with this method, ascending in size.

    Raises UserError where there is none.
    """
    excluded = [] if with_near_chance else tables.settings.excluded_sizes
    main_policy = tables.settings.main_policy
    own = table[table["method"] == method]
    rows = over(own, main_policy=main_policy, excluded_sizes=excluded)
    if rows.empty:
        what = f"{method} result of policy {main_policy!r} without KL penalty"
        raise nothing_to_draw(what, "rm_size")
    return rows.sort_values("num_parameters", kind="stable")


def sweep_over_data(tables: FigureTables, table: pd.DataFrame, method: str) -> pd.DataFrame:
    """Rows of `table` in the sweep over amounts of data with this method, of all RM sizes.

    Those of the main policy, without KL penalty, with deterministic labels and the fewest epochs;
    without the sizes near chance. Raises UserError unless some size has two amounts.
    """
    rows = over(
        table[table["method"] == method],
        "num_comparisons",
        main_policy=tables.settings.main_policy,
        excluded_sizes=tables.settings.excluded_sizes,
    )
    if rows.empty or rows.groupby("proxy_size")["num_comparisons"].nunique().max() < 2:
        name = "rm_data" if method == BEST_OF_N else f"rm_data_{method}"
        raise nothing_to_draw(f"{method} result with several amounts of data for one RM", name)
    return rows.sort_values(["num_parameters", "num_comparisons"], kind="stable")


def data_sweep_sizes(rows: pd.DataFrame) -> list[str]:
    """Proxy sizes with two or more amounts of data, ascending in parameters."""
    counts = rows.groupby(["num_parameters", "proxy_size"])["num_comparisons"].nunique()
    return [str(size) for _, size in counts[counts > 1].index]


def sweep_over_policies(tables: FigureTables, table: pd.DataFrame, method: str) -> pd.DataFrame:
    """Rows of `table` in the sweep over policies, of every RM size that two policies share.

    Without KL penalty, deterministic labels, the most data, the fewest epochs. Ascending in RM
    size, the main policy first. Raises UserError where there is none.
    """
    own = table[table["method"] == method]
    rows = over(own, "policy_size", main_policy=tables.settings.main_policy)
    is_shared = rows.groupby("proxy_size")["policy_size"].transform("nunique") > 1
    if rows.empty or not is_shared.any():
        raise nothing_to_draw(f"{method} result of two policies against one RM", "policy_size")
    rows = rows[is_shared]
    is_other = rows["policy_size"] != tables.settings.main_policy
    order = rows.assign(is_other=is_other).sort_values(
        ["num_parameters", "is_other"], kind="stable"
    )
    return order.drop(columns="is_other")


def sweep_over_penalties(tables: FigureTables, table: pd.DataFrame) -> pd.DataFrame:
    """Rows of `table` of PPO at the RM size that has the most KL penalties, ascending in them.

    The main policy, deterministic labels, the most data. Raises UserError unless there are two.
    """
    own = table[table["method"] == "ppo"]
    rows = over(own, "kl_coef", main_policy=tables.settings.main_policy)
    counts = rows.groupby("proxy_size")["kl_coef"].nunique()
    if rows.empty or counts.max() < 2:
        raise nothing_to_draw("PPO result with and without KL penalty", "kl_penalty")
    return rows[rows["proxy_size"] == counts.idxmax()].sort_values("kl_coef", kind="stable")


def same_cells(table: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Rows of `table` that belong to one of the `cells`, in the table's order."""
    keys = pd.MultiIndex.from_frame(table[GROUP_KEYS])
    return table[keys.isin(pd.MultiIndex.from_frame(cells[GROUP_KEYS].drop_duplicates()))]
