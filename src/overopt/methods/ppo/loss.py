"""PPO's loss on one minibatch, as a module that accelerate wraps."""

from typing import NamedTuple

import torch

from overopt.methods.ppo.policy import Episodes, PolicyWithValueHead
from overopt.methods.ppo.rewards import policy_loss, value_loss


class Losses(NamedTuple):
    """Means over the response tokens of some episodes; only `total` has a gradient."""

    total: torch.Tensor
    policy: torch.Tensor
    value: torch.Tensor
    clipped_share: torch.Tensor


class PPOLoss(torch.nn.Module):
    """The clipped objective of a policy and the squared error of its value head."""

    def __init__(self, module: PolicyWithValueHead, *, cliprange: float, vf_coef: float) -> None:
        super().__init__()
        self.module = module
        self._cliprange = cliprange
        self._vf_coef = vf_coef

    def forward(
        self,
        episodes: Episodes,
        old_logprobs: torch.Tensor,
        advantages: torch.Tensor,
        returns: torch.Tensor,
        *,
        is_warmup: bool,
    ) -> tuple[Losses, torch.Tensor]:
        """Losses, and the log-probabilities (B, T) of the response tokens, without gradient.

        During the warm-up nothing but the value head gets a gradient: no stale moments of Adam's
        and no share of the gradient's norm carry over to the policy's first step.
        """
        logprobs, values = self.module(episodes, is_trunk_frozen=is_warmup)
        surrogate, clipped_share = policy_loss(
            logprobs, old_logprobs, advantages, episodes.mask, self._cliprange
        )
        error = value_loss(values, returns, episodes.mask)
        total = self._vf_coef * error + (0.0 if is_warmup else surrogate)
        losses = Losses(total, surrogate.detach(), error.detach(), clipped_share)
        return losses, logprobs.detach()
