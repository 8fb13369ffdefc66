"""
A key-value cache of transformers whose room for the whole response is set aside at the start.

The library's own grows by concatenation: every step copies all keys and values so far. Layers that
are more than plain attention (a sliding window, a recurrent state) keep the library's.
"""

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer


def preallocated_cache(policy: PreTrainedModel, num_tokens: int) -> DynamicCache:
    """An empty cache for sequences of at most `num_tokens` tokens, prompt and response together."""
    cache = DynamicCache(config=policy.config)
    cache.layers = [
        PreallocatedLayer(num_tokens) if type(layer) is DynamicLayer else layer
        for layer in cache.layers
    ]
    return cache


class PreallocatedLayer(DynamicLayer):
    """Keys and values (B, heads, tokens, head size): the first tokens of a larger array."""

    def __init__(self, num_tokens: int) -> None:
        super().__init__()
        self._num_tokens = num_tokens

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the states of new tokens; all keys and values, as views."""
        start = self.get_seq_length()
        if start == 0:
            self.lazy_initialization(key_states, value_states)
            self._all_keys = self._room_for(key_states)
            self._all_values = self._room_for(value_states)
        stop = start + key_states.shape[-2]
        self._all_keys[:, :, start:stop] = key_states
        self._all_values[:, :, start:stop] = value_states
        return self._show(stop)

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows only."""
        length = self.get_seq_length()
        if length > 0:
            self._all_keys, self._all_values = self._all_keys[indices], self._all_values[indices]
            self._show(length)

    def _room_for(self, states: torch.Tensor) -> torch.Tensor:
        rows, heads, _, head_size = states.shape
        return states.new_empty(rows, heads, self._num_tokens, head_size)

    def _show(self, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        shown = self._all_keys[:, :, :length], self._all_values[:, :, :length]
        self.keys, self.values = shown
        return shown
