"""
Fits, peaks and ends of curves, with their bootstrap replicates (Gao et al. 2022, section 3).

Choices that the paper leaves open, or where it states no errors:
- A PPO peak is the highest bin of sqrt(KL), not the highest evaluation: the maximum over noisy
  evaluations is biased upwards; over bins it still is, but less.
- In replicates the height of a peak is read where the data have their peak. A new maximum in each
  replicate would add the same bias a second time, and make a drop after the peak look certain.
  `kl_at_peak` is searched anew in each replicate, since its place is what is uncertain.
- Fits are of the gain in gold: the score minus that of the row's own initial policy.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.bootstrap import Resamples, draw_resamples
from overopt.analysis.group_curves import (
    GroupCurve,
    binned_curve,
    cells_by_group,
    pointwise_curve,
)
from overopt.analysis.intervals import Intervals, without_seeds
from overopt.config.analysis import AnalysisConfig
from overopt.config.cells import ALIKE_KEYS, CELL_KEYS, GROUP_KEYS
from overopt.config.methods import METHODS, shares_alpha
from overopt.theory.form_fits import solve, solve_shared_alpha
from overopt.theory.forms import FORMS

Array = npt.NDArray[np.float64]

QUANTITIES = [
    "alpha",
    "beta",
    "r2",
    "r2_of_runs",
    "shared_alpha",
    "shared_beta",
    "shared_r2",
    "initial_gold",
    "peak_gold",
    "kl_at_peak",
    "proxy_at_peak",
    "final_gold",
    "final_kl",
    "final_proxy",
    "drop",
]


@dataclass(frozen=True)
class CurveStatistics:
    """Statistics of every group of cells, from the data and from every bootstrap replicate.

    Attributes
    ----------
    groups
        One row per group: GROUP_KEYS, num_seeds, num_prompts, num_points (that enter the fit).
    values
        For each of QUANTITIES an array of shape (1 + num_bootstrap, groups): row 0 the estimate,
        columns in the order of `groups`. Replicates share prompts and seeds across groups, so any
        contrast of columns is paired. Those of a group with one seed are NaN: they would show the
        prompts alone. `alpha`, `beta`, `r2` are of the method's own form with both
        free; `r2_of_runs` is the mean over seeds of the r2 of a free fit to each seed by itself;
        `shared_*` (PPO only, else NaN) of one alpha for all proxy sizes. Gold and proxy in
        initial-policy standard deviations of gold, KL in nats per sequence. `drop` is
        `peak_gold - final_gold`.
    curves
        The curve of each group in every replicate, in the order of `groups`.
    resamples
        The weights used, for statistics that are not of curves.
    confidence
        Coverage of the intervals.

    """

    groups: pd.DataFrame
    values: dict[str, Array]
    curves: list[GroupCurve]
    resamples: Resamples
    confidence: float

    @cached_property
    def intervals(self) -> Intervals:
        """Intervals of statistics of these replicates."""
        return Intervals(self.resamples, self.confidence)

    def interval(self, quantity: str) -> tuple[Array, Array]:
        """Interval of one of QUANTITIES; each bound has shape (groups,)."""
        return self.intervals.bounds(self.values[quantity])


def resamples_of(
    curves: pd.DataFrame, config: AnalysisConfig, rng: np.random.Generator
) -> Resamples:
    """Draw bootstrap replicates of the prompts of `curves` and of the seeds of each RM size."""
    seeds = curves["seed"].unique().tolist()
    sizes = curves["proxy_size"].unique().tolist()
    return draw_resamples(curves["prompt_id"].nunique(), seeds, config.num_bootstrap, rng, sizes)


def curve_statistics(
    curves: pd.DataFrame, config: AnalysisConfig, resamples: Resamples
) -> CurveStatistics:
    """Bootstrap fits, peaks and ends of all groups of recalibrated `curves`.

    Jobs call `overopt.analysis.statistics` instead, which knows the study's replicates. `curves` is
    what `overopt.analysis.recalibration.recalibrate` returns: all cells in one frame, one row per
    cell, point and evaluation prompt. Raises UserError if cells differ in their prompts or seeds of
    one best-of-n cell in n.
    """
    groups = cells_by_group(curves)
    num_prompts = curves["prompt_id"].nunique()
    values = {name: np.full((1 + config.num_bootstrap, len(groups)), np.nan) for name in QUANTITIES}
    rows, group_curves = [], []
    for column, (keys, cells) in enumerate(groups):
        method = METHODS[str(keys["method"])]
        build = binned_curve if method.is_binned else pointwise_curve
        curve = build(cells, resamples, config, FORMS[method.form])
        for name, statistic in _curve_values(curve).items():
            values[name][:, column] = without_seeds(statistic, len(cells))
        sizes = {"num_seeds": len(cells), "num_prompts": num_prompts}
        rows.append(keys | sizes | {"num_points": int(curve.fit_moments[0, -1])})
        group_curves.append(_without_seeds(curve))
    frame = pd.DataFrame(rows)
    _add_shared_alpha(frame, np.stack([curve.fit_moments for curve in group_curves]), values)
    return CurveStatistics(frame, values, group_curves, resamples, config.confidence)


def _without_seeds(curve: GroupCurve) -> GroupCurve:
    """The curve of a group with one seed, its scores NaN in all replicates; any other as it is."""
    num_seeds = len(curve.seed_moments)
    return curve._replace(
        scores={name: without_seeds(values, num_seeds) for name, values in curve.scores.items()},
        final={name: without_seeds(values, num_seeds) for name, values in curve.final.items()},
        initial_gold=without_seeds(curve.initial_gold, num_seeds),
    )


def initial_scores(curves: pd.DataFrame, statistics: CurveStatistics, score: str) -> Array:
    """Mean score of each curve's own policy before optimization, shape (1 + replicates, curves).

    From the columns initial_gold_score and initial_proxy_score of `curves`, the recalibrated curves
    that `statistics` are of: as accurate as the pool, where the first evaluation of a PPO run has a
    few responses per prompt only. 0 for the main policy.
    """
    column = f"initial_{score}_score"
    rows = curves.drop_duplicates([*CELL_KEYS, "prompt_id"])
    rows = rows.sort_values([*CELL_KEYS, "prompt_id"])
    resamples, means = statistics.resamples, []
    for _, group in rows.groupby(GROUP_KEYS, sort=True):
        by_seed = group.pivot(index="seed", columns="prompt_id", values=column)
        weights = resamples.seed_weights(by_seed.index.tolist(), str(group["proxy_size"].iloc[0]))
        means.append(((resamples.prompt_weights @ by_seed.to_numpy().T) * weights).sum(axis=1))
    return np.stack(means, axis=1)


def _curve_values(curve: GroupCurve) -> dict[str, Array]:
    gold = curve.scores["gold"]
    # Beyond the end of a run its last bin stands in; a peak has to lie where a run has been.
    where_reached = np.where(np.isfinite(curve.sqrt_kl), gold, -np.inf)
    peak = int(np.argmax(where_reached[0]))
    own_peak = np.argmax(where_reached, axis=1)[:, None]
    alpha, beta, r2 = solve(curve.fit_moments)
    return {
        "alpha": alpha,
        "beta": beta,
        "r2": r2,
        "r2_of_runs": np.broadcast_to(solve(curve.seed_moments).r2.mean(), r2.shape),
        "initial_gold": curve.initial_gold,
        "peak_gold": gold[:, peak],
        "kl_at_peak": np.take_along_axis(curve.sqrt_kl, own_peak, axis=1)[:, 0] ** 2,
        "proxy_at_peak": curve.scores["proxy"][:, peak],
        "final_gold": curve.final["gold"],
        "final_kl": curve.final["kl"],
        "final_proxy": curve.final["proxy"],
        "drop": gold[:, peak] - curve.final["gold"],
    }


def _add_shared_alpha(groups: pd.DataFrame, moments: Array, values: dict[str, Array]) -> None:
    """Fit one alpha to all proxy sizes of an RL method that are alike in all else."""
    shared = groups[groups["method"].map(shares_alpha)]
    for _, rows in shared.groupby(ALIKE_KEYS):
        if len(rows) < 2:
            continue
        columns = rows.index.to_numpy()
        alpha, beta, r2 = solve_shared_alpha(moments[columns])
        num_seeds = int(rows["num_seeds"].min())  # every size enters alpha
        for name, shared_values in (("alpha", alpha[:, None]), ("beta", beta.T), ("r2", r2.T)):
            values[f"shared_{name}"][:, columns] = without_seeds(
                np.broadcast_to(shared_values, (len(alpha), len(columns))), num_seeds
            )
