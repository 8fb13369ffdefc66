"""
PPO's update: passes over one rollout, by the clipped loss.

The value head is warmed up alone. Every process takes its share of each
minibatch, in as many passes as its launcher says.
"""

import contextlib
import math
from dataclasses import dataclass

import numpy as np
import torch

from overopt.config.compute import Execution
from overopt.config.ppo import PPOConfig
from overopt.config.training import Precision
from overopt.jobs.processes import Processes
from overopt.methods.ppo.loss import Losses, PPOLoss
from overopt.methods.ppo.policy import Episodes, PolicyWithValueHead, mini_batches
from overopt.models.architecture import Policy
from overopt.models.loading import on_device
from overopt.models.training.accelerator import accelerator_of, prepared, recompute_activations
from overopt.models.training.adamw import AdamW, ParameterGroup
from overopt.models.training.loop import DivergedError, check_shares, shares_of

ADAM_BETAS = (0.9, 0.95)
ADAM_EPSILON = 1e-5
MAX_RATIO_ERROR: dict[Precision, float] = {"fp32": 1e-4, "bf16": 0.2}
"""Before the first step of a rollout, where other shapes of batches round differently."""


@dataclass(frozen=True)
class Rollout:
    """One batch of episodes with all that an update needs, each (B, T) but the scores (B,).

    Attributes
    ----------
    num_tokens : (B,), response tokens, on the CPU.
    """

    episodes: Episodes
    num_tokens: np.ndarray
    scores: torch.Tensor
    kl: torch.Tensor
    logprobs: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor


class Updater:
    """The policy being optimized, with its value head, its optimizer and its processes.

    Attributes
    ----------
    module : policy and value head.
    optimizer : that of `module`, for its state.
    device : where they are.
    """

    def __init__(
        self, policy: Policy, config: PPOConfig, learning_rate: float, precision: Precision
    ) -> None:
        self.precision: Precision = precision
        self.processes = Processes.of_this_job()
        self._config, self._learning_rate = config, learning_rate
        self._execution = Execution.from_environment()
        check_shares(config.batch_size // config.num_mini_batches, self.processes, self._execution)
        self._accelerator = accelerator_of(precision, has_unused_parameters=True)
        self.device = self._accelerator.device
        self.module = PolicyWithValueHead(on_device(policy, self.device))
        of_policy = [p for p in policy.parameters() if p.requires_grad]
        of_head = list(self.module.value_head.parameters())
        self._trained = [*of_policy, *of_head]
        self.optimizer = AdamW(
            [ParameterGroup(of_policy, learning_rate), ParameterGroup(of_head, learning_rate)],
            betas=ADAM_BETAS,
            epsilon=ADAM_EPSILON,
        )
        if self._execution.recompute_activations:
            recompute_activations(policy)
        loss = PPOLoss(self.module, cliprange=config.cliprange, vf_coef=config.vf_coef)
        self._prepared = prepared(self._accelerator, loss.eval())

    def set_learning_rates(self, step: int) -> None:
        """Zero for the policy while the value head warms up, then a linear rise."""
        config = self._config
        steps_after = step - config.num_value_warmup_iterations
        ramp = min(1.0, max(0, steps_after + 1) / config.num_ramp_iterations)
        policy_group, value_group = self.optimizer.groups
        policy_group.learning_rate = self._learning_rate * ramp
        value_group.learning_rate = self._learning_rate * config.value_learning_rate_factor

    def update(
        self, rollout: Rollout, generator: torch.Generator, *, is_warmup: bool
    ) -> dict[str, float]:
        """All passes over one rollout, in batches drawn by `generator`; means of the losses."""
        config = self._config
        num_passes = config.num_value_warmup_epochs if is_warmup else config.num_ppo_epochs
        losses: list[Losses] = []
        # transformers computes activations again in training mode only; nothing else differs.
        self._prepared.train(self._execution.recompute_activations)
        for _ in range(num_passes):
            for rows in mini_batches(len(rollout.scores), config.num_mini_batches, generator):
                losses.append(self._step(rollout, rows, is_warmup, is_first=not losses))
        self._prepared.eval()
        # Read once a rollout: on a GPU each reading waits for all that was asked before.
        names = ("policy_loss", "value_loss", "clipped_share")
        read = torch.stack([torch.stack(step[1:]) for step in losses]).tolist()
        return {
            name: sum(values) / len(losses)
            for name, values in zip(names, zip(*read, strict=True), strict=True)
        }

    def _step(
        self, rollout: Rollout, rows: torch.Tensor, is_warmup: bool, is_first: bool
    ) -> Losses:
        """One optimizer step on one minibatch."""
        self.module.zero_grad(set_to_none=True)
        losses = self._losses_with_gradient(rollout, rows.numpy(), is_warmup, is_first)
        norm = torch.nn.utils.clip_grad_norm_(self._trained, self._config.max_grad_norm)
        total, norm = torch.stack([losses.total, norm.to(losses.total)]).tolist()
        if not math.isfinite(total):
            raise DivergedError(
                f"PPO's loss is {total}; lower the policy's ppo_learning_rate "
                f"({self._learning_rate})"
            )
        if not math.isfinite(norm):
            raise DivergedError(
                f"the gradient's norm is {norm}; lower the policy's ppo_learning_rate "
                f"({self._learning_rate})"
            )
        self.optimizer.step()
        return losses

    def _losses_with_gradient(
        self, rollout: Rollout, rows: np.ndarray, is_warmup: bool, is_first: bool
    ) -> Losses:
        """Losses of a minibatch, from the shares of all processes and passes."""
        passes = [
            (torch.as_tensor(share)[piece], episodes)
            for share in shares_of(rows, self.processes, self._execution)
            for piece, episodes in rollout.episodes.select(torch.as_tensor(share)).pieces(
                self.module.policy
            )
        ]
        losses: list[torch.Tensor] = []
        for index, (own, episodes) in enumerate(passes):
            on_its_device = own.to(rollout.logprobs.device)
            weight = float(rollout.num_tokens[own].sum() / rollout.num_tokens[rows].sum())
            is_last = index == len(passes) - 1
            with contextlib.nullcontext() if is_last else self._accelerator.no_sync(self._prepared):
                of_share, logprobs = self._prepared(
                    episodes,
                    rollout.logprobs[on_its_device],
                    rollout.advantages[on_its_device],
                    rollout.returns[on_its_device],
                    is_warmup=is_warmup,
                )
                if is_first:
                    _check_ratio(
                        logprobs,
                        rollout.logprobs[on_its_device],
                        episodes.mask,
                        MAX_RATIO_ERROR[self.precision],
                    )
                (of_share.total * weight * self.processes.number).backward()
            losses.append(torch.stack([loss.detach() for loss in of_share]) * weight)
        return Losses(*self.processes.total(torch.stack(losses).sum(0)))


def _check_ratio(
    logprobs: torch.Tensor, old: torch.Tensor, mask: torch.Tensor, tolerance: float
) -> None:
    """Before the first step of a rollout the policy is the one that made it: the ratio is 1."""
    worst = torch.where(mask, (logprobs - old).exp() - 1, 0.0).abs().max().item()
    if worst > tolerance:
        raise AssertionError(
            f"the probability ratio differs from 1 by {worst:.2e} before the first step of a "
            "rollout: the rollout and the update do not see the same policy"
        )
