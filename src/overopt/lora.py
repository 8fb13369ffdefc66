"""
Low-rank adapters (LoRA, Hu et al. 2021): trained in place of a body that is too large to train.

They stand on every linear layer of the body; a score head or value head is trained in full. At the
end they are merged into the weights, so that a checkpoint is an ordinary model.
"""

import math
from typing import Any, cast

import torch
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from overopt.architecture import backbone_of

ALPHA_PER_RANK = 2
"""The update is scaled by alpha / rank; a constant lets a learning rate serve several ranks."""


def add_adapters(model: PreTrainedModel, rank: int | None, generator: torch.Generator) -> None:
    """Freeze the model and put adapters of this rank on its body; without a rank, do nothing.

    The first factor of each is drawn from `generator`, the second is zero: the model starts as it
    is. A linear head `score` stays trainable.
    """
    if rank is None:
        return
    # Imported here because it takes seconds that the other jobs need not pay.
    from peft import LoraConfig, inject_adapter_in_model

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


def merge_adapters(model: PreTrainedModel) -> None:
    """Add the adapters to the weights they stand on, and take them off; no adapters, no change."""
    for name, module in list(model.named_modules()):
        if hasattr(module, "base_layer"):
            layer = cast(Any, module)
            layer.merge()
            parent, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(parent), attribute, layer.base_layer)
    for parameter in model.parameters():
        parameter.requires_grad = True
