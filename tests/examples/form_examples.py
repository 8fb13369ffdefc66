"""Recalibrated curves of a study in which every law is known, as evidence for claims."""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pandas as pd

from cell_examples import in_plain_cells
from overopt.claims.evidence import Evidence, collect_evidence
from overopt.claims.topics import all_claims
from overopt.claims.verdicts import Claim, judge
from overopt.config.analysis import AnalysisConfig, AnalysisSettings
from overopt.theory.kl import best_of_n_kl, default_ns

SIZES = {"s1": 1_000, "s2": 10_000, "s3": 100_000}
SEEDS = (0, 1, 2)
NUM_PROMPTS = 24
PPO_STEPS = np.arange(0, 101, 4)
PPO_SQRT_KL = 7.0 * PPO_STEPS / 100  # so KL grows with the square of the step

Law = Callable[[np.ndarray], np.ndarray]


class CellLaws(NamedTuple):
    """Laws of gold and of proxy in d = sqrt(KL) of a cell, and what tells it from others."""

    method: str
    gold: Law
    proxy: Law
    sqrt_kl: np.ndarray | None = None  # of PPO by PPO_STEPS
    keys: dict[str, object] = {}
    prompt_noise: float = 0.05
    seed_noise: float = 0.01
    max_n: int = 1000


def cell_curves(
    cells: Sequence[CellLaws],
    rng: np.random.Generator,
    sizes: Sequence[str] = tuple(SIZES),
    *,
    num_prompts: int = NUM_PROMPTS,
) -> pd.DataFrame:
    """Curves of each cell for every size and seed, with noise that grows with d."""
    return pd.concat(
        [
            _run(cell, size, seed, rng, num_prompts)
            for cell in cells
            for size in sizes
            for seed in SEEDS
        ],
        ignore_index=True,
    )


def evidence_of(
    curves: pd.DataFrame, rms: pd.DataFrame | None = None, **tables: pd.DataFrame
) -> Evidence:
    """Evidence with 100 bootstrap replicates."""
    settings = AnalysisSettings(
        main_policy="small", analysis=AnalysisConfig(num_bootstrap=100), seed=1
    )
    return collect_evidence(settings, curves, pd.DataFrame() if rms is None else rms, **tables)


def claims_of(topic: ModuleType) -> list[Claim]:
    """Claims that a module of overopt.claims tests, by number."""
    return [claim for claim in all_claims() if claim.test.__module__ == topic.__name__]


def verdicts(claims: Sequence[Claim], evidence: Evidence) -> dict[str, str]:
    """Verdict by id, each claim decided alone; every one that ran has a readable sentence."""
    result = {}
    for claim in claims:
        (row,) = judge([claim], evidence).to_dict("records")
        assert row["sentence"].endswith(".")
        assert "nan" not in row["sentence"]
        result[claim.id] = row["verdict"]
    return result


def _run(
    cell: CellLaws, size: str, seed: int, rng: np.random.Generator, num_prompts: int
) -> pd.DataFrame:
    is_best_of_n = cell.method == "best_of_n"
    if is_best_of_n:
        points = np.array(default_ns(cell.max_n))
        d = np.sqrt(best_of_n_kl(points))
    else:
        points = PPO_STEPS
        d = PPO_SQRT_KL if cell.sqrt_kl is None else cell.sqrt_kl
    shape = (len(points), num_prompts)
    slope = rng.normal(0, cell.prompt_noise, num_prompts) + rng.normal(0, cell.seed_noise)
    noise = d[:, None] * slope + 0.03 * np.minimum(d, 1)[:, None] * rng.normal(size=shape)
    kl = np.broadcast_to(d[:, None] ** 2, shape)
    if not is_best_of_n:  # measured
        kl = kl * np.exp(rng.normal(0, 0.02) + rng.normal(0, 0.1, shape))
    frame = pd.DataFrame(
        {
            "method": cell.method,
            "policy_size": "small",
            "proxy_size": size,
            "num_parameters": SIZES[size],
            "num_comparisons": 60_000,
            "seed": seed,
            "prompt_id": np.tile(np.arange(num_prompts), len(points)),
            "kl": kl.ravel(),
            "recalibrated_gold_score": (cell.gold(d)[:, None] + noise).ravel(),
            "recalibrated_proxy_score": (cell.proxy(d)[:, None] + 0.5 * noise).ravel(),
            "initial_gold_score": 0.0,
            "initial_proxy_score": 0.0,
        }
    )
    number = pd.Series(np.repeat(points, num_prompts), dtype="Int64")
    missing = number.mask(number.notna())
    frame["n"], frame["step"] = (number, missing) if is_best_of_n else (missing, number)
    frame["kl_estimate"] = frame["kl"] * 0.98 if is_best_of_n else np.nan
    return in_plain_cells(frame.assign(**cell.keys))
