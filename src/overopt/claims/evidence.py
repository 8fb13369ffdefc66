"""
What claims are judged on: a study's tables, its bootstrap replicates, and selections from them.

Selections raise `NotRun` where the study lacks the cells: the claim's verdict is then "not run".
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.curve_statistics import CurveStatistics
from overopt.analysis.form_comparison import FormStatistics
from overopt.analysis.statistics import deep_statistics, study_statistics
from overopt.analysis.sweeps import over
from overopt.config.analysis import AnalysisConfig, AnalysisSettings
from overopt.config.cells import DATA_KEYS, METHOD_AXES, RM_KEYS
from overopt.config.methods import METHODS
from overopt.randomness import numpy_generator

Array = npt.NDArray[np.float64]


class NotRun(Exception):
    """The study lacks what a claim needs; the message says what, and which sweep would give it."""


@dataclass(frozen=True)
class Evidence:
    """A study's tables and their bootstrap replicates.

    Attributes
    ----------
    curves, statistics
        analysis/curves.parquet, and the statistics of its groups: the replicates of the tables.
    deep_curves, deep
        The same of large-n best-of-n; `deep` None without. Its prompts are its own, so its
        replicates are not paired with those of `statistics`.
    tilted_curves, tilted
        The same of tilted policies; None without. Same prompts, and where the seeds are the same
        also the same replicates, as `statistics`.
    proxy_rms
        analysis/proxy_rms.csv: one row per proxy RM.
    main_policy, excluded_sizes
        The policy of the sweeps over RMs; the proxy sizes that trends leave out (footnote 3).
    config, seed
        Settings of the statistics; the job's seed, from which `generator` derives streams.
    forms
        Rival forms fitted so far, which several claims read (`overopt.claims.fitted_forms`).

    """

    curves: pd.DataFrame
    statistics: CurveStatistics
    deep_curves: pd.DataFrame
    deep: CurveStatistics | None
    tilted_curves: pd.DataFrame
    tilted: CurveStatistics | None
    proxy_rms: pd.DataFrame
    main_policy: str
    excluded_sizes: tuple[str, ...]
    config: AnalysisConfig
    seed: int
    forms: dict[tuple[object, ...], FormStatistics] = field(
        default_factory=dict, init=False, repr=False
    )

    def generator(self, stream: str) -> np.random.Generator:
        """Random numbers of one named stream, such as a claim's id."""
        return numpy_generator(self.seed, f"claims/{stream}")


def collect_evidence(
    settings: AnalysisSettings,
    curves: pd.DataFrame,
    proxy_rms: pd.DataFrame,
    deep_curves: pd.DataFrame | None = None,
    tilted_curves: pd.DataFrame | None = None,
) -> Evidence:
    """Compute the statistics of all tables (recalibrated curves; None or no rows: no sweep)."""
    deep = curves.iloc[:0] if deep_curves is None else deep_curves
    tilted = curves.iloc[:0] if tilted_curves is None else tilted_curves

    config, seed = settings.analysis, settings.seed
    return Evidence(
        curves=curves,
        statistics=study_statistics(curves, config, seed),
        deep_curves=deep,
        deep=deep_statistics(deep, config, seed) if len(deep) else None,
        tilted_curves=tilted,
        tilted=study_statistics(tilted, config, seed) if len(tilted) else None,
        proxy_rms=proxy_rms,
        main_policy=settings.main_policy,
        excluded_sizes=tuple(settings.excluded_sizes),
        config=config,
        seed=seed,
    )


def read_evidence(
    settings: AnalysisSettings, curves: Path, deep_curves: Path, tilted_curves: Path, rms: Path
) -> Evidence:
    """Read the tables that the `fits` job writes, and compute their statistics."""
    deep, tilted = pd.read_parquet(deep_curves), pd.read_parquet(tilted_curves)
    return collect_evidence(settings, pd.read_parquet(curves), pd.read_csv(rms), deep, tilted)


# Selections: rows of `statistics.groups`, whose index is the column in `statistics.values`.


def plain_cells(evidence: Evidence, method: str) -> pd.DataFrame:
    """Cells of one method: main policy, no KL penalty, deterministic labels, sizes in trends.

    All amounts of data and numbers of epochs; may be empty.
    """
    return _sweep(evidence, method, *DATA_KEYS)


def _sweep(evidence: Evidence, method: str, *axes: str) -> pd.DataFrame:
    """Cells of one method in a sweep over `axes`, without the sizes near chance."""
    groups = evidence.statistics.groups
    return over(
        groups[groups["method"] == method],
        *axes,
        main_policy=evidence.main_policy,
        excluded_sizes=evidence.excluded_sizes,
    )


def size_cells(evidence: Evidence, method: str, at_least: int = 3) -> pd.DataFrame:
    """Cells of the sweep over RM sizes, by size (section 3.2). NotRun with fewer than `at_least`.

    The main policy, no KL penalty, the largest amount of data, the fewest epochs.
    """
    cells = _sweep(evidence, method).sort_values("num_parameters")
    if len(cells) < at_least:
        raise NotRun(
            f"{len(cells)} RM sizes with {METHODS[method].label} at the largest amount of data, "
            f"{at_least} are needed: switch on the sweep over RM sizes (rm_size)"
        )
    return cells


def data_sweeps(evidence: Evidence, method: str, at_least: int = 3) -> list[pd.DataFrame]:
    """The data sweep of every RM size that has `at_least` amounts, by size. NotRun if none."""
    cells = _sweep(evidence, method, "num_comparisons")
    by_size = [rows for _, rows in cells.groupby("num_parameters") if len(rows) >= at_least]
    if not by_size:
        raise NotRun(
            f"no RM size has {at_least} amounts of data with {METHODS[method].label}: switch on "
            "the sweep over data (rm_data, rm_data_ppo)"
        )
    return [rows.sort_values("num_comparisons") for rows in by_size]


def larger_policy(evidence: Evidence) -> str:
    """Name of the policy that is compared with the main one (section 3.4). NotRun without one.

    Curves do not hold a policy's size. The larger policy is the one of which the study has most
    groups of cells, both methods counted (so not one trained otherwise, for best-of-n only); of
    several the one that starts with the most gold, as the paper's larger policy does.
    """
    groups = evidence.statistics.groups
    groups = over(groups, "policy_size", *METHOD_AXES, *DATA_KEYS, main_policy=evidence.main_policy)
    others = groups[groups["policy_size"] != evidence.main_policy]
    if others.empty:
        raise NotRun(
            "the study has no second policy: switch on the sweep over policy sizes (policy_size)"
        )
    initial = pd.Series(evidence.statistics.values["initial_gold"][0])[others.index]
    by_policy = others.assign(initial=initial).groupby("policy_size")["initial"]
    return str(by_policy.agg(["size", "mean"]).sort_values(["size", "mean"]).index[-1])


def policy_pairs(evidence: Evidence, method: str) -> list[tuple[int, int]]:
    """Columns (main policy, larger policy) of cells alike in all else, by RM size (section 3.4).

    NotRun if this method was not run with the larger policy.
    """
    other = larger_policy(evidence)
    groups = evidence.statistics.groups
    groups = groups[groups["method"] == method]
    cells = over(groups, "policy_size", main_policy=evidence.main_policy)
    columns = cells.reset_index(names="column")
    pairs = columns[columns["policy_size"] == evidence.main_policy].merge(
        columns[columns["policy_size"] == other],
        on=[*RM_KEYS, "num_parameters"],
        suffixes=("_main", "_other"),
    )
    if pairs.empty:
        raise NotRun(
            f"{METHODS[method].label} was not run with a second policy: switch on the sweep over "
            "policy sizes (policy_size)"
        )
    pairs = pairs.sort_values(["num_parameters", "num_comparisons"])
    return list(zip(pairs["column_main"].tolist(), pairs["column_other"].tolist(), strict=True))


def values(evidence: Evidence, quantity: str, cells: pd.DataFrame) -> Array:
    """Replicates of one of QUANTITIES for `cells`, shape (1 + B, cells)."""
    return evidence.statistics.values[quantity][:, cells.index.to_numpy()]


def at_end(evidence: Evidence, score: str, cells: pd.DataFrame) -> Array:
    """Score at the largest n of best-of-n cells, shape (1 + B, cells)."""
    curves = (evidence.statistics.curves[column] for column in cells.index)
    return np.stack([curve.scores[score][:, -1] for curve in curves], axis=1)


def validation_losses(evidence: Evidence, cells: pd.DataFrame) -> Array:
    """Validation loss of the RM of each cell, shape (1 + B, cells), averaged over seeds.

    Seeds are those of the statistics' replicates; prompts play no part. With one seed nothing is
    resampled. NotRun if an RM is not in the table.
    """
    weights = evidence.statistics.resamples.seed_weights
    by_rm = {key: rows for key, rows in evidence.proxy_rms.groupby(RM_KEYS)}
    columns: list[Array] = []
    for key in cells[RM_KEYS].itertuples(index=False, name=None):
        if key not in by_rm:
            raise NotRun(f"no metrics of the RM {dict(zip(RM_KEYS, key, strict=True))}")
        rows = by_rm[key]
        seed_weights = weights(rows["seed"].tolist(), str(rows["proxy_size"].iloc[0]))
        columns.append(seed_weights @ rows["validation_loss"].to_numpy(float))
    return np.stack(columns, axis=1)


def slope(x: Array, y: Array) -> Array:
    """Least-squares slope of each row of `y` (..., P) on `x` (P,)."""
    centered = x - x.mean()
    return y @ centered / (centered @ centered)
