"""
What a reward model has learned: its correlation with each feature of the hidden utility.

Within prompts, because a Bradley-Terry score has an arbitrary offset per prompt. The features
`tone`, `clash` and `keyword` depend on slots of the prompt: a proxy that has not learned them is
blind to part of what was asked.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.job import Job
from overopt.tokens import decode_responses, load_tokenizer
from overopt.world.utility import FEATURES, feature_table

Array = npt.NDArray[np.float64]

NUM_RESPONSES = 256
"""Responses per prompt that are enough: the standard error of a correlation is below 0.01."""

CELL = ["proxy_size", "num_parameters", "labels", "num_comparisons", "num_epochs", "seed"]


def within_prompt_correlation(first: Array, second: Array) -> float:
    """Correlation of two scores after the mean of each prompt is taken away; inputs (Q, N).

    NaN if one of them is constant within all prompts.
    """
    x, y = (values - values.mean(axis=1, keepdims=True) for values in (first, second))
    norm = np.sqrt((x**2).sum() * (y**2).sum())
    return float((x * y).sum() / norm) if norm > 0 else float("nan")


def feature_correlations(
    job: Job,
    pool: Path,
    gold_scores: Path,
    tokenizer: Path,
    proxy_scores: Sequence[Path],
    curves: Sequence[Path],
    correlations: Path,
) -> None:
    """Write one row per proxy RM, and one of the gold RM (proxy_size "gold").

    Columns: the proxy RM's cell; gold (correlation with the gold score); one per feature.
    `curves` are the best-of-n curves of the same RMs, in the same order: they name the cells.
    """
    table = pd.read_parquet(pool)
    num_prompts = int(table["prompt_id"].max()) + 1
    rows = np.arange(len(table)).reshape(num_prompts, -1)[:, :NUM_RESPONSES]
    read = load_tokenizer(tokenizer)
    prompts = decode_responses(read, table["prompt_ids"].iloc[rows[:, 0]].tolist())
    responses = decode_responses(read, table["response_ids"].iloc[rows.ravel()].tolist())
    asked = [prompt for prompt in prompts for _ in range(rows.shape[1])]
    measured = feature_table(asked, responses)
    targets = {
        name: measured[:, column].reshape(rows.shape) for column, name in enumerate(FEATURES)
    }
    gold = pd.read_parquet(gold_scores)["gold_score"].to_numpy(np.float64)[rows]
    records = [{"proxy_size": "gold"} | _correlations(gold, {"gold": gold, **targets})]
    for path, curve in zip(proxy_scores, curves, strict=True):
        cell = pd.read_parquet(curve, columns=CELL).iloc[0].to_dict()
        scores = pd.read_parquet(path)["proxy_score"].to_numpy(np.float64)[rows]
        records.append(cell | _correlations(scores, {"gold": gold, **targets}))
    pd.DataFrame(records, columns=[*CELL, "gold", *FEATURES]).to_csv(
        correlations, index=False, float_format="%.6g"
    )


def _correlations(scores: Array, targets: dict[str, Array]) -> dict[str, float]:
    return {name: within_prompt_correlation(scores, values) for name, values in targets.items()}
