"""
Models as ordinary transformers checkpoints: built from random weights, or read from a folder.

A policy loads with ``AutoModelForCausalLM``, a reward model with
``AutoModelForSequenceClassification(num_labels=1)``. Weights are safetensors only.

Models from scratch have the layout of GPT-2 (`overopt.models.gpt2`). Differences from it: ReLU in
the MLP, no dropout anywhere (so that PPO's ratio is 1 before the first step), and an initialization
scaled by fan-in that suits widths from 4 to 100. Pretrained ones may have another architecture,
which transformers reads (`overopt.models.transformers_models`, imported only then).
"""

import math
from pathlib import Path
from typing import TypeVar

import torch

from overopt.config.training import TransformerConfig
from overopt.models.architecture import AnyModel, Policy, RewardModel, output_layer
from overopt.models.checkpoint_files import refuse_own_code, require_weights
from overopt.models.gpt2 import (
    GPT2Backbone,
    GPT2Model,
    GPT2Policy,
    GPT2RewardModel,
    GPT2Settings,
    read_gpt2,
    save_gpt2,
)

Module = TypeVar("Module", bound=torch.nn.Module)

PAD_ID, BOS_ID, EOS_ID = 0, 1, 2
"""Token ids of every tokenizer the project makes; distinct, see `tokens.load_tokenizer`."""


def build_policy(
    shape: TransformerConfig,
    vocabulary_size: int,
    context_length: int,
    generator: torch.Generator,
) -> GPT2Policy:
    """Causal language model with random weights, drawn from `generator`.

    `context_length` is the largest number of tokens, prompt and response together.
    """
    settings = GPT2Settings(
        vocab_size=vocabulary_size,
        n_positions=context_length,
        n_embd=shape.hidden_size,
        n_layer=shape.num_layers,
        n_head=shape.num_heads,
        activation_function="relu",
        layer_norm_epsilon=1e-5,
        pad_token_id=PAD_ID,
        bos_token_id=BOS_ID,
        eos_token_id=EOS_ID,
    )
    model = GPT2Policy(settings)
    _initialize(model.transformer, generator)
    return model


@torch.no_grad()
def _initialize(backbone: GPT2Backbone, generator: torch.Generator) -> None:
    """Draw every weight anew: linear layers N(0, 0.8 / sqrt(fan_in)), layers that write to the
    residual stream N(0, 1 / sqrt(2 num_layers fan_in)), embeddings small, biases zero.
    """
    width, num_layers = backbone.config.n_embd, backbone.config.n_layer
    for name, parameter in backbone.named_parameters():
        if name == "wte.weight":
            parameter.normal_(0, 0.5 / math.sqrt(width), generator=generator)
        elif name == "wpe.weight":
            parameter.normal_(0, 0.1 / math.sqrt(width), generator=generator)
        elif parameter.dim() == 2:  # of a linear layer: (fan_in, fan_out)
            scale = 1 / math.sqrt(2 * num_layers) if "c_proj" in name else 0.8
            parameter.normal_(0, scale / math.sqrt(parameter.shape[0]), generator=generator)
        elif name.endswith("bias"):
            parameter.zero_()
        else:  # LayerNorm scale
            parameter.fill_(1.0)


def build_reward_model(backbone: Policy) -> RewardModel:
    """Reward model on a copy of a language model, with a scalar score head that starts at zero.

    Raises
    ------
    UserError
        transformers has no sequence classifier with a linear score head for this architecture.
    """
    if not isinstance(backbone, GPT2Policy):
        from overopt.models.transformers_models import build_classifier

        return build_classifier(backbone)
    model = GPT2RewardModel(backbone.config)
    model.transformer.load_state_dict(backbone.transformer.state_dict())
    torch.nn.init.zeros_(model.score.weight)
    return model.to(backbone.dtype)


def on_device(model: Module, device: torch.device) -> Module:
    """The model, moved in place. transformers' own `to` carries no usable types."""
    torch.nn.Module.to(model, device)
    return model


def num_parameters(model: torch.nn.Module) -> int:
    """Number of parameters without the token and position embeddings, score head included.

    Embeddings are left out because at small widths the vocabulary would dominate the count. So is
    a language model's output layer, which is their mirror image.
    """
    left_out = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, torch.nn.Embedding)
        for parameter in module.parameters()
    }
    if (layer := output_layer(model)) is not None:
        left_out |= {id(parameter) for parameter in layer.parameters()}
    return sum(p.numel() for p in model.parameters() if id(p) not in left_out)


def save_model(model: AnyModel, folder: Path) -> None:
    """Write config.json and model.safetensors (and generation_config.json of a policy)."""
    if isinstance(model, GPT2Model):
        save_gpt2(model, folder)
        return
    from overopt.models.transformers_models import save_transformers_model

    save_transformers_model(model, folder)


def load_policy(folder: Path) -> Policy:
    """Read a policy, in fp32 and evaluation mode; `UserError` where the folder holds none."""
    require_weights(folder)
    refuse_own_code(folder)
    if (policy := read_gpt2(GPT2Policy, folder)) is not None:
        return policy
    from overopt.models.transformers_models import load_library_policy

    return load_library_policy(folder)


def load_reward_model(folder: Path) -> RewardModel:
    """Read a reward model, in fp32 and evaluation mode; `UserError` where the folder holds none."""
    require_weights(folder)
    refuse_own_code(folder)
    if (model := read_gpt2(GPT2RewardModel, folder)) is not None:
        return model
    from overopt.models.transformers_models import load_classifier

    return load_classifier(folder)
