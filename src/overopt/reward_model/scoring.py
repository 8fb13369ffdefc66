"""Scores of a reward model: one number per prompt and response, in fp32."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from overopt.architecture import FILLER_ID, RewardModel, backbone_of, score_head
from overopt.tokens import pad_right

BATCH_SIZE = 256
"""Sequences per forward pass; 1,024 fall out of the processor's cache and take a third longer."""


def score_batch(
    reward_model: RewardModel, input_ids: torch.Tensor, lengths: torch.Tensor
) -> torch.Tensor:
    """Score (B,) read at the last real token of each sequence.

    `input_ids` (B, S) is padded on the right, `lengths` (B,) counts prompt and response tokens.
    The index is `lengths - 1`, never found by searching for an id, so any token may occur in a
    response. Causal attention never looks to the right: padding needs no mask.
    """
    hidden = backbone_of(reward_model)(input_ids=input_ids, use_cache=False).last_hidden_state
    last = hidden[torch.arange(len(hidden), device=hidden.device), lengths - 1]
    # The head computes in fp32 under any precision of the body: rounded scores would tie.
    with torch.autocast(hidden.device.type, enabled=False):
        return F.linear(last.float(), score_head(reward_model).weight.float()).squeeze(-1)


@torch.no_grad()
def score_sequences(
    reward_model: RewardModel,
    sequences: Sequence[Sequence[int]],
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Scores (N,), float32, of N sequences of token ids (prompt and response joined).

    Sequences of like length share a batch; the result is in the order given. A sequence that
    repeats is scored once: batches of different shape round differently, and equal responses
    have to tie.
    """
    rows_of = {sequence: row for row, sequence in enumerate(dict.fromkeys(map(tuple, sequences)))}
    distinct = list(rows_of)
    lengths = np.fromiter(map(len, distinct), dtype=np.int64)
    order = np.argsort(lengths, kind="stable")
    scores = np.empty(len(distinct), dtype=np.float32)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        input_ids = pad_right([distinct[row] for row in rows], FILLER_ID)
        batch = score_batch(
            reward_model,
            torch.as_tensor(input_ids, device=reward_model.device),
            torch.as_tensor(lengths[rows], device=reward_model.device),
        )
        scores[rows] = batch.cpu().numpy()
    return scores[[rows_of[tuple(sequence)] for sequence in sequences]]
