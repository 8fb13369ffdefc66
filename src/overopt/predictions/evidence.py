"""What predictions are judged on: a scored pool and the curves that come of it, with replicates."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.curve_statistics import CurveStatistics
from overopt.analysis.group_curves import GroupCurve
from overopt.analysis.scored_pool import ScoredPool, ScoredProxy
from overopt.claims.evidence import NotRun
from overopt.config.methods import BEST_OF_N, label_of
from overopt.config.variants import PLAIN
from overopt.theory.kl import best_of_n_kl

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PoolEvidence:
    """A scored pool, and statistics of all curves of the sweep over sizes.

    Attributes
    ----------
    pool
        Gold and proxies of the main policy.
    statistics
        Of best-of-n, rules and ensembles on this pool, and of every other method's plain cells.
    study
        Of the study's own curves in the sweeps over sizes and over variants: proxies in the unit of
        gold. The same replicates.
    proxy_rms
        Metrics of every proxy RM (analysis/proxy_rms.csv).
    seed
        Of the random numbers that predictions draw.

    """

    pool: ScoredPool
    statistics: CurveStatistics
    study: CurveStatistics
    proxy_rms: pd.DataFrame
    seed: int

    @property
    def sizes(self) -> list[str]:
        """Proxy sizes of the sweep, the smallest first."""
        return list(self.pool.by_size())

    def column(self, method: str, size: str, variant: str = PLAIN) -> int:
        """Column of a plain cell in `statistics`; NotRun where the study lacks it."""
        return _column(self.statistics, method, size, variant)

    def study_curve(self, method: str, size: str, variant: str = PLAIN) -> GroupCurve:
        """Curve of a cell without penalty in the study's own units; NotRun where it lacks it."""
        return self.study.curves[self.study_column(method, size, variant)]

    def study_column(self, method: str, size: str, variant: str = PLAIN) -> int:
        """Column of a cell without penalty in `study`; NotRun where the study lacks it."""
        return _column(self.study, method, size, variant)

    def values(self, quantity: str, method: str, size: str, variant: str = PLAIN) -> Array:
        """A quantity of the statistics for one cell, shape (1 + B,)."""
        return self.statistics.values[quantity][:, self.column(method, size, variant)]

    def curve(self, method: str, size: str, variant: str = PLAIN) -> GroupCurve:
        """Curve of one cell in every version."""
        return self.statistics.curves[self.column(method, size, variant)]

    def gold_at_n(self, n: int, size: str, variant: str = PLAIN) -> Array:
        """Gold of best-of-n at one n, shape (1 + B,)."""
        curve = self.curve(BEST_OF_N, size, variant)
        position = int(np.argmin(np.abs(curve.sqrt_kl[0] - np.sqrt(best_of_n_kl(n)))))
        return curve.scores["gold"][:, position]

    def over_seeds(self, size: str, by_prompt: list[Array]) -> Array:
        """Mean over prompts and seeds in every version, shape (1 + B,).

        `by_prompt` has one array (Q,) for each proxy of this size, in the order of its seeds.
        """
        resamples = self.statistics.resamples
        seeds = [int(str(proxy.cell["seed"])) for proxy in self.proxies(size)]
        means = resamples.prompt_weights @ np.stack(by_prompt, axis=1)
        return (means * resamples.seed_weights(seeds, size)).sum(axis=1)

    def proxies(self, size: str) -> list[ScoredProxy]:
        """Proxies of one size, by seed."""
        return self.pool.by_size()[size]

    def ensembles_need_seeds(self, at_least: int = 2) -> int:
        """Seeds of the first size; NotRun where there are fewer than `at_least`."""
        num_seeds = len(self.proxies(self.sizes[0]))
        if num_seeds < at_least:
            raise NotRun(f"{num_seeds} RM seed a size, an ensemble needs {at_least}: grid.seeds")
        return num_seeds


def _column(statistics: CurveStatistics, method: str, size: str, variant: str) -> int:
    groups = statistics.groups
    found = groups.index[
        (groups["method"] == method)
        & (groups["variant"] == variant)
        & (groups["proxy_size"] == size)
        & (groups["kl_coef"] == 0)
    ]
    if len(found) != 1:
        what = label_of(method) if variant == PLAIN else f"{label_of(method)} with {variant}"
        raise NotRun(f"no {what} at size {size}")
    return int(found[0])
