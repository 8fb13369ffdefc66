"""Log-probabilities of given responses, by a policy's own forward pass over whole sequences."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from overopt.architecture import FILLER_ID, Policy, backbone_of, vocabulary_logits, vocabulary_size
from overopt.tokens import join, pad_right

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
    input_ids = torch.as_tensor(pad_right(join(prompts, responses), FILLER_ID), device=device)
    response_ids = torch.as_tensor(pad_right(responses, FILLER_ID), device=device)
    prompt_lengths = torch.as_tensor([len(prompt) for prompt in prompts], device=device)
    lengths = torch.as_tensor([len(response) for response in responses], device=device)
    hidden = backbone_of(policy)(input_ids=input_ids, use_cache=False).last_hidden_state
    # The state at position prompt_length - 1 + t predicts response token t.
    steps = torch.arange(response_ids.shape[1], device=device)
    positions = (prompt_lengths[:, None] - 1 + steps).clamp(max=hidden.shape[1] - 1)
    states = hidden.gather(1, positions[..., None].expand(-1, -1, hidden.shape[2]))
    distributions = F.log_softmax(vocabulary_logits(policy, states).float(), dim=-1)
    logprobs = distributions.gather(2, response_ids[..., None]).squeeze(2)
    return logprobs.masked_fill(steps >= lengths[:, None], 0.0)
