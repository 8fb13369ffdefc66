"""
What a reward model has learned: its correlation with each feature of the hidden utility, and the
weight it gives to each when the others are held fixed.

Within prompts, because a Bradley-Terry score has an arbitrary offset per prompt. The features
`topic`, `tone`, `clash` and `keyword` depend on slots of the prompt: a proxy that has not learned
them is blind to part of what was asked. Features go together in what a policy writes (a keyword is
a word of the topic), so a correlation can be there before the feature is learned; a weight cannot.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.config.cells import RM_COLUMNS
from overopt.config.data import FeatureSettings
from overopt.data.world.utility import feature_names, feature_table
from overopt.jobs.job import Job
from overopt.models.tokens import decode_responses, id_lists, load_tokenizer

Array = npt.NDArray[np.float64]

NUM_RESPONSES = 256
"""Responses per prompt that are enough: the standard error of a correlation is below 0.01."""


def within_prompt_correlation(first: Array, second: Array) -> float:
    """Correlation of two scores after the mean of each prompt is taken away; inputs (Q, N).

    NaN if one of them is constant within all prompts.
    """
    x, y = (values - values.mean(axis=1, keepdims=True) for values in (first, second))
    norm = np.sqrt((x**2).sum() * (y**2).sum())
    return float((x * y).sum() / norm) if norm > 0 else float("nan")


def feature_weights(scores: Array, features: Array) -> Array:
    """Weights of the features in a score, by least squares within prompts, shape (features,).

    `scores` (Q, N), `features` (features, Q, N). In units of both within-prompt standard
    deviations. NaN for a feature that is constant within all prompts, and for all of them if the
    score is.
    """
    y, x = (values - values.mean(axis=-1, keepdims=True) for values in (scores, features))
    columns = x.reshape(len(x), -1)
    spread = np.sqrt((columns**2).mean(axis=1))
    varies = spread > 1e-12
    weights = np.full(len(x), np.nan)
    if y.std() > 0:
        standard = columns[varies] / spread[varies, None]
        weights[varies] = np.linalg.lstsq(standard.T, y.ravel() / y.std(), rcond=None)[0]
    return weights


def feature_correlations(
    job: Job,
    settings: FeatureSettings,
    pool: Path,
    gold_scores: Path,
    tokenizer: Path,
    proxy_scores: Sequence[Path],
    curves: Sequence[Path],
    correlations: Path,
) -> None:
    """Write one row per proxy RM, and one of the gold RM (proxy_size "gold").

    Columns: the proxy RM's cell; gold (correlation with the gold score); one correlation per
    feature; `<feature>_weight` by `feature_weights`.
    `curves` are the best-of-n curves of the same RMs, in the same order: they name the cells.
    """
    table = pd.read_parquet(pool)
    num_prompts = int(table["prompt_id"].max()) + 1
    rows = np.arange(len(table)).reshape(num_prompts, -1)[:, :NUM_RESPONSES]
    read = load_tokenizer(tokenizer)
    prompts = decode_responses(read, id_lists(table["prompt_ids"].iloc[rows[:, 0]]))
    responses = decode_responses(read, id_lists(table["response_ids"].iloc[rows.ravel()]))
    asked = [prompt for prompt in prompts for _ in range(rows.shape[1])]
    names = feature_names(settings.world)
    measured = feature_table(asked, responses, settings.world)
    features = dict(zip(names, measured.T.reshape(len(names), *rows.shape), strict=True))
    gold = pd.read_parquet(gold_scores)["gold_score"].to_numpy(np.float64)[rows]
    records = [{"proxy_size": "gold"} | _learned(gold, gold, features)]
    for path, curve in zip(proxy_scores, curves, strict=True):
        cell = pd.read_parquet(curve, columns=RM_COLUMNS).iloc[0].to_dict()
        scores = pd.read_parquet(path)["proxy_score"].to_numpy(np.float64)[rows]
        records.append(cell | _learned(scores, gold, features))
    columns = [*RM_COLUMNS, "gold", *names, *map(_weight_column, names)]
    learned = pd.DataFrame(records, columns=columns)
    learned.to_csv(correlations, index=False, float_format="%.6g")


def _weight_column(feature: str) -> str:
    return f"{feature}_weight"


def _learned(scores: Array, gold: Array, features: Mapping[str, Array]) -> dict[str, float]:
    correlations = {"gold": within_prompt_correlation(scores, gold)}
    for name, values in features.items():
        correlations[name] = within_prompt_correlation(scores, values)
    weights = feature_weights(scores, np.stack(list(features.values()))).tolist()
    return correlations | dict(zip(map(_weight_column, features), weights, strict=True))
