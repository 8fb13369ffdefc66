"""Proxy RMs: trained on synthetic comparisons, they are optimized against (section 2.1)."""

from pathlib import Path

import numpy as np
import pandas as pd

from overopt.config.reward_model import RewardModelSettings
from overopt.jobs.job import Job
from overopt.models.tokens import id_lists
from overopt.reward_model.scorer import encoder_for
from overopt.reward_model.temperature import soft_label_temperature
from overopt.reward_model.training import (
    TokenizedComparisons,
    fit_reward_model,
    score_differences,
    split_comparisons,
    write_metrics,
)
from overopt.reward_model.validation import validation_metrics


def train_proxy_rm(
    job: Job,
    settings: RewardModelSettings,
    comparisons: Path,
    tokenizer_dir: Path,
    backbone: Path,
    model_dir: Path,
) -> None:
    """Train one proxy RM on synthetic comparisons (token ids); write its checkpoint and metrics.

    Each seed takes its own random subset of the comparisons, the same for all RM sizes, and
    nested: fewer comparisons are the first of more. The temperature that calibrates the proxy to
    the gold RM's soft labels (section 2.2) is measured on the validation comparisons, whose
    labels are deterministic for every proxy, so that losses compare. `tokenizer_dir` holds the
    tokenizer of the comparisons; where the backbone has another, text crosses over.
    """
    table = pd.read_parquet(comparisons)
    join = encoder_for(backbone, tokenizer_dir)
    prompts = id_lists(table["prompt_ids"])
    tokenized = TokenizedComparisons(
        join(prompts, id_lists(table["chosen_ids"])), join(prompts, id_lists(table["rejected_ids"]))
    )
    if settings.proxy_rm is not None and settings.proxy_rm.labels == "sampled":
        tokenized = with_sampled_labels(tokenized, table)
    training, validation = split_comparisons(tokenized, table["split"], settings)
    reward_model, losses = fit_reward_model(job, settings, backbone, training, model_dir)
    differences = score_differences(reward_model, validation)
    held_out = table[table["split"] == "validation"].iloc[: settings.num_validation]
    gold_differences = held_out["chosen_gold_score"] - held_out["rejected_gold_score"]
    soft_labels = 1 / (1 + np.exp(-gold_differences.to_numpy(np.float64)))
    metrics: dict[str, float | str] = {**validation_metrics(differences)}
    temperature = soft_label_temperature(differences, soft_labels)
    metrics["temperature"] = temperature
    metrics["soft_label_loss"] = _soft_label_loss(differences, soft_labels, 1.0)
    metrics["recalibrated_soft_label_loss"] = _soft_label_loss(
        differences, soft_labels, temperature
    )
    metrics |= proxy_cell(settings)
    write_metrics(model_dir, reward_model, training, validation, losses, metrics)


def with_sampled_labels(
    tokenized: TokenizedComparisons, table: pd.DataFrame
) -> TokenizedComparisons:
    """Training comparisons with sampled labels; validation keeps its own."""
    is_flipped = table["sampled_is_flipped"] & (table["split"] == "train")
    chosen, rejected = list(tokenized.chosen), list(tokenized.rejected)
    for row in np.flatnonzero(is_flipped):
        chosen[row], rejected[row] = rejected[row], chosen[row]
    return TokenizedComparisons(chosen, rejected)


def proxy_cell(settings: RewardModelSettings) -> dict[str, int | str]:
    """The keys of a proxy RM's cell, which its metrics carry into the tables."""
    if settings.proxy_rm is None:
        raise ValueError("the gold RM is no cell of the grid")
    return settings.proxy_rm.model_dump()


def _soft_label_loss(differences: np.ndarray, soft_labels: np.ndarray, temperature: float) -> float:
    logits = differences.astype(np.float64) / temperature
    return float((np.logaddexp(0, -logits) + (1 - soft_labels) * logits).mean())
