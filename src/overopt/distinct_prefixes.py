"""
Each distinct prefix of a batch's sequences computed once, on a CPU.

With causal attention the state at a token depends on the tokens up to it and on nothing else. What
is computed token by token (everything but attention) is therefore computed once for each distinct
prefix that is read: not for padding, and not again where sequences start alike, as two responses to
one prompt do, or prompts with the same first words. Attention takes whole sequences, gathered from
the prefixes' queries, keys and values.

Shapes: B = sequences, S = columns, N = distinct prefixes, D = state size.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F


def distinct_prefixes(ids: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct prefixes of sequences (B, S), each read up to its column `last` (B,).

    Returns
    -------
    number : (B, S), which prefix ends at each column; a number of no meaning after `last`.
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

    def __init__(self, backbone: Any, ids: torch.Tensor, last: torch.Tensor) -> None:
        """`ids` (B, S) are read up to column `last` (B,) of each sequence."""
        self._backbone = backbone
        self.width = backbone.config.n_embd
        self._num_heads = backbone.config.n_head
        self._ids, self._last = ids, last
        number, places = distinct_prefixes(ids.numpy(), last.numpy())
        self._number, self._places = torch.as_tensor(number), torch.as_tensor(places)

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
        attended = self._attend(*self._heads(self._whole(projected)), is_causal=True)
        return attended.flatten(0, 1).index_select(0, self._places)

    def attend_from(self, queries: torch.Tensor, projected: torch.Tensor) -> torch.Tensor:
        """Attention (B, D) of the last token of each sequence that is read.

        `queries` (B, D) are those tokens'; `projected` (N, 2 D) holds keys and values.
        """
        mask = torch.arange(self._ids.shape[1]) <= self._last[:, None, None, None]
        (query,) = self._heads(queries[:, None])
        keys, values = self._heads(self._whole(projected))
        return self._attend(query, keys, values, mask).squeeze(1)

    def _whole(self, projected: torch.Tensor) -> torch.Tensor:
        """Of all sequences, (B, S, k D), from those of the prefixes."""
        gathered = projected.index_select(0, self._number.flatten())
        return gathered.unflatten(0, self._number.shape)

    def _heads(self, projected: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """From (B, columns, k D) to k times (B, columns, heads, head size)."""
        shape = (-1, self._num_heads, self.width // self._num_heads)
        return projected.unflatten(2, shape).unbind(2)

    @staticmethod
    def _attend(
        queries: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        mask: torch.Tensor | None = None,
        *,
        is_causal: bool = False,
    ) -> torch.Tensor:
        by_head = (tensor.transpose(1, 2) for tensor in (queries, keys, values))
        attended = F.scaled_dot_product_attention(*by_head, attn_mask=mask, is_causal=is_causal)
        return attended.transpose(1, 2).flatten(2)
