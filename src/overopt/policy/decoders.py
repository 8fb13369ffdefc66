"""
How the sampler reads a policy: prompts first, then one token a step, over a key-value cache.

Policies of GPT-2's layout, such as all models from scratch, have a decoder of their own, which is
faster (`overopt.policy.gpt2_decoder`). Any other architecture goes through its own forward pass and
the cache of transformers (`overopt.policy.cache_decoder`).
"""

from collections.abc import Sequence
from typing import Protocol

import torch

from overopt.models.architecture import Policy
from overopt.models.gpt2 import GPT2Policy
from overopt.policy.gpt2_decoder import GPT2Decoder


class Decoder(Protocol):
    """Forward passes over a batch of growing sequences."""

    def read_prompts(self) -> torch.Tensor:
        """Logits (B, V) of the first response token."""
        ...

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Append one token (B,) to each row; logits (B, V) of the next."""
        ...

    def select(self, rows: torch.Tensor) -> None:
        """Go on with these rows, one of them several times where it is repeated."""
        ...


def decoder_of(
    policy: Policy, prompts: Sequence[Sequence[int]], max_response_tokens: int
) -> Decoder:
    """The decoder for this policy's architecture."""
    if isinstance(policy, GPT2Policy):
        return GPT2Decoder(policy, prompts, max_response_tokens)
    from overopt.policy.cache_decoder import CacheDecoder  # it imports transformers

    return CacheDecoder(policy, prompts, max_response_tokens)
