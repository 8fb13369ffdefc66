"""Scores of a reward model: one number per prompt and response, in fp32."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from overopt.config.reward_model_batch import SCORING_BATCH, SCORING_BATCH_ON_GPU
from overopt.models.architecture import FILLER_ID, RewardModel, score_head
from overopt.models.hidden_states import states_at_ends
from overopt.models.tokens import pad_right


def score_batch(
    reward_model: RewardModel, input_ids: torch.Tensor, lengths: torch.Tensor
) -> torch.Tensor:
    """Score (B,) read at the last real token of each of `input_ids` (B, S), padded on the right.

    `lengths` (B,) counts prompt and response tokens. The index is `lengths - 1`, never found by
    searching for an id, so any token may occur in a response. Causal attention never looks to the
    right: padding needs no mask.
    """
    last = states_at_ends(reward_model, input_ids, lengths)
    # The head computes in fp32 under any precision of the body: rounded scores would tie.
    with torch.autocast(last.device.type, enabled=False):
        return F.linear(last.float(), score_head(reward_model).weight.float()).squeeze(-1)


@torch.no_grad()
def score_sequences(
    reward_model: RewardModel,
    sequences: Sequence[Sequence[int]],
    batch_size: int | None = None,
) -> np.ndarray:
    """Scores (N,), float32, of N sequences of token ids (prompt and response joined).

    Sequences of like length that share a prefix share a batch, which reads the prefix once. The
    result is in the order given. A sequence that repeats is scored once: batches of different
    shape round differently, and equal responses have to tie.
    """
    device = reward_model.device
    if batch_size is None:
        batch_size = SCORING_BATCH_ON_GPU if device.type == "cuda" else SCORING_BATCH
    rows_of = dict.fromkeys(map(tuple, sequences), 0)
    distinct = sorted(rows_of, key=lambda sequence: (len(sequence), sequence))
    rows_of.update((sequence, row) for row, sequence in enumerate(distinct))
    scores = np.empty(len(distinct), dtype=np.float32)
    for start in range(0, len(distinct), batch_size):
        batch = distinct[start : start + batch_size]
        ids = torch.as_tensor(pad_right(batch, FILLER_ID), device=device)
        lengths = torch.as_tensor([len(sequence) for sequence in batch], device=device)
        scored = score_batch(reward_model, ids, lengths)
        scores[start : start + batch_size] = scored.cpu().numpy()
    return scores[[rows_of[tuple(sequence)] for sequence in sequences]]
