"""Readings of curves in every bootstrap replicate: score at equal KL, gold at equal proxy, KL."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.group_curves import GroupCurve
from overopt.claims.evidence import Evidence
from overopt.config.cells import GROUP_KEYS

Array = npt.NDArray[np.float64]


class RunKL(NamedTuple):
    """KL of one PPO run: `steps` (S,), from the first after the start, and `kl` (1 + B, S)."""

    proxy_size: str
    seed: int
    steps: Array
    kl: Array


def reach(curve: GroupCurve) -> float:
    """Largest sqrt(KL) of a curve in the data."""
    return float(np.nanmax(curve.sqrt_kl[0]))


def on_grid(curve: GroupCurve, score: str, sqrt_kls: Array) -> Array:
    """Score at each of `sqrt_kls` (G,), linear between points; shape (1 + B, G).

    Beyond the end of a replicate its last point stands in; the data should reach the grid's end.
    """
    result = np.empty((len(curve.sqrt_kl), len(sqrt_kls)))
    for row, (d, y) in enumerate(zip(curve.sqrt_kl, curve.scores[score], strict=True)):
        is_known = np.isfinite(d)
        result[row] = np.interp(sqrt_kls, d[is_known], y[is_known])
    return result


def gold_by_proxy(curve: GroupCurve, proxies: Array) -> Array:
    """Gold where the proxy score first reaches each of `proxies` (G,); shape (1 + B, G)."""
    result = np.empty((len(curve.sqrt_kl), len(proxies)))
    rows = zip(curve.sqrt_kl, curve.scores["proxy"], curve.scores["gold"], strict=True)
    for row, (d, proxy, gold) in enumerate(rows):
        is_known = np.isfinite(d)
        x, y = np.maximum.accumulate(proxy[is_known]), gold[is_known]
        x, first = np.unique(x, return_index=True)  # later points at a proxy already reached: out
        result[row] = np.interp(proxies, x, y[first])
    return result


def highest_proxy(curve: GroupCurve) -> float:
    """Largest proxy score of a curve in the data."""
    return float(curve.scores["proxy"][0, np.isfinite(curve.sqrt_kl[0])].max())


def run_kls(evidence: Evidence, cell: pd.Series) -> Iterator[RunKL]:
    """KL at every evaluation of the cell's PPO runs, seed by seed, without the initial policy."""
    curves = evidence.curves
    rows = curves
    for key in GROUP_KEYS:
        rows = rows[rows[key] == cell[key]]
    for seed, run in rows[rows["step"] > 0].groupby("seed", sort=True):
        kl = run.pivot(index="step", columns="prompt_id", values="kl")
        weighted = evidence.statistics.resamples.prompt_weights @ kl.to_numpy().T
        steps = kl.index.to_numpy(dtype=np.float64)
        yield RunKL(str(cell["proxy_size"]), int(str(seed)), steps, weighted)


def mean_over_runs(evidence: Evidence, runs: list[RunKL], readings: list[Array]) -> Array:
    """Mean over the runs of a cell of one reading each, of shape (1 + B,)."""
    seeds, size = [run.seed for run in runs], runs[0].proxy_size
    weights = evidence.statistics.resamples.seed_weights(seeds, size)
    return (np.stack(readings, axis=1) * weights).sum(axis=1)
