"""
The parts of a model that the project reads, whatever its architecture.

A causal language model is a backbone and an output layer. A reward model of this project is a
backbone and a linear score head. Both are of `overopt.models.gpt2`, or of transformers: then the
backbone returns its last hidden states.
"""

from typing import TYPE_CHECKING, TypeAlias, cast

import torch
import torch.nn.functional as F

from overopt.config.training import TextConfig
from overopt.errors import UserError
from overopt.models.gpt2 import GPT2Model, GPT2Policy, GPT2RewardModel, GPT2Settings

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

AnyModel: TypeAlias = "GPT2Model | PreTrainedModel"
"""A policy or a reward model."""
Policy: TypeAlias = "GPT2Policy | PreTrainedModel"
"""A causal language model."""
RewardModel: TypeAlias = "GPT2RewardModel | PreTrainedModel"
"""A sequence classifier with one label, whose head is the linear layer `score`."""
ModelSettings: TypeAlias = "GPT2Settings | PreTrainedConfig"

FILLER_ID = 0
"""Fills arrays of token ids beyond the end of a sequence. Lengths tell where that is: no model's
result that is read depends on it, so any id of every vocabulary will do."""


def backbone_of(model: AnyModel) -> torch.nn.Module:
    """The model without its head; one of transformers returns `last_hidden_state` (B, S, D)."""
    return model.base_model


def state_size(policy: Policy) -> int:
    """D, the size of the states that the output layer reads."""
    return int(_output_layer(policy).weight.shape[1])


def vocabulary_size(policy: Policy) -> int:
    """V, the number of logits; it may be larger than the number of the tokenizer's tokens."""
    return int(_output_layer(policy).weight.shape[0])


def vocabulary_logits(policy: Policy, states: torch.Tensor) -> torch.Tensor:
    """Logits (..., V) of the next token from last hidden states (..., D).

    Some families scale or cap what comes out of the output layer, by a number in their settings.
    """
    if isinstance(policy, GPT2Policy):
        return F.linear(states, policy.transformer.wte.weight)
    logits = _output_layer(policy)(states)
    settings = policy.config
    if scale := getattr(settings, "logit_scale", None):  # Cohere
        logits = logits * scale
    if divisor := getattr(settings, "logits_scaling", None):  # Granite
        logits = logits / divisor
    if cap := getattr(settings, "final_logit_softcapping", None):  # Gemma
        logits = torch.tanh(logits / cap) * cap
    return logits


def score_head(reward_model: RewardModel) -> torch.nn.Linear:
    """The linear score head of a reward model."""
    return cast(torch.nn.Linear, reward_model.score)


def eos_id(policy: Policy) -> int:
    """Id of the token that ends a response."""
    return int(cast(int, policy.config.eos_token_id))


def context_limit(settings: ModelSettings) -> int | None:
    """The longest sequence a model can read, in tokens; None where its settings name no limit."""
    limit = getattr(settings, "max_position_embeddings", None)
    # XLNet, which has none, says -1.
    return limit if isinstance(limit, int) and limit > 0 else None


def require_room(model: AnyModel, text: TextConfig) -> None:
    """Raise `UserError` where prompt and response together are longer than a model can read."""
    limit = context_limit(model.config)
    if limit is not None and text.context_length > limit:
        raise UserError(
            f"text.max_prompt_tokens and text.max_response_tokens sum to {text.context_length}, "
            f"but this {type(model).__name__} reads at most {limit} tokens; lower them"
        )


def output_layer(model: torch.nn.Module) -> torch.nn.Module | None:
    """The layer over the vocabulary; None of a model that has none, such as a reward model."""
    get = getattr(model, "get_output_embeddings", None)
    return None if get is None else get()


def _output_layer(policy: Policy) -> torch.nn.Linear:
    layer = output_layer(policy)
    if layer is None:
        raise UserError(f"a {type(policy).__name__} has no output layer over the vocabulary")
    return cast(torch.nn.Linear, layer)
