"""
Curves of groups in every bootstrap replicate. A group is all seeds of one cell of the grid.

- Best-of-n: every seed has the same n, so seeds are averaged at each n.
- PPO: every run has its own KL. Its evaluations are averaged in bins of d = sqrt(KL) (in each
  replicate anew, since KL is measured on the same prompts); the curve of the group is the mean over
  runs, each linear between its bins. A run that ends at a lower KL than others counts with its last
  bin from there on: the curve at a KL is what a run gives that is stopped there or at its own end.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.bins import bin_means, bin_numbers
from overopt.analysis.bootstrap import Resamples
from overopt.config.analysis import AnalysisConfig
from overopt.config.cells import GROUP_KEYS
from overopt.config.methods import METHODS
from overopt.errors import UserError
from overopt.theory.form_fits import Form, moments

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

RECALIBRATED = {
    "gold": "recalibrated_gold_score",
    "proxy": "recalibrated_proxy_score",
    "human": "recalibrated_human_score",
}


class Cell(NamedTuple):
    """Curve of one seed: arrays of shape (points, Q), `initial_gold` (Q,); points: n or step."""

    name: str
    proxy_size: str
    seed: int
    points: npt.NDArray[np.int64]
    kl: Array
    scores: dict[str, Array]
    initial_gold: Array


class GroupCurve(NamedTuple):
    """Curve of a group in R = 1 + num_bootstrap rows: the data, then the replicates.

    `sqrt_kl` and each of `scores` have shape (R, K); each of `final` (kl, gold, proxy: where the
    runs ended) and `initial_gold` (R,); `fit_moments`, of the points that enter a fit, (R, 8);
    `seed_moments`, the same of every seed by itself in the data, (seeds, 8). `points` describes
    those of the K points that the data have: position, n, step, num_seeds.
    """

    sqrt_kl: Array
    scores: dict[str, Array]
    final: dict[str, Array]
    initial_gold: Array
    fit_moments: Array
    seed_moments: Array
    points: pd.DataFrame


def cells_by_group(curves: pd.DataFrame) -> list[tuple[dict[str, object], list[Cell]]]:
    """Split recalibrated curves into groups (by GROUP_KEYS, sorted) and their seeds.

    Raises UserError unless every cell has one row for each point and each prompt of the study.
    """
    prompts = np.sort(curves["prompt_id"].unique())
    result = []
    for key, rows in sorted(curves.groupby(GROUP_KEYS, sort=False).indices.items()):
        keys = dict(zip(GROUP_KEYS, key, strict=True))
        seeds = _rows(curves, rows).groupby("seed", sort=True)
        result.append((keys, [_cell(keys | {"seed": s}, rows, prompts) for s, rows in seeds]))
    return result


def _rows(table: pd.DataFrame, numbers: npt.NDArray[np.int64]) -> pd.DataFrame:
    """These rows, in rising order; not copied where they lie together, as in a table of `fits`.

    Iterating over the groups themselves would copy the whole table once more.
    """
    first, last = int(numbers[0]), int(numbers[-1])
    are_together = last - first + 1 == len(numbers)
    return table.iloc[first : last + 1] if are_together else table.iloc[numbers]


def pointwise_curve(
    cells: Sequence[Cell], resamples: Resamples, config: AnalysisConfig, form: Form
) -> GroupCurve:
    """Curve of best-of-n, averaged over seeds at each n; points with n >= 2 are fitted.

    Raises UserError if seeds were evaluated at different n. `config` is not needed: every n is a
    point of its own.
    """
    ns = cells[0].points
    for cell in cells:
        if not np.array_equal(cell.points, ns):
            raise UserError(
                f"{cell.name} was evaluated at n = {cell.points.tolist()}, but seed "
                f"{cells[0].seed} of the same cell at n = {ns.tolist()}; use the same n for both"
            )
    seed_weights = resamples.seed_weights([cell.seed for cell in cells], cells[0].proxy_size)

    def average(arrays: Sequence[Array]) -> Array:
        return _over_seeds([resamples.prompt_weights @ a.T for a in arrays], seed_weights)

    sqrt_kl = np.sqrt(np.maximum(average([cell.kl for cell in cells]), 0))
    scores = {name: average([cell.scores[name] for cell in cells]) for name in cells[0].scores}
    initial_gold = average([cell.initial_gold[None] for cell in cells])[:, 0]
    final = {"kl": sqrt_kl[:, -1] ** 2, "gold": scores["gold"][:, -1]}
    final["proxy"] = scores["proxy"][:, -1]
    gain = scores["gold"] - initial_gold[:, None]
    weights = resamples.prompt_weights[0]
    seed_d = np.stack([np.sqrt(np.maximum(cell.kl @ weights, 0)) for cell in cells])
    seed_gain = np.stack([(cell.scores["gold"] - cell.initial_gold) @ weights for cell in cells])
    points = pd.DataFrame({"position": np.arange(len(ns)), "n": ns, "step": pd.NA})
    return GroupCurve(
        sqrt_kl,
        scores,
        final,
        initial_gold,
        moments(form, sqrt_kl, gain, np.broadcast_to(ns >= 2, gain.shape)),
        moments(form, seed_d, seed_gain, np.broadcast_to(ns >= 2, seed_d.shape)),
        points.assign(num_seeds=len(cells)),
    )


class _BinnedRun(NamedTuple):
    """One PPO run in bins: `mean` (by name, with "sqrt_kl") of shape (R, K), NaN where empty."""

    mean: dict[str, Array]
    last_bin: npt.NDArray[np.int64]
    fit_moments: Array
    step: Array


def binned_curve(
    cells: Sequence[Cell], resamples: Resamples, config: AnalysisConfig, form: Form
) -> GroupCurve:
    """Curve of PPO over bins of sqrt(KL); bins of all seeds with 0 < KL <= max_fit_kl are fitted.

    Bin 0 is the initial policy (KL 0) and does not enter the fit, bin k is
    (k - 1) width < sqrt(KL) <= k width.
    """
    weights = resamples.prompt_weights
    seed_weights = resamples.seed_weights([cell.seed for cell in cells], cells[0].proxy_size)
    sqrt_kls = [np.sqrt(np.maximum(weights @ cell.kl.T, 0)) for cell in cells]
    num_bins = 1 + max(int(bin_numbers(d, config.bin_width).max()) for d in sqrt_kls)
    initial = [weights @ cell.initial_gold for cell in cells]
    runs = [
        _binned_run(cell, d, gold, weights, num_bins, config, form)
        for cell, d, gold in zip(cells, sqrt_kls, initial, strict=True)
    ]
    filled = [_fill_empty_bins(run.mean) for run in runs]
    is_reached = np.stack(
        [np.arange(num_bins) <= _highest_bin(run.mean["sqrt_kl"])[:, None] for run in runs]
    )
    ends = [
        {k: np.take_along_axis(v, run.last_bin[:, None], 1)[:, 0] for k, v in run.mean.items()}
        for run in runs
    ]
    final = {name: _over_seeds([e[name] for e in ends], seed_weights) for name in ("gold", "proxy")}
    final["kl"] = _over_seeds([end["sqrt_kl"] ** 2 for end in ends], seed_weights)
    return GroupCurve(
        _mean_where_reached([f["sqrt_kl"] for f in filled], seed_weights, is_reached),
        {name: _over_seeds([f[name] for f in filled], seed_weights) for name in cells[0].scores},
        final,
        _over_seeds(initial, seed_weights),
        len(cells) * _over_seeds([run.fit_moments for run in runs], seed_weights),
        np.stack([run.fit_moments[0] for run in runs]),
        _ppo_points(runs, is_reached[:, 0]),
    )


def score_at_kl(curve: GroupCurve, score: str, kl: float) -> Array:
    """Score of a curve at a KL (nats) in every replicate, shape (R,), linear in sqrt(KL).

    NaN in replicates whose runs do not reach this KL.
    """
    rows = zip(curve.sqrt_kl, curve.scores[score], strict=True)
    d = np.sqrt(kl)
    known = ((x[~np.isnan(x)], y[~np.isnan(x)]) for x, y in rows)
    return np.array([np.interp(d, x, y, right=np.nan) for x, y in known])


def _binned_run(
    cell: Cell,
    d: Array,
    initial_gold: Array,
    weights: Array,
    num_bins: int,
    config: AnalysisConfig,
    form: Form,
) -> _BinnedRun:
    bins = bin_numbers(d, config.bin_width)
    values = {name: weights @ score.T for name, score in cell.scores.items()}
    mean = {
        name: bin_means(bins, value, 1, num_bins)
        for name, value in ({"sqrt_kl": d} | values).items()
    }
    is_fitted = (bins > 0) & (d**2 <= config.max_fit_kl)
    gain = bin_means(bins, values["gold"] - initial_gold[:, None], is_fitted, num_bins)
    fit_d = bin_means(bins, d, is_fitted, num_bins)
    step = bin_means(bins[:1], cell.points[None].astype(np.float64), 1, num_bins)[0]
    return _BinnedRun(mean, bins[:, -1], moments(form, fit_d, gain, ~np.isnan(fit_d)), step)


def _fill_empty_bins(mean: dict[str, Array]) -> dict[str, Array]:
    """Fill empty bins: on the line between the neighbors, beyond the ends with the end bin."""
    is_empty = np.isnan(mean["sqrt_kl"])
    num_bins = is_empty.shape[1]
    position = np.broadcast_to(np.arange(num_bins), is_empty.shape)
    before = np.maximum.accumulate(np.where(is_empty, -1, position), axis=1)
    after = np.where(is_empty, num_bins, position)[:, ::-1]
    after = np.minimum.accumulate(after, axis=1)[:, ::-1]
    before, after = (
        np.where(before < 0, after, before),
        np.where(after == num_bins, before, after),
    )
    share = (position - before) / np.maximum(after - before, 1)

    def blend(values: Array) -> Array:
        left, right = np.take_along_axis(values, before, 1), np.take_along_axis(values, after, 1)
        return (1 - share) * left + share * right

    return {name: blend(values) for name, values in mean.items()}


def _highest_bin(means: Array) -> npt.NDArray[np.int64]:
    return means.shape[1] - 1 - np.argmax(~np.isnan(means[:, ::-1]), axis=1)


def _over_seeds(arrays: Sequence[Array], seed_weights: Array) -> Array:
    """Mean of arrays of shape (R, ...), one per seed, with weights of shape (R, seeds)."""
    return np.einsum("sr...,rs->r...", np.stack(arrays), seed_weights)


def _mean_where_reached(
    arrays: Sequence[Array], seed_weights: Array, is_reached: BoolArray
) -> Array:
    weights = is_reached * seed_weights.T[:, :, None]
    total = weights.sum(axis=0)
    return (weights * np.stack(arrays)).sum(axis=0) / np.where(total > 0, total, np.nan)


def _ppo_points(runs: Sequence[_BinnedRun], is_reached: BoolArray) -> pd.DataFrame:
    steps = np.stack([run.step for run in runs])
    position = np.flatnonzero((~np.isnan(steps)).any(axis=0))
    table = pd.DataFrame({"position": position, "n": pd.NA})
    table["step"] = np.nanmean(steps[:, position], axis=0)
    return table.assign(num_seeds=is_reached[:, position].sum(axis=0))


def _cell(keys: Mapping[str, object], rows: pd.DataFrame, prompts: npt.NDArray[np.int64]) -> Cell:
    axis = METHODS[str(keys["method"])].point
    name = "curve " + ", ".join(f"{key}={value}" for key, value in keys.items())
    if rows[axis].isna().any():
        raise UserError(f"{name}: rows without {axis}, which numbers the points of the curve")
    rows = rows.sort_values([axis, "prompt_id"])
    points = rows[axis].astype("int64").unique()
    expected = np.tile(prompts, len(points))
    if not np.array_equal(rows["prompt_id"].to_numpy(), expected):
        raise UserError(
            f"{name}: {len(rows)} rows at {len(points)} points; expected at each point one row for "
            f"each of the study's {len(prompts)} evaluation prompts, the same in every cell"
        )

    def matrix(column: str) -> Array:
        return rows[column].to_numpy(dtype=np.float64).reshape(len(points), len(prompts))

    scores = {score: matrix(column) for score, column in RECALIBRATED.items() if column in rows}
    initial_gold = matrix("initial_gold_score")[0]
    size = str(keys["proxy_size"])
    return Cell(name, size, int(rows["seed"].iloc[0]), points, matrix("kl"), scores, initial_gold)
