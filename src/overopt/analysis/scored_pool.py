"""
One policy's pool with the gold score and the scores of all proxies of the sweep over sizes.

What selection rules, ensembles and metrics of a reward model are computed from, without a model.
Gold is in within-prompt standard deviations from the mean of the same prompt; so is every proxy,
each in its own standard deviations on this pool, so that members of an ensemble have one scale.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.sweeps import over
from overopt.config.cells import CELL_KEYS
from overopt.theory.pool_table import by_prompt

Array = npt.NDArray[np.float64]


class ScoredProxy(NamedTuple):
    """One proxy RM: the cell of its best-of-n curve, its scores (Q, N), and their raw sd.

    `cell` has CELL_KEYS. `sd` is that within prompts before the scores were standardized.
    """

    cell: dict[str, object]
    scores: Array
    sd: float


@dataclass(frozen=True)
class ScoredPool:
    """Gold (Q, N) and the proxies of the sweep over sizes, by size and seed."""

    gold: Array
    proxies: list[ScoredProxy]

    def by_size(self) -> dict[str, list[ScoredProxy]]:
        """Proxies of each size, the smallest size first, by seed."""
        sizes = dict.fromkeys(str(proxy.cell["proxy_size"]) for proxy in self.proxies)
        return {
            size: [proxy for proxy in self.proxies if proxy.cell["proxy_size"] == size]
            for size in sizes
        }


def scored_proxy(cell: dict[str, object], scores: Array) -> ScoredProxy:
    """Scores (Q, N) from the mean of their prompt, in their own within-prompt sd.

    Scores without variance stay 0.
    """
    centred = scores - scores.mean(axis=1, keepdims=True)
    sd = float(np.sqrt((centred**2).mean()))
    return ScoredProxy(cell, centred / sd if sd > 0 else centred, sd)


def read_pool(
    gold_scores: Path,
    gold_scale: Path,
    proxy_scores: Sequence[Path],
    best_of_n_curves: Sequence[Path],
    main_policy: str,
    excluded_sizes: Sequence[str],
) -> ScoredPool:
    """Read the scores of a pool; of the proxies, those of the sweep over sizes.

    `proxy_scores` and `best_of_n_curves` are of the same cells in one order: a curve names its
    cell.
    """
    gold = by_prompt(pd.read_parquet(gold_scores), "gold_score")
    cells = pd.concat(
        [pd.read_parquet(path, columns=CELL_KEYS).head(1) for path in best_of_n_curves],
        ignore_index=True,
    )
    swept = over(cells, main_policy=main_policy, excluded_sizes=excluded_sizes)
    proxies = []
    for number in swept.sort_values(["num_parameters", "seed"]).index:
        scores = pd.read_parquet(proxy_scores[number])["proxy_score"].to_numpy(np.float64)
        cell = {str(key): value for key, value in cells.loc[number].items()}
        proxies.append(scored_proxy(cell, scores.reshape(gold.shape)))
    gold_sd = json.loads(gold_scale.read_text())["gold_sd_within_prompt"]
    return ScoredPool((gold - gold.mean(axis=1, keepdims=True)) / gold_sd, proxies)
