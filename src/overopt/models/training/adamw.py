"""
AdamW by torch's fused kernel, as `torch.optim.AdamW(fused=True)` applies it, to the bit.

The class is our own because that of torch imports torch's compiler at its first use: 0.8 CPU
seconds, which is a tenth of a small training job.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.optim.adamw import adamw

Moments = dict[str, torch.Tensor]


@dataclass
class ParameterGroup:
    """Parameters that share a learning rate, which may change between steps."""

    parameters: Sequence[torch.nn.Parameter]
    learning_rate: float


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019); without decay it is Adam.

    A parameter without a gradient is left alone, and has no moments before its first one.

    Attributes
    ----------
    groups : with the learning rates of the next step.
    state : by the number of a parameter, counted through all groups: `step` (), `exp_avg` and
        `exp_avg_sq` in its shape.
    """

    def __init__(
        self,
        groups: Sequence[ParameterGroup],
        *,
        betas: tuple[float, float],
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        self.groups = list(groups)
        self.state: dict[int, Moments] = {}
        self._betas, self._epsilon, self._weight_decay = betas, epsilon, weight_decay

    @torch.no_grad()
    def step(self) -> None:
        """Change the parameters by one step along their gradients."""
        first = 0
        for group in self.groups:
            numbered = enumerate(group.parameters, first)
            first += len(group.parameters)
            stepped = [(number, p, p.grad) for number, p in numbered if p.grad is not None]
            if not stepped:
                continue
            moments = [self._moments(number, parameter) for number, parameter, _ in stepped]
            adamw(
                [parameter for _, parameter, _ in stepped],
                [gradient for _, _, gradient in stepped],
                [of["exp_avg"] for of in moments],
                [of["exp_avg_sq"] for of in moments],
                [],
                [of["step"] for of in moments],
                fused=True,
                amsgrad=False,
                beta1=self._betas[0],
                beta2=self._betas[1],
                lr=group.learning_rate,
                weight_decay=self._weight_decay,
                eps=self._epsilon,
                maximize=False,
            )

    def restore(self, state: Mapping[int, Mapping[str, torch.Tensor]]) -> None:
        """Go on from a saved `state`, on the devices of the parameters."""
        parameters = [parameter for group in self.groups for parameter in group.parameters]
        self.state = {
            number: {name: tensor.to(parameters[number].device) for name, tensor in of.items()}
            for number, of in state.items()
        }

    def _moments(self, number: int, parameter: torch.nn.Parameter) -> Moments:
        if number not in self.state:
            self.state[number] = {
                "step": torch.zeros((), device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
        return self.state[number]
