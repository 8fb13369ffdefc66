"""
The update that RL algorithms share: epochs over one rollout, a minibatch at a time.

Every process takes its share of each minibatch, in as many micro-batches as its launcher says.
"""

import contextlib
import math

import numpy as np
import torch

from overopt.config.compute import Execution
from overopt.config.rl import RLConfig
from overopt.config.training import Precision
from overopt.errors import UserError
from overopt.jobs.processes import Processes
from overopt.methods.episodes import mini_batches
from overopt.methods.rl.algorithm import Algorithm, Averaged, Batch, Loss, Rollout
from overopt.models.loading import on_device
from overopt.models.training.accelerator import accelerator_of, prepared, recompute_activations
from overopt.models.training.adamw import AdamW, ParameterGroup
from overopt.models.training.loop import DivergedError, check_shares, shares_of

ADAM_BETAS = (0.9, 0.95)
ADAM_EPSILON = 1e-5
MAX_RATIO_ERROR: dict[Precision, float] = {"fp32": 1e-4, "bf16": 0.2}
"""Before the first step of a rollout, where other shapes of batches round differently."""


class Updater:
    """An algorithm with its optimizer, its device and its processes.

    Attributes
    ----------
    algorithm : on its device.
    optimizer : that of the algorithm's parameters, for its state.
    device : where they are.
    """

    def __init__(self, algorithm: Algorithm, config: RLConfig, precision: Precision) -> None:
        self.precision: Precision = precision
        self.processes = Processes.of_this_job()
        self._config = config
        self._execution = Execution.from_environment()
        self._accelerator = accelerator_of(precision, has_unused_parameters=True)
        self.device = self._accelerator.device
        self.algorithm = on_device(algorithm, self.device)
        rows_a_step = config.batch_size // algorithm.schedule(0).num_mini_batches
        check_shares(rows_a_step, self.processes, self._execution)
        groups = algorithm.parameter_groups()
        self._trained = [parameter for group in groups for parameter in group]
        self.optimizer = AdamW(
            [ParameterGroup(group, 0.0) for group in groups],
            betas=ADAM_BETAS,
            epsilon=ADAM_EPSILON,
        )
        if self._execution.recompute_activations:
            recompute_activations(algorithm.policy)
        self._prepared = prepared(self._accelerator, algorithm.eval())

    def update(
        self,
        rollout: Rollout,
        targets: dict[str, torch.Tensor],
        step: int,
        generator: torch.Generator,
    ) -> dict[str, float]:
        """Learn from one rollout, in minibatches drawn by `generator`; means of the metrics.

        Raises
        ------
        DivergedError
            The loss or the norm of its gradient is not finite.
        UserError
            A target is not one row for each response.
        """
        schedule = self.algorithm.schedule(step)
        for group, rate in zip(self.optimizer.groups, schedule.learning_rates, strict=True):
            group.learning_rate = rate
        _check_targets(self.algorithm, targets, len(rollout.scores))
        batch = Batch(rollout.episodes, rollout.logprobs, targets, step)
        weights = _weights(batch, self.algorithm.averaged_over)
        metrics: list[dict[str, torch.Tensor]] = []
        # transformers computes activations again in training mode only; nothing else differs.
        self._prepared.train(self._execution.recompute_activations)
        for _ in range(schedule.num_epochs):
            for rows in mini_batches(len(weights), schedule.num_mini_batches, generator):
                metrics.append(self._step(batch, rows, weights, is_first=not metrics))
        self._prepared.eval()
        # Read once a rollout: on a GPU each reading waits for all that was asked before.
        names = list(metrics[0])
        read = torch.stack([torch.stack([of[name] for name in names]) for of in metrics]).tolist()
        return {
            name: sum(values) / len(metrics)
            for name, values in zip(names, zip(*read, strict=True), strict=True)
        }

    def _step(
        self, batch: Batch, rows: torch.Tensor, weights: np.ndarray, is_first: bool
    ) -> dict[str, torch.Tensor]:
        """One optimizer step on one minibatch; its metrics."""
        self.algorithm.zero_grad(set_to_none=True)
        total, metrics = self._with_gradient(batch, rows.numpy(), weights, is_first)
        norm = torch.nn.utils.clip_grad_norm_(self._trained, self._config.max_grad_norm)
        loss, size = torch.stack([total, norm.to(total)]).tolist()
        for name, value in (("loss", loss), ("gradient's norm", size)):
            if not math.isfinite(value):
                raise DivergedError(
                    f"the {name} of {type(self.algorithm).__name__} is {value}; "
                    f"{self.algorithm.remedy}"
                )
        self.optimizer.step()
        return metrics

    def _with_gradient(
        self, batch: Batch, rows: np.ndarray, weights: np.ndarray, is_first: bool
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Loss and metrics of a minibatch, from the shares of all processes and micro-batches."""
        micro_batches = [
            (torch.as_tensor(share)[chosen], episodes)
            for share in shares_of(rows, self.processes, self._execution)
            for chosen, episodes in batch.episodes.select(torch.as_tensor(share)).micro_batches(
                self.algorithm.policy
            )
        ]
        parts: list[torch.Tensor] = []
        names: list[str] = []
        for index, (own, episodes) in enumerate(micro_batches):
            on_its_device = own.to(batch.logprobs.device)
            part = Batch(
                episodes,
                batch.logprobs[on_its_device],
                {name: target[on_its_device] for name, target in batch.targets.items()},
                batch.step,
            )
            weight = float(weights[own].sum() / weights[rows].sum())
            is_last = index == len(micro_batches) - 1
            with contextlib.nullcontext() if is_last else self._accelerator.no_sync(self._prepared):
                loss: Loss = self._prepared(part)
                if is_first:
                    self._check_ratio(loss.logprobs, part)
                (loss.total * weight * self.processes.number).backward()
            names = list(loss.metrics)
            values = [loss.total.detach(), *loss.metrics.values()]
            parts.append(torch.stack(values) * weight)
        total, *metrics = self.processes.total(torch.stack(parts).sum(0))
        return total, dict(zip(names, metrics, strict=True))

    def _check_ratio(self, logprobs: torch.Tensor, batch: Batch) -> None:
        """Before the first step of a rollout the policy is the one that made it: the ratio is 1."""
        mask, tolerance = batch.episodes.mask, MAX_RATIO_ERROR[self.precision]
        worst = torch.where(mask, (logprobs - batch.logprobs).exp() - 1, 0.0).abs().max().item()
        if worst > tolerance:
            raise AssertionError(
                f"the probability ratio differs from 1 by {worst:.2e} before the first step of a "
                "rollout: the rollout and the update do not see the same policy"
            )


def _weights(batch: Batch, averaged_over: Averaged) -> np.ndarray:
    """What each response counts in the mean of a minibatch, (B,)."""
    num_tokens = batch.episodes.lengths.cpu().numpy()
    return num_tokens if averaged_over == "tokens" else np.ones(len(num_tokens))


def _check_targets(algorithm: Algorithm, targets: dict[str, torch.Tensor], num_rows: int) -> None:
    """Stop where an algorithm's targets are not one row for each response of the rollout."""
    for name, target in targets.items():
        if target.dim() == 0 or len(target) != num_rows:
            shape = tuple(target.shape)
            raise UserError(
                f"{type(algorithm).__module__}.{type(algorithm).__name__}.finish: {name} has shape "
                f"{shape}; expected one row for each of the {num_rows} responses of the rollout"
            )
