"""Proxy RMs: trained on synthetic comparisons, they are optimized against (section 2.1)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from overopt.config.reward_model import RewardModelSettings
from overopt.jobs.job import Job
from overopt.jobs.outputs import STATE_FILE
from overopt.models.tokens import id_lists
from overopt.models.training.state import TrainingState
from overopt.reward_model.scorer import encoder_for
from overopt.reward_model.temperature import soft_label_temperature
from overopt.reward_model.training import (
    TokenizedComparisons,
    fit_reward_model,
    save_reward_model,
    score_differences,
    split_comparisons,
    write_metrics,
)
from overopt.reward_model.validation import validation_metrics


@dataclass(frozen=True)
class ProxyFiles:
    """What the job of a proxy RM reads and writes.

    Attributes
    ----------
    comparisons : read; synthetic comparisons in token ids.
    tokenizer_dir : read; the tokenizer of the comparisons.
    backbone : read; the language model that the proxy starts from.
    model_dir : written; checkpoint, tokenizer and metrics.json.
    """

    comparisons: Path
    tokenizer_dir: Path
    backbone: Path
    model_dir: Path


@dataclass(frozen=True)
class ProxyData:
    """Comparisons of one proxy RM.

    Attributes
    ----------
    training : those it is fitted to.
    validation : those it is measured on, with deterministic labels.
    soft_labels : (N,), the gold RM's probability that the chosen response of each validation
        comparison wins.
    """

    training: TokenizedComparisons
    validation: TokenizedComparisons
    soft_labels: np.ndarray


def read_proxy_data(settings: RewardModelSettings, files: ProxyFiles) -> ProxyData:
    """Read the comparisons of one proxy RM, in the token ids of its backbone.

    Each seed takes its own random subset of the comparisons, the same for all RM sizes, and
    nested: fewer comparisons are the first of more. Where the backbone has another tokenizer than
    the comparisons, text crosses over.

    Raises
    ------
    UserError
        There are fewer comparisons than the settings ask for.
    """
    table = pd.read_parquet(files.comparisons)
    join = encoder_for(files.backbone, files.tokenizer_dir)
    prompts = id_lists(table["prompt_ids"])
    tokenized = TokenizedComparisons(
        join(prompts, id_lists(table["chosen_ids"])), join(prompts, id_lists(table["rejected_ids"]))
    )
    if settings.proxy_rm is not None and settings.proxy_rm.labels == "sampled":
        tokenized = with_sampled_labels(tokenized, table)
    training, validation = split_comparisons(tokenized, table["split"], settings)
    held_out = table[table["split"] == "validation"].iloc[: settings.num_validation]
    gold_differences = held_out["chosen_gold_score"] - held_out["rejected_gold_score"]
    soft_labels = 1 / (1 + np.exp(-gold_differences.to_numpy(np.float64)))
    return ProxyData(training, validation, soft_labels)


def train_proxy_rm(job: Job, settings: RewardModelSettings, files: ProxyFiles) -> None:
    """Train one proxy RM on synthetic comparisons; write its checkpoint and metrics."""
    data = read_proxy_data(settings, files)
    state = TrainingState(files.model_dir / STATE_FILE, job.fingerprint)
    reward_model, losses = fit_reward_model(settings, files.backbone, data.training, state)
    job.stop_workers()
    save_reward_model(reward_model, files.backbone, files.model_dir)
    state.remove()
    metrics = proxy_metrics(settings, data, score_differences(reward_model, data.validation))
    write_metrics(files.model_dir, reward_model, data.training, data.validation, losses, metrics)


def proxy_metrics(
    settings: RewardModelSettings, data: ProxyData, differences: np.ndarray
) -> dict[str, float | str]:
    """Validation metrics of a proxy RM and the keys of its cell.

    `differences` (N,) are its scores of the chosen less those of the rejected response. The
    temperature calibrates the proxy to the gold RM's soft labels (section 2.2); it is measured on
    the validation comparisons, whose labels are deterministic for every proxy, so that losses
    compare.
    """
    temperature = soft_label_temperature(differences, data.soft_labels)
    return {
        **validation_metrics(differences),
        "temperature": temperature,
        "soft_label_loss": _soft_label_loss(differences, data.soft_labels, 1.0),
        "recalibrated_soft_label_loss": _soft_label_loss(
            differences, data.soft_labels, temperature
        ),
        **proxy_cell(settings),
    }


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
