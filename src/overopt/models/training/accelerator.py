"""The accelerator of a training job: its device, its precision, its processes."""

from typing import Any, cast

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs

from overopt.config.training import Precision
from overopt.models.gpt2 import GPT2Backbone

MIXED_PRECISION: dict[Precision, str] = {"fp32": "no", "bf16": "bf16"}


def accelerator_of(precision: Precision, *, has_unused_parameters: bool = False) -> Accelerator:
    """A handle on the device, which follows the launcher, and on the processes.

    `has_unused_parameters` says that not every parameter gets a gradient in every step.
    """
    distributed = DistributedDataParallelKwargs(find_unused_parameters=has_unused_parameters)
    return Accelerator(mixed_precision=MIXED_PRECISION[precision], kwargs_handlers=[distributed])


def prepared(accelerator: Accelerator, module: torch.nn.Module) -> torch.nn.Module:
    """The module on its device, wrapped for several processes or another precision."""
    if accelerator.num_processes == 1 and accelerator.mixed_precision == "no":
        # Nothing to wrap; accelerate would import half a second's worth to find that out.
        return module.to(accelerator.device)
    return accelerator.prepare(module)


def body_precision(precision: Precision, device: torch.device) -> torch.autocast:
    """A context in which matrix products are computed in this precision."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def recompute_activations(module: torch.nn.Module) -> None:
    """Have the transformers in a module keep no activations in training but compute them again."""
    for part in module.modules():
        if isinstance(part, GPT2Backbone):
            part.gradient_checkpointing = True
            return
        if getattr(part, "supports_gradient_checkpointing", False):  # a model of transformers
            cast(Any, part).activation_checkpointing_enable({"use_reentrant": False})
            return
