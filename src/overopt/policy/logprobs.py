"""Log-probabilities of given responses, by a policy's own forward pass over whole sequences."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from overopt.models.architecture import FILLER_ID, Policy, vocabulary_logits, vocabulary_size
from overopt.models.hidden_states import states_at
from overopt.models.tokens import join, pad_right

CHUNK_BYTES = 2**30
"""For the distributions over the vocabulary at the response tokens of one pass."""
_LARGEST_CHUNK = 256
_BYTES_PER_WORD = 8
"""Logits and log-probabilities."""


@torch.no_grad()
def response_logprobs(
    policy: Policy,
    prompts: Sequence[Sequence[int]],
    responses: Sequence[Sequence[int]],
    width: int,
) -> torch.Tensor:
    """Log-probability of each response token, float32 (B, width), nats, 0 beyond the response."""
    logprobs = torch.zeros(len(responses), width, device=policy.device)
    row = max(map(len, responses)) * vocabulary_size(policy) * _BYTES_PER_WORD
    size = max(1, min(_LARGEST_CHUNK, CHUNK_BYTES // row))
    for start in range(0, len(responses), size):
        rows = slice(start, start + size)
        chunk = _of_chunk(policy, prompts[rows], responses[rows])
        logprobs[rows, : chunk.shape[1]] = chunk
    return logprobs


def _of_chunk(
    policy: Policy, prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]]
) -> torch.Tensor:
    device = policy.device
    input_ids = pad_right(join(prompts, responses), FILLER_ID)
    columns = np.arange(input_ids.shape[1])
    starts = np.array([len(prompt) for prompt in prompts])[:, None]
    ends = starts + np.array([len(response) for response in responses])[:, None]
    places = np.flatnonzero((columns >= starts) & (columns < ends))
    tokens = torch.as_tensor(input_ids.flatten()[places], device=device)
    # The state at one token predicts the next.
    read = torch.as_tensor(places - 1, device=device)
    states = states_at(policy, torch.as_tensor(input_ids, device=device), read)
    distributions = F.log_softmax(vocabulary_logits(policy, states).float(), dim=-1)
    logprobs = torch.zeros(len(responses), max(map(len, responses)), device=device)
    mask = torch.arange(logprobs.shape[1]) < torch.as_tensor(ends - starts)
    logprobs[mask.to(device)] = distributions.gather(1, tokens[:, None]).squeeze(1)
    return logprobs
