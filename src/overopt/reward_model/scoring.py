"""Scores of a reward model: one number per prompt and response, in fp32."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from overopt.models.architecture import FILLER_ID, RewardModel, score_head
from overopt.models.hidden_states import Sequences, share_starts, states_at_ends
from overopt.models.tokens import pad_right

BATCH_SIZE = 128
"""Sequences per forward pass; 512 fall out of the processor's cache and take half as long again."""
BATCH_SIZE_ON_GPU = 256


def score_batch(
    reward_model: RewardModel, sequences: Sequences, lengths: torch.Tensor
) -> torch.Tensor:
    """Score (B,) read at the last real token of each sequence.

    `lengths` (B,) counts prompt and response tokens. The index is `lengths - 1`, never found by
    searching for an id, so any token may occur in a response. Causal attention never looks to the
    right: padding needs no mask.
    """
    last = states_at_ends(reward_model, sequences, lengths)
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

    Sequences of like length that start alike share a batch, which reads their start once; the
    result is in the order given. A sequence that repeats is scored once: batches of different
    shape round differently, and equal responses have to tie.
    """
    device = reward_model.device
    if batch_size is None:
        batch_size = BATCH_SIZE_ON_GPU if device.type == "cuda" else BATCH_SIZE
    rows_of = dict.fromkeys(map(tuple, sequences), 0)
    distinct = sorted(rows_of, key=lambda sequence: (len(sequence), sequence))
    rows_of.update((sequence, row) for row, sequence in enumerate(distinct))
    scores = np.empty(len(distinct), dtype=np.float32)
    for start in range(0, len(distinct), batch_size):
        batch = distinct[start : start + batch_size]
        read = _batch_of(batch, device)
        lengths = torch.as_tensor([len(sequence) for sequence in batch])
        scored = score_batch(reward_model, read.to(device), lengths.to(device))
        scores[start : start + batch_size] = scored.cpu().numpy()
    return scores[[rows_of[tuple(sequence)] for sequence in sequences]]


def _batch_of(sequences: Sequence[Sequence[int]], device: torch.device) -> Sequences:
    """A batch, shortest first; on a GPU with the start that sequences share told apart."""
    ids = pad_right(sequences, FILLER_ID)
    if device.type == "cpu":  # where every prefix is read once as it is
        return Sequences.whole(torch.as_tensor(ids))
    # Before its last token a sequence may share anything.
    return share_starts(ids, longest=len(sequences[0]) - 1)
