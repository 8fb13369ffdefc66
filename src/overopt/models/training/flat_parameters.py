"""
The parameters of a small model as one vector, so that an optimizer has one tensor to step.

A tiny model's gradient norm, clipping and optimizer step cost some microseconds for each of its
tens of tensors, which is more than the arithmetic. The optimizer's arithmetic is elementwise, and
the norm of the whole is that of the parts but for rounding.
"""

from collections.abc import Sequence

import torch

LARGEST = 2**22
"""Parameters up to which this is done: the vector is copied together at every step."""


class FlatParameters:
    """Parameters whose values become views of one vector, `vector`, until `release`.

    Each keeps its own gradient, as the backward pass leaves it.
    """

    def __init__(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self.vector = torch.nn.Parameter(torch.cat([p.detach().flatten() for p in parameters]))
        self.vector.grad = torch.empty_like(self.vector)
        parts = self.vector.detach().split([parameter.numel() for parameter in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.data = part.view(parameter.shape)

    @staticmethod
    def suits(parameters: Sequence[torch.nn.Parameter], device: torch.device) -> bool:
        """Whether they are few enough, of one type, and trained on a CPU."""
        return (
            device.type == "cpu"
            and sum(parameter.numel() for parameter in parameters) <= LARGEST
            and len({parameter.dtype for parameter in parameters}) == 1
        )

    def gather_gradients(self) -> None:
        """Copy the gradients to that of the vector; one that is missing counts as zero."""
        gradients = [
            torch.zeros(p.numel(), dtype=p.dtype) if p.grad is None else p.grad.flatten()
            for p in self._parameters
        ]
        assert self.vector.grad is not None
        torch.cat(gradients, out=self.vector.grad)

    def release(self) -> None:
        """Give every parameter memory of its own again: checkpoints refuse shared memory."""
        for parameter in self._parameters:
            parameter.data = parameter.data.clone()
