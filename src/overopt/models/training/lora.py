"""
Low-rank adapters (LoRA, Hu et al. 2021): trained in place of a body that is too large to train.

They stand on every linear layer of the body; a score head or value head is trained in full. At the
end they are merged into the weights, so that a checkpoint is an ordinary model.
"""

import math
from typing import Any, TypeVar, cast

import torch

from overopt.models.architecture import AnyModel, Policy, RewardModel, backbone_of
from overopt.models.gpt2 import GPT2Model

Model = TypeVar("Model", Policy, RewardModel)

ALPHA_PER_RANK = 2
"""The update is scaled by alpha / rank; a constant lets a learning rate serve several ranks."""


def add_adapters(model: Model, rank: int | None, generator: torch.Generator) -> Model:
    """The model, frozen, with adapters of this rank on its body; without a rank, as it is.

    A model of `overopt.models.gpt2` becomes the same one of transformers, whose layers peft knows.
    The first factor of each is drawn from `generator`, the second is zero: the model starts as it
    is. A linear head `score` stays trainable.
    """
    if rank is None:
        return model
    # Imported here because they take seconds that the other jobs need not pay.
    from peft import LoraConfig, inject_adapter_in_model
    from transformers.pytorch_utils import Conv1D

    if isinstance(model, GPT2Model):
        from overopt.models.transformers_models import as_transformers_model

        model = cast(Model, as_transformers_model(model))
    body = backbone_of(model)
    for parameter in model.parameters():
        parameter.requires_grad = False
    config = LoraConfig(
        r=rank,
        lora_alpha=ALPHA_PER_RANK * rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in body.modules()),
    )
    with torch.random.fork_rng(devices=[]):  # peft draws from the global stream
        inject_adapter_in_model(config, body)
    for name, parameter in body.named_parameters():
        if "lora_A" in name:
            bound = 1 / math.sqrt(parameter.shape[1])
            drawn = torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
            parameter.data.copy_(drawn)
    for parameter in getattr(model, "score", torch.nn.Module()).parameters():
        parameter.requires_grad = True
    return model


def merge_adapters(model: AnyModel) -> None:
    """Add the adapters to the weights they stand on, and take them off; no adapters, no change."""
    for name, module in list(model.named_modules()):
        if hasattr(module, "base_layer"):
            layer = cast(Any, module)
            layer.merge()
            parent, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(parent), attribute, layer.base_layer)
    for parameter in model.parameters():
        parameter.requires_grad = True
