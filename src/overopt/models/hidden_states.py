"""
Last hidden states of a transformer, only where they are read.

A reward model's score reads one position of a sequence, a policy's log-probabilities those of the
response. Two things are therefore left out of the forward pass, for models of GPT-2's layout
(`overopt.models.gpt2`, all models from scratch): the last block but its keys and values where
nothing is read, and what sequences that start alike would compute twice (the two responses of a
comparison, the responses of a pool to one prompt). On a CPU every prefix is computed once
(`overopt.models.distinct_prefixes`), on a GPU a start of one length for all. Causal attention never
looks to the right, so the states are the same but for rounding. Any other architecture goes through
its own forward pass.

Shapes: B = sequences, U = distinct starts, P = tokens of a start, T = tokens after it,
D = state size.
"""

from typing import NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from overopt.models.architecture import AnyModel, backbone_of
from overopt.models.device import to_device
from overopt.models.distinct_prefixes import DistinctPrefixes
from overopt.models.gpt2 import GPT2Backbone, GPT2Block, GPT2Linear

SMALLEST_SAVING = 0.1
"""Share of a batch's tokens from which on it pays to read shared starts apart."""


class Sequences(NamedTuple):
    """Token ids of a batch, padded on the right, with the starts that rows share.

    Row b is `starts[start_of[b]]` followed by `ids[b]`.

    Attributes
    ----------
    starts : int64 (U, P); P is 0 where nothing is shared.
    start_of : int64 (B,).
    ids : int64 (B, T).
    """

    starts: torch.Tensor
    start_of: torch.Tensor
    ids: torch.Tensor

    @classmethod
    def whole(cls, input_ids: torch.Tensor) -> "Sequences":
        """Sequences (B, S) that share nothing."""
        start_of = torch.zeros(len(input_ids), dtype=torch.int64, device=input_ids.device)
        return cls(input_ids[:1, :0], start_of, input_ids)

    def to(self, device: torch.device) -> "Sequences":
        """The same on a device."""
        return Sequences(*(to_device(tensor, device) for tensor in self))

    @property
    def start_length(self) -> int:
        """P."""
        return self.starts.shape[1]

    def joined(self) -> torch.Tensor:
        """The sequences as one array (B, P + T)."""
        return torch.cat([self.starts[self.start_of], self.ids], dim=1)


def share_starts(input_ids: np.ndarray, longest: int) -> Sequences:
    """Sequences (B, S) with the start, of at most `longest` tokens, that leaves fewest to read."""
    starts = np.arange(min(longest, input_ids.shape[1]) + 1)
    order = np.lexsort(input_ids.T[::-1])
    in_order = input_ids[order]
    differs = in_order[1:] != in_order[:-1]
    # Where each row first differs from the one before: distinct starts are counted from that.
    shared = np.where(differs.any(1), differs.argmax(1), input_ids.shape[1])
    num_distinct = 1 + np.searchsorted(np.sort(shared), starts)
    num_tokens = num_distinct * starts + len(input_ids) * (input_ids.shape[1] - starts)
    length = int(num_tokens.argmin())
    if num_tokens[length] > (1 - SMALLEST_SAVING) * input_ids.size:
        return Sequences.whole(torch.as_tensor(input_ids))
    group = np.concatenate([[0], np.cumsum(shared < length)])
    start_of = np.empty(len(input_ids), dtype=np.int64)
    start_of[order] = group
    first = np.concatenate([[True], shared < length])
    return Sequences(
        torch.as_tensor(in_order[first, :length]),
        torch.as_tensor(start_of),
        torch.as_tensor(input_ids[:, length:]),
    )


def states_at_ends(model: AnyModel, sequences: Sequences, lengths: torch.Tensor) -> torch.Tensor:
    """States (B, D) at the last real token of each sequence; `lengths` (B,) counts its tokens.

    Every sequence is longer than the start it shares.
    """
    ends = lengths - 1 - sequences.start_length
    backbone = backbone_of(model)
    if isinstance(backbone, GPT2Backbone):
        return _gpt2_states(backbone, sequences, None, ends)
    hidden = backbone(input_ids=sequences.joined(), use_cache=False).last_hidden_state
    return hidden[torch.arange(len(hidden), device=hidden.device), lengths - 1]


def states_at(model: AnyModel, input_ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """States (N, D) at N positions of the flattened `input_ids` (B, S), padded on the right."""
    backbone = backbone_of(model)
    if isinstance(backbone, GPT2Backbone):
        return _gpt2_states(backbone, Sequences.whole(input_ids), positions, None)
    hidden = backbone(input_ids=input_ids, use_cache=False).last_hidden_state
    return hidden.flatten(0, 1).index_select(0, positions)


def _gpt2_states(
    backbone: GPT2Backbone,
    sequences: Sequences,
    positions: torch.Tensor | None,
    ends: torch.Tensor | None,
) -> torch.Tensor:
    """States at `positions` of the flattened `sequences.ids`, or at one position of each row.

    What is computed token by token is computed on one matrix; only attention tells sequences apart.
    """
    layout, read = _layout_of(backbone, sequences, positions, ends)
    hidden = layout.embeddings()
    blocks = cast(list[GPT2Block], list(backbone.h))

    def through(block: GPT2Block, hidden: torch.Tensor) -> torch.Tensor:
        attended = layout.attend(_linear(block.attn.c_attn, block.ln_1(hidden)))
        return _finish_block(block, hidden, attended)

    recomputes = backbone.gradient_checkpointing and backbone.training
    for block in blocks[:-1]:
        if recomputes:  # its activations, in the backward pass; the last block has few
            hidden = cast(torch.Tensor, checkpoint(through, block, hidden, use_reentrant=False))
        else:
            hidden = through(block, hidden)
    block = blocks[-1]
    normalized = block.ln_1(hidden)
    if ends is not None:
        queries = _linear(block.attn.c_attn, normalized.index_select(0, read), stop=layout.width)
        keys_and_values = _linear(block.attn.c_attn, normalized, start=layout.width)
        attended = layout.attend_from(queries, keys_and_values)
    else:
        attended = layout.attend(_linear(block.attn.c_attn, normalized)).index_select(0, read)
    hidden = _finish_block(block, hidden.index_select(0, read), attended)
    return backbone.ln_f(hidden)


def _layout_of(
    backbone: GPT2Backbone,
    sequences: Sequences,
    positions: torch.Tensor | None,
    ends: torch.Tensor | None,
) -> "tuple[_Layout | DistinctPrefixes, torch.Tensor]":
    """How a batch is laid out as one matrix, and which rows of it are read."""
    if not _reads_distinct_prefixes(sequences.ids.device):
        layout = _Layout(backbone, sequences, ends)
        return layout, layout.num_start_tokens + layout.read_from(positions)
    ids = sequences.joined()
    if ends is not None:
        last = sequences.start_length + ends
        read = torch.arange(len(ids)) * ids.shape[1] + last
    else:
        assert positions is not None
        read, last = positions, torch.zeros(len(ids), dtype=torch.int64)
        last.scatter_reduce_(0, read // ids.shape[1], read % ids.shape[1], "amax")
    prefixes = DistinctPrefixes(backbone, ids, last)
    return prefixes, prefixes.rows_at(read)


def _reads_distinct_prefixes(device: torch.device) -> bool:
    """A GPU would have to be waited for, and has arithmetic to spare."""
    return device.type == "cpu"


class _Layout:
    """A batch as one matrix (U P + B T, D): the tokens of the starts, then those after them."""

    def __init__(
        self, backbone: GPT2Backbone, sequences: Sequences, ends: torch.Tensor | None
    ) -> None:
        self._backbone, self._sequences, self._ends = backbone, sequences, ends
        self.width = backbone.config.n_embd
        self._num_heads = backbone.config.n_head
        self._num_starts, self._start_length = sequences.starts.shape
        self._num_rows, self._length = sequences.ids.shape
        self.num_start_tokens = self._num_starts * self._start_length
        self._sizes = [self.num_start_tokens, self._num_rows * self._length]
        self._device = sequences.ids.device

    def read_from(self, positions: torch.Tensor | None) -> torch.Tensor:
        """Positions in the flattened ids: these, or those of the ends."""
        if self._ends is None:
            assert positions is not None
            return positions
        return torch.arange(self._num_rows, device=self._device) * self._length + self._ends

    def embeddings(self) -> torch.Tensor:
        """Input of the first block."""
        starts, ids = self._sequences.starts, self._sequences.ids
        columns = torch.arange(self._start_length + self._length, device=self._device)
        tokens = torch.cat([starts.flatten(), ids.flatten()])
        positions = torch.cat(
            [
                columns[: self._start_length].repeat(self._num_starts),
                columns[self._start_length :].repeat(self._num_rows),
            ]
        )
        return self._backbone.wte(tokens) + self._backbone.wpe(positions)

    def attend(self, projected: torch.Tensor) -> torch.Tensor:
        """Attention of every token to those before it and itself, (U P + B T, D).

        `projected` (U P + B T, 3 D) holds queries, keys and values.
        """
        if not self.num_start_tokens:
            return _attend(*self._heads(projected, self._num_rows), is_causal=True)
        of_starts, of_rows = projected.split(self._sizes)
        queries, keys, values = self._heads(of_starts, self._num_starts)
        attended = _attend(queries, keys, values, is_causal=True)
        queries, own_keys, own_values = self._heads(of_rows, self._num_rows)
        columns = torch.arange(self._start_length + self._length, device=self._device)
        attended_by_rows = _attend(
            queries,
            self._after_starts(keys, own_keys),
            self._after_starts(values, own_values),
            columns <= columns[self._start_length :, None],
        )
        return torch.cat([attended, attended_by_rows])

    def attend_from(self, queries: torch.Tensor, projected: torch.Tensor) -> torch.Tensor:
        """Attention (B, D) of the end of each row to the tokens before it and itself.

        `queries` (B, D) are those tokens'; `projected` (U P + B T, 2 D) holds keys and values.
        """
        of_starts, of_rows = projected.split(self._sizes)
        keys, values = self._heads(of_rows, self._num_rows)
        if self.num_start_tokens:
            start_keys, start_values = self._heads(of_starts, self._num_starts)
            keys = self._after_starts(start_keys, keys)
            values = self._after_starts(start_values, values)
        columns = torch.arange(self._start_length + self._length, device=self._device)
        assert self._ends is not None
        mask = columns <= (self._start_length + self._ends)[:, None, None, None]
        (query,) = self._heads(queries, self._num_rows)
        return _attend(query, keys, values, mask)

    def _heads(self, projected: torch.Tensor, num_rows: int) -> tuple[torch.Tensor, ...]:
        """From (rows * tokens, k D) to k times (rows, tokens, heads, head size)."""
        k = projected.shape[1] // self.width
        shape = (num_rows, -1, k, self._num_heads, self.width // self._num_heads)
        return projected.view(shape).unbind(2)

    def _after_starts(self, of_starts: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """Keys or values of each row, with those of its start before them."""
        return torch.cat([of_starts[self._sequences.start_of], own], dim=1)


def _attend(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor | None = None,
    *,
    is_causal: bool = False,
) -> torch.Tensor:
    """Attention (rows * tokens, D) of tensors (rows, tokens, heads, head size)."""
    by_head = (tensor.transpose(1, 2) for tensor in (queries, keys, values))
    attended = F.scaled_dot_product_attention(*by_head, attn_mask=mask, is_causal=is_causal)
    return attended.transpose(1, 2).reshape(-1, queries.shape[2] * queries.shape[3])


def _linear(
    layer: GPT2Linear, states: torch.Tensor, start: int = 0, stop: int | None = None
) -> torch.Tensor:
    """Some of the outputs of a linear layer, whose weight is (in, out)."""
    return torch.addmm(layer.bias[start:stop], states, layer.weight[:, start:stop])


def _finish_block(block: GPT2Block, residual: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
    """Project the attention output, then the MLP, each added to the residual stream."""
    residual = residual + _linear(block.attn.c_proj, attended)
    inner = _linear(block.mlp.c_fc, block.ln_2(residual))
    # In place where that is possible: the product is not needed again.
    inner = inner.relu_() if isinstance(block.mlp.act, torch.nn.ReLU) else block.mlp.act(inner)
    return residual + _linear(block.mlp.c_proj, inner)
