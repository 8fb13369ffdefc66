"""
Decoding of models from scratch: a forward pass and a cache made for GPT-2's layout.

Shapes: B = responses, P = prompt tokens (left-padded), H = heads, D = head size, V = vocabulary.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from overopt.models.architecture import vocabulary_logits
from overopt.models.gpt2 import GPT2Block, GPT2Policy
from overopt.policy.left_padding import pad_left


class GPT2Decoder:
    """Forward passes of a GPT-2-layout policy over a growing key-value cache.

    The cache is laid out (time, batch, heads, head size): a step appends one contiguous slab, and
    attention of the one new query is two elementwise reductions over time.
    """

    def __init__(
        self,
        policy: GPT2Policy,
        prompts: Sequence[Sequence[int]],
        max_response_tokens: int,
    ) -> None:
        self._policy = policy
        self._blocks: list[GPT2Block] = list(policy.transformer.h)  # type: ignore[arg-type]
        self._num_heads = policy.config.n_head
        self._head_size = policy.config.n_embd // policy.config.n_head
        device = policy.device

        self._prompts, self._num_padding = pad_left(prompts, device)
        self._length = self._prompts.shape[1]
        self._is_ragged = bool((self._num_padding > 0).any())

        capacity = self._length + max_response_tokens
        shape = (capacity, len(prompts), self._num_heads, self._head_size)
        dtype = policy.dtype
        self._keys = [torch.empty(shape, device=device, dtype=dtype) for _ in self._blocks]
        self._values = [torch.empty(shape, device=device, dtype=dtype) for _ in self._blocks]

    def read_prompts(self) -> torch.Tensor:
        """Fill the cache with the prompts; logits (B, V) of the first response token."""
        num_rows, length = self._prompts.shape
        positions = torch.arange(length, device=self._prompts.device)
        mask = None
        if self._is_ragged:
            # Left padding moves no position: the first real token has position 0.
            is_padding = positions < self._num_padding[:, None]
            positions = (positions - self._num_padding[:, None]).clamp_(min=0)
            causal = torch.ones(length, length, dtype=torch.bool, device=is_padding.device).tril()
            own = torch.eye(length, dtype=torch.bool, device=is_padding.device)
            # Padding attends to itself only, which keeps its (unused) rows finite.
            mask = ((causal & ~is_padding[:, None, :]) | own)[:, None]
        transformer = self._policy.transformer
        hidden = transformer.wte(self._prompts) + transformer.wpe(positions)
        for layer, block in enumerate(self._blocks):
            projected = block.attn.c_attn(block.ln_1(hidden))
            query, key, value = projected.view(
                num_rows, length, 3, self._num_heads, self._head_size
            ).permute(2, 0, 3, 1, 4)
            self._keys[layer][:length] = key.permute(2, 0, 1, 3)
            self._values[layer][:length] = value.permute(2, 0, 1, 3)
            is_causal = mask is None
            if block is self._blocks[-1]:
                # Logits are read at the last position alone, which sees every other: no more is
                # needed of this block but its keys and values.
                query, hidden, is_causal = query[:, :, -1:], hidden[:, -1:], False
                mask = None if mask is None else mask[:, :, -1:]
            attended = F.scaled_dot_product_attention(
                query, key, value, attn_mask=mask, is_causal=is_causal
            )
            attended = attended.transpose(1, 2).flatten(2)
            hidden = _finish_block(block, hidden, attended)
        return vocabulary_logits(self._policy, transformer.ln_f(hidden[:, -1]))

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Append one token (B,) to each row; logits (B, V) of the next."""
        transformer, time = self._policy.transformer, self._length
        hidden = transformer.wte(tokens) + transformer.wpe(time - self._num_padding)
        scale = 1 / math.sqrt(self._head_size)
        for layer, block in enumerate(self._blocks):
            projected = block.attn.c_attn(block.ln_1(hidden))
            query, key, value = projected.view(
                len(tokens), 3, self._num_heads, self._head_size
            ).unbind(1)
            keys, values = self._keys[layer], self._values[layer]
            keys[time], values[time] = key, value
            scores = (keys[: time + 1] * (query * scale)).sum(-1)
            if self._is_ragged:
                times = torch.arange(time + 1, device=tokens.device)[:, None]
                scores = scores.masked_fill((times < self._num_padding)[:, :, None], -math.inf)
            weights = scores.softmax(0)
            attended = (weights.unsqueeze(-1) * values[: time + 1]).sum(0)
            hidden = _finish_block(block, hidden, attended.reshape(len(tokens), -1))
        self._length += 1
        return vocabulary_logits(self._policy, transformer.ln_f(hidden))

    def select(self, rows: torch.Tensor) -> None:
        """Go on with these rows of the cache, one of them several times where it is repeated."""
        for cache in (self._keys, self._values):
            for layer, old in enumerate(cache):
                kept = old.new_empty(old.shape[0], len(rows), *old.shape[2:])
                torch.index_select(old[: self._length], 1, rows, out=kept[: self._length])
                cache[layer] = kept
        self._num_padding = self._num_padding[rows]


def _finish_block(block: GPT2Block, residual: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
    """Project the attention output, then the MLP, each added to the residual stream."""
    residual = residual + block.attn.c_proj(attended)
    return residual + block.mlp(block.ln_2(residual))
