"""
Reward-model training on comparisons (Gao et al. 2022, section 2.1).

Loss -log sigmoid(score of the chosen - score of the rejected): the Bradley-Terry likelihood, which
leaves one offset per prompt free. What the gold RM and the proxy RMs share; `gold` and `proxy`
hold what they do not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from overopt.config.reward_model import RewardModelSettings
from overopt.config.reward_model_batch import comparisons_per_batch
from overopt.errors import UserError
from overopt.jobs.provenance import write_json
from overopt.models.architecture import FILLER_ID, RewardModel
from overopt.models.loading import (
    build_reward_model,
    load_policy,
    num_parameters,
    save_model,
)
from overopt.models.tokens import copy_tokenizer, pad_right
from overopt.models.training.loop import Examples, final_loss, length_bucketed_batches, train
from overopt.models.training.lora import add_adapters, merge_adapters
from overopt.models.training.state import TrainingState
from overopt.randomness import numpy_generator, torch_generator
from overopt.reward_model.scoring import score_batch, score_sequences


@dataclass(frozen=True)
class TokenizedComparisons:
    """Comparisons as token sequences, prompt and response joined, one list per comparison."""

    chosen: list[list[int]]
    rejected: list[list[int]]

    def __len__(self) -> int:
        return len(self.chosen)

    def select(self, rows: np.ndarray) -> "TokenizedComparisons":
        """Copy with these comparisons alone, in this order."""
        return TokenizedComparisons(
            [self.chosen[row] for row in rows], [self.rejected[row] for row in rows]
        )


def pairwise_loss(chosen_scores: torch.Tensor, rejected_scores: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood that the chosen response wins (Bradley-Terry); inputs (B,)."""
    return -F.logsigmoid(chosen_scores - rejected_scores).mean()


class ComparisonLoss(torch.nn.Module):
    """`pairwise_loss` of a reward model, as accelerate wraps it."""

    def __init__(self, reward_model: RewardModel) -> None:
        super().__init__()
        self.reward_model = reward_model

    def forward(self, input_ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Mean loss (nats per comparison); the first half of the rows are the chosen ones."""
        return pairwise_loss(*score_batch(self.reward_model, input_ids, lengths).chunk(2))


def train_on_comparisons(
    reward_model: RewardModel,
    comparisons: TokenizedComparisons,
    settings: RewardModelSettings,
    state: TrainingState,
) -> np.ndarray:
    """Fit a reward model; the loss of every step (nats per comparison).

    Small data sets take smaller batches (`comparisons_per_batch`).
    """
    optimization = settings.optimization
    batch_size = comparisons_per_batch(optimization.batch_size, len(comparisons))
    ids, lengths = _side_by_side(comparisons)
    batches = length_bucketed_batches(
        lengths.amax(0).numpy(),
        batch_size,
        optimization.num_epochs,
        numpy_generator(settings.seed, "batches"),
    )
    if not batches:
        raise UserError(
            f"{len(comparisons)} comparisons do not fill one batch of {batch_size}: "
            "give more comparisons"
        )

    def tensors(rows: np.ndarray) -> tuple[torch.Tensor, ...]:
        longest = int(lengths[:, rows].max())
        return ids[:, rows, :longest].flatten(0, 1), lengths[:, rows].flatten()

    return train(
        ComparisonLoss(reward_model),
        Examples(tensors, weights=np.ones(len(comparisons))),
        batches,
        optimization.learning_rate,
        state,
        settings.numerics,
    )


def _side_by_side(comparisons: TokenizedComparisons) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids (2, N, S), padded on the right, and lengths (2, N) of chosen and rejected."""
    both = [*comparisons.chosen, *comparisons.rejected]
    ids = torch.as_tensor(pad_right(both, FILLER_ID)).unflatten(0, (2, -1))
    lengths = torch.as_tensor([len(sequence) for sequence in both]).unflatten(0, (2, -1))
    return ids, lengths


def score_differences(reward_model: RewardModel, comparisons: TokenizedComparisons) -> np.ndarray:
    """Score of the chosen minus score of the rejected response, (N,); 0 where they are equal."""
    scores = score_sequences(reward_model, [*comparisons.chosen, *comparisons.rejected])
    return scores[: len(comparisons)] - scores[len(comparisons) :]


def split_comparisons(
    tokenized: TokenizedComparisons, split: pd.Series, settings: RewardModelSettings
) -> tuple[TokenizedComparisons, TokenizedComparisons]:
    """The comparisons to train on (a random subset of this seed) and those to validate on."""
    training_rows = np.flatnonzero(split.to_numpy() == "train")
    validation_rows = np.flatnonzero(split.to_numpy() == "validation")
    for rows, wanted, key in (
        (training_rows, settings.num_comparisons, "num_comparisons"),
        (validation_rows, settings.num_validation, "num_validation"),
    ):
        if len(rows) < wanted:
            raise UserError(
                f"{_name(settings)}: {key} is {wanted}, but there are {len(rows)} such "
                f"comparisons; lower {key} in the config or give more comparisons"
            )
    order = numpy_generator(settings.subset_seed, "comparisons").permutation(len(training_rows))
    chosen_rows = training_rows[order[: settings.num_comparisons]]
    return tokenized.select(chosen_rows), tokenized.select(
        validation_rows[: settings.num_validation]
    )


def _name(settings: RewardModelSettings) -> str:
    return "gold RM" if settings.proxy_rm is None else f"proxy RM {settings.proxy_rm.proxy_size}"


def fit_reward_model(
    settings: RewardModelSettings,
    backbone: Path,
    training: TokenizedComparisons,
    state: TrainingState,
) -> tuple[RewardModel, np.ndarray]:
    """Train a reward model from a backbone; it and the loss of every step (nats per comparison)."""
    reward_model = build_reward_model(load_policy(backbone))
    rank = settings.numerics.lora_rank
    reward_model = add_adapters(reward_model, rank, torch_generator(settings.seed, "adapters"))
    return reward_model, train_on_comparisons(reward_model, training, settings, state)


def save_reward_model(reward_model: RewardModel, backbone: Path, model_dir: Path) -> None:
    """Write a trained reward model's checkpoint, with the tokenizer of its backbone."""
    merge_adapters(reward_model)
    save_model(reward_model, model_dir)
    copy_tokenizer(backbone, model_dir)


def write_metrics(
    model_dir: Path,
    reward_model: RewardModel,
    training: TokenizedComparisons,
    validation: TokenizedComparisons,
    losses: np.ndarray,
    metrics: Mapping[str, float | str],
) -> None:
    """Write metrics.json: sizes, training loss and the validation metrics given."""
    metrics = {
        "num_parameters": num_parameters(reward_model),
        "num_comparisons": len(training),
        "num_validation": len(validation),
        "training_loss": final_loss(losses),
        **metrics,
    }
    write_json(model_dir / "metrics.json", metrics)
    print(metrics, flush=True)
