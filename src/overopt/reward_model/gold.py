"""The gold RM: trained on human comparisons, it stands for the human (section 2.1)."""

from pathlib import Path

import pandas as pd

from overopt.config.reward_model import RewardModelSettings
from overopt.jobs.job import Job
from overopt.jobs.outputs import STATE_FILE
from overopt.models.tokens import encode_prompts, encode_responses, join, load_tokenizer
from overopt.models.training.state import TrainingState
from overopt.reward_model.training import (
    TokenizedComparisons,
    fit_reward_model,
    save_reward_model,
    score_differences,
    split_comparisons,
    write_metrics,
)
from overopt.reward_model.validation import require_distinctions, validation_metrics


def train_gold_rm(
    job: Job, settings: RewardModelSettings, comparisons: Path, backbone: Path, model_dir: Path
) -> None:
    """Train the gold RM on human comparisons (text); write its checkpoint and metrics."""
    tokenizer = load_tokenizer(backbone)
    table = pd.read_parquet(comparisons)
    limits = settings.text
    prompts = encode_prompts(tokenizer, table["prompt"].tolist(), limits.max_prompt_tokens)

    def joined(column: str) -> list[list[int]]:
        responses = encode_responses(tokenizer, table[column].tolist(), limits.max_response_tokens)
        return join(prompts, responses)

    tokenized = TokenizedComparisons(joined("chosen"), joined("rejected"))
    training, validation = split_comparisons(tokenized, table["split"], settings)
    state = TrainingState(model_dir / STATE_FILE, job.fingerprint)
    reward_model, losses = fit_reward_model(settings, backbone, training, state)
    job.stop_workers()
    save_reward_model(reward_model, backbone, model_dir)
    state.remove()
    differences = score_differences(reward_model, validation)
    require_distinctions(differences, "gold_rm")
    metrics = validation_metrics(differences)
    write_metrics(model_dir, reward_model, training, validation, losses, metrics)
