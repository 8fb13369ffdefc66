"""
Last hidden states of a transformer, only where they are read.

A reward model's score reads one position of a sequence, a policy's log-probabilities those of the
response. For models of GPT-2's layout (`overopt.models.gpt2`, all models from scratch) two things
are therefore left out of the forward pass: the last block where nothing is read, but for its keys
and values, and what shared prefixes would compute twice (the two responses of a comparison, the
responses of a pool to one prompt; `overopt.models.distinct_prefixes`). Causal attention never looks
to the right, so the states are the same but for rounding. Any other architecture goes through its
own forward pass.

Shapes: B = sequences, S = columns, D = state size.
"""

from typing import cast

import torch
from torch.utils.checkpoint import checkpoint

from overopt.models.architecture import AnyModel, backbone_of
from overopt.models.distinct_prefixes import DistinctPrefixes
from overopt.models.gpt2 import GPT2Backbone, GPT2Block, GPT2Linear


def states_at_ends(model: AnyModel, input_ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """States (B, D) at the last real token of each of `input_ids` (B, S), padded on the right.

    `lengths` (B,) counts the real tokens of each sequence.
    """
    backbone = backbone_of(model)
    if isinstance(backbone, GPT2Backbone):
        prefixes = DistinctPrefixes(backbone, input_ids, lengths - 1)
        rows = torch.arange(len(input_ids), device=input_ids.device)
        read = prefixes.rows_at(rows * input_ids.shape[1] + lengths - 1)
        return _gpt2_states(backbone, prefixes, read, is_at_ends=True)
    hidden = backbone(input_ids=input_ids, use_cache=False).last_hidden_state
    return hidden[torch.arange(len(hidden), device=hidden.device), lengths - 1]


def states_at(model: AnyModel, input_ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """States (N, D) at N positions of the flattened `input_ids` (B, S), padded on the right."""
    backbone = backbone_of(model)
    if isinstance(backbone, GPT2Backbone):
        num_columns = input_ids.shape[1]
        last = torch.zeros(len(input_ids), dtype=torch.int64, device=input_ids.device)
        last.scatter_reduce_(0, positions // num_columns, positions % num_columns, "amax")
        prefixes = DistinctPrefixes(backbone, input_ids, last)
        return _gpt2_states(backbone, prefixes, prefixes.rows_at(positions), is_at_ends=False)
    hidden = backbone(input_ids=input_ids, use_cache=False).last_hidden_state
    return hidden.flatten(0, 1).index_select(0, positions)


def _gpt2_states(
    backbone: GPT2Backbone, prefixes: DistinctPrefixes, read: torch.Tensor, *, is_at_ends: bool
) -> torch.Tensor:
    """States at the rows `read` of the matrix of prefixes; at ends, one for each sequence.

    What is computed token by token is computed on one matrix; only attention tells sequences apart.
    """
    hidden = prefixes.embeddings()
    blocks = cast(list[GPT2Block], list(backbone.h))

    def through(block: GPT2Block, hidden: torch.Tensor) -> torch.Tensor:
        attended = prefixes.attend(_linear(block.attn.c_attn, block.ln_1(hidden)))
        return _finish_block(block, hidden, attended)

    recomputes = backbone.gradient_checkpointing and backbone.training
    for block in blocks[:-1]:
        if recomputes:  # its activations, in the backward pass; the last block has few
            hidden = cast(torch.Tensor, checkpoint(through, block, hidden, use_reentrant=False))
        else:
            hidden = through(block, hidden)
    block = blocks[-1]
    normalized = block.ln_1(hidden)
    if is_at_ends:
        width = prefixes.width
        queries = _linear(block.attn.c_attn, normalized.index_select(0, read), stop=width)
        keys_and_values = _linear(block.attn.c_attn, normalized, start=width)
        attended = prefixes.attend_from(queries, keys_and_values)
    else:
        attended = prefixes.attend(_linear(block.attn.c_attn, normalized)).index_select(0, read)
    hidden = _finish_block(block, hidden.index_select(0, read), attended)
    return backbone.ln_f(hidden)


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
