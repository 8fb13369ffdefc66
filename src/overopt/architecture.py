"""
The parts of a transformers model that the project reads, whatever its architecture.

A causal language model is a backbone, whose last hidden states it returns, and an output layer. A
reward model of this project is a backbone and a linear score head, as transformers builds them.
"""

from typing import cast

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from overopt.errors import UserError
from overopt.training_config import TextConfig

Policy = PreTrainedModel
"""A causal language model."""
RewardModel = PreTrainedModel
"""A sequence classifier with one label, whose head is the linear layer `score`."""

FILLER_ID = 0
"""Fills arrays of token ids beyond the end of a sequence. Lengths tell where that is: no model's
result that is read depends on it, so any id of every vocabulary will do."""

_PROBE = (5, 3, 8, 1)
_LARGEST_ERROR = 1e-3


def backbone_of(model: PreTrainedModel) -> torch.nn.Module:
    """The model without its head; it returns `last_hidden_state` (B, S, D)."""
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


def context_limit(settings: PreTrainedConfig) -> int | None:
    """The longest sequence a model can read, in tokens; None where its settings name no limit."""
    limit = getattr(settings, "max_position_embeddings", None)
    return limit if isinstance(limit, int) else None


def has_plain_gpt2_attention(settings: PreTrainedConfig) -> bool:
    """Whether GPT-2 computes attention in its usual way, which is all that our own passes know."""
    return (
        settings.scale_attn_weights
        and not settings.scale_attn_by_inverse_layer_idx
        and not settings.add_cross_attention
    )


def require_room(model: PreTrainedModel, text: TextConfig) -> None:
    """Raise `UserError` where prompt and response together are longer than a model can read."""
    limit = context_limit(model.config)
    if limit is not None and text.context_length > limit:
        raise UserError(
            f"text.max_prompt_tokens and text.max_response_tokens sum to {text.context_length}, "
            f"but this {type(model).__name__} reads at most {limit} tokens; lower them"
        )


def switch_off_dropout(settings: PreTrainedConfig) -> None:
    """Set every share of dropout in a model's settings to zero, in place.

    PPO's ratio has to be 1 before the first step, and a killed training has to go on to the same
    bits.
    """
    for name, value in vars(settings).items():
        is_dropout = "dropout" in name or name.endswith("_pdrop")
        if is_dropout and isinstance(value, float):
            setattr(settings, name, 0.0)


@torch.no_grad()
def check_policy(policy: Policy, folder: object) -> None:
    """Refuse an architecture whose logits are not what `vocabulary_logits` computes.

    Raises
    ------
    UserError
        Also where the architecture has no output layer, or needs more than token ids.
    """
    probe = torch.tensor([_PROBE], device=policy.device) % vocabulary_size(policy)
    try:
        states = backbone_of(policy)(input_ids=probe, use_cache=False).last_hidden_state
        expected = policy(input_ids=probe, use_cache=False).logits.float()
        error = (vocabulary_logits(policy, states).float() - expected).abs().max().item()
    # Whatever an unusual architecture raises, it cannot serve.
    except Exception as cause:
        raise UserError(
            f"{folder}: a {type(policy).__name__} cannot be read from token ids alone "
            f"({type(cause).__name__}). Use a causal language model for text."
        ) from cause
    if not error <= _LARGEST_ERROR * max(1.0, expected.abs().max().item()):
        raise UserError(
            f"{folder}: a {type(policy).__name__} changes its logits after the output layer in a "
            f"way that is not known here (by up to {error:.2g}). Use another architecture."
        )


def _output_layer(policy: Policy) -> torch.nn.Linear:
    layer = policy.get_output_embeddings()
    if layer is None:
        raise UserError(f"a {type(policy).__name__} has no output layer over the vocabulary")
    return cast(torch.nn.Linear, layer)
