"""Decoding of any architecture: its own forward pass over the cache of transformers."""

import inspect
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from overopt.models.architecture import backbone_of, vocabulary_logits
from overopt.policy.left_padding import pad_left
from overopt.policy.preallocated_cache import preallocated_cache


class CacheDecoder:
    """Decoding by a model's own forward pass, prompts padded on the left and masked."""

    def __init__(
        self, policy: PreTrainedModel, prompts: Sequence[Sequence[int]], max_response_tokens: int
    ) -> None:
        self._policy = policy
        self._backbone = backbone_of(policy)
        # Some families compute positions from the mask and take none.
        self._takes_positions = (
            "position_ids" in inspect.signature(self._backbone.forward).parameters
        )
        self._prompts, self._num_padding = pad_left(prompts, policy.device)
        steps = torch.arange(self._prompts.shape[1], device=policy.device)
        self._mask = (steps >= self._num_padding[:, None]).long()
        self._cache = preallocated_cache(policy, self._prompts.shape[1] + max_response_tokens)

    def read_prompts(self) -> torch.Tensor:
        """Fill the cache with the prompts; logits (B, V) of the first response token."""
        positions = torch.arange(self._prompts.shape[1], device=self._prompts.device)
        # Left padding moves no position: the first real token has position 0.
        return self._forward(self._prompts, (positions - self._num_padding[:, None]).clamp_(min=0))

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Append one token (B,) to each row; logits (B, V) of the next."""
        position = self._mask.shape[1] - self._num_padding
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
        return self._forward(tokens[:, None], position[:, None])

    def select(self, rows: torch.Tensor) -> None:
        """Go on with these rows of the cache, one of them several times where it is repeated."""
        self._cache.batch_select_indices(rows)
        self._mask, self._num_padding = self._mask[rows], self._num_padding[rows]

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        chosen = {"position_ids": positions} if self._takes_positions else {}
        read = self._backbone(
            input_ids=ids,
            attention_mask=self._mask,
            past_key_values=self._cache,
            use_cache=True,
            **chosen,
        )
        return vocabulary_logits(self._policy, read.last_hidden_state[:, -1])
