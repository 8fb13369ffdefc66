"""
Each distinct prefix of a batch's sequences, computed once.

With causal attention the state at a token depends on the tokens up to it and on nothing else. What
is computed token by token (everything but attention) is therefore computed once for each distinct
prefix that is read: not for padding, and not again where sequences share a prefix, as two responses
to one prompt do, or prompts with the same first words. Attention takes whole sequences, gathered
from the prefixes' queries, keys and values. The prefixes are found on the CPU: a GPU is waited for
once a batch.

Shapes: B = sequences, S = columns, N = distinct prefixes, D = state size.
"""

import math
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F

from overopt.models.gpt2 import GPT2Backbone

LONGEST = 64
"""Tokens of a sequence up to which two batched products are faster than torch's own attention,
whose work for each sequence and head then costs more than the arithmetic."""


def distinct_prefixes(ids: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct prefixes of sequences (B, S), each read up to its column `last` (B,).

    Returns
    -------
    number : (B, S), which prefix ends at each column; undefined after `last`.
    places : (N,), where in the flattened `ids` each prefix ends first.
    """
    columns = np.arange(ids.shape[1])
    ids = np.where(columns <= last[:, None], ids, -1)
    order = np.lexsort(ids.T[::-1])
    in_order = ids[order]
    # Sorted, equal prefixes are neighbours: one is new where it differs from that of the row above.
    is_new = np.ones(ids.shape, dtype=bool)
    is_new[1:] = np.logical_or.accumulate(in_order[1:] != in_order[:-1], axis=1)
    is_new &= in_order >= 0
    numbered = np.where(is_new, is_new.cumsum().reshape(ids.shape) - 1, 0)
    number = np.empty_like(numbered)
    number[order] = np.maximum.accumulate(numbered, axis=0)
    return number, (order[:, None] * ids.shape[1] + columns)[is_new]


class DistinctPrefixes:
    """A batch as one matrix (N, D) with a row for every distinct prefix."""

    def __init__(self, backbone: GPT2Backbone, ids: torch.Tensor, last: torch.Tensor) -> None:
        """`ids` (B, S) are read up to column `last` (B,) of each sequence."""
        self._backbone = backbone
        self.width = backbone.config.n_embd
        self._num_heads = backbone.config.n_head
        self._head_size = self.width // self._num_heads
        self._ids, self._last, self._device = ids, last, ids.device
        number, places = distinct_prefixes(ids.cpu().numpy(), last.cpu().numpy())
        self._number = torch.as_tensor(number, device=self._device)
        self._places = torch.as_tensor(places, device=self._device)

    def rows_at(self, positions: torch.Tensor) -> torch.Tensor:
        """Rows of the matrix of positions in the flattened ids."""
        return self._number.flatten()[positions]

    def embeddings(self) -> torch.Tensor:
        """Input of the first block."""
        # The backward pass of a selection takes a third of the time of an embedding's.
        tokens = self._ids.flatten()[self._places]
        columns = self._places % self._ids.shape[1]
        of_tokens = self._backbone.wte.weight.index_select(0, tokens)
        return of_tokens + self._backbone.wpe.weight.index_select(0, columns)

    def attend(self, projected: torch.Tensor) -> torch.Tensor:
        """Attention at every prefix to its tokens, (N, D).

        `projected` (N, 3 D) holds queries, keys and values.
        """
        queries, keys, values = self._by_head(projected)
        attended = _attend(queries, keys, values, self._causal_mask)
        rows = attended.reshape(-1, self._head_size).index_select(0, self._places_by_head)
        return rows.view(-1, self.width)

    def attend_from(self, queries: torch.Tensor, projected: torch.Tensor) -> torch.Tensor:
        """Attention (B, D) of the last token of each sequence that is read.

        `queries` (B, D) are those tokens'; `projected` (N, 2 D) holds keys and values.
        """
        columns = torch.arange(self._ids.shape[1], device=self._device)
        is_after = columns > self._last[:, None, None]
        mask = torch.zeros(is_after.shape, device=self._device).masked_fill_(is_after, -torch.inf)
        by_head = queries.view(-1, self._num_heads, 1, self._head_size).transpose(0, 1)
        keys, values = self._by_head(projected)
        attended = _attend(by_head, keys, values, mask)
        return attended.squeeze(2).transpose(0, 1).flatten(1)

    def _by_head(self, projected: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Of all sequences, k times (heads, B, S, head size), from (N, k D) of the prefixes."""
        num = projected.shape[1] // self._head_size
        # Gathered and put head by head in one go: a row of this view is one head of one prefix.
        rows = self._number.flatten() * num + torch.arange(num, device=self._device)[:, None]
        gathered = projected.view(-1, self._head_size).index_select(0, rows.flatten())
        shape = (-1, self._num_heads, *self._number.shape, self._head_size)
        return gathered.view(shape).unbind(0)

    @cached_property
    def _places_by_head(self) -> torch.Tensor:
        """Rows of the flattened (heads, B, S, head size) of each prefix's heads in turn, (N H,)."""
        first = torch.arange(self._num_heads, device=self._device) * self._ids.numel()
        return (self._places[:, None] + first).flatten()

    @cached_property
    def _causal_mask(self) -> torch.Tensor:
        """Additive, (S, S)."""
        size = (self._ids.shape[1],) * 2
        return torch.full(size, -torch.inf, device=self._device).triu_(1)


def _attend(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Attention of tensors (heads, B, tokens, head size); `mask` (Q, T) or (B, Q, T) is added."""
    mask = mask.to(queries.dtype)
    if keys.shape[2] > LONGEST:
        return F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    if mask.dim() == 3:
        mask = mask.repeat(len(queries), 1, 1)
    q, k, v = (tensor.flatten(0, 1) for tensor in (queries, keys, values))
    weights = torch.baddbmm(mask, q, k.mT, alpha=1 / math.sqrt(q.shape[2])).softmax(-1)
    return torch.bmm(weights, v).view(queries.shape)
