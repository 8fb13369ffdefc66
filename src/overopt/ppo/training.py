"""
PPO against a proxy reward model (Gao et al. 2022, section 2 and Appendix C).

The loop: roll out, score by the proxy, put the score on the last action, estimate advantages
(GAE), whiten, update with the clipped loss; every so many iterations evaluate on held-out prompts.

Differences from the paper:
- the value head is warmed up alone before the policy moves, so that its first steps do not follow
  advantages against a baseline that knows nothing;
- the reward is recentred and scaled once, on samples of the initial policy, which sets the unit
  of the KL penalty; it is never clipped or whitened;
- the run stops at a KL, not at a number of steps, where that comes first.
"""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypedDict, cast

import numpy as np
import torch

from overopt.accelerator import accelerator_of, body_precision, recompute_activations
from overopt.architecture import Policy
from overopt.compute_config import Execution
from overopt.models import on_device
from overopt.optimization import DivergedError, check_shares, shares_of
from overopt.policy.sampling import Responses, sample_responses
from overopt.ppo.config import PPOConfig
from overopt.ppo.evaluation import Evaluator
from overopt.ppo.loss import Losses, PPOLoss
from overopt.ppo.policy import Episodes, PolicyWithValueHead, mini_batches, response_logprobs
from overopt.ppo.rewards import generalized_advantages, masked_whiten, token_rewards
from overopt.ppo.sequence_kl import sampled_kl
from overopt.processes import Processes
from overopt.reward_model.scorer import Scorer
from overopt.training_config import Numerics, Precision
from overopt.training_state import TrainingState

ADAM_BETAS = (0.9, 0.95)
ADAM_EPSILON = 1e-5
MAX_RATIO_ERROR: dict[Precision, float] = {"fp32": 1e-4, "bf16": 0.2}
"""Before the first step of a rollout, where other shapes of batches round differently."""


class Evaluation(TypedDict):
    """One point of the curve: the iteration, and each measurement, one value per prompt."""

    step: int
    measured: dict[str, list[float]]


class Iteration(TypedDict):
    """One iteration's number and metrics."""

    step: int
    metrics: dict[str, float]


class Progress(TypedDict):
    """What a run has done so far: the next iteration, and all it has measured."""

    step: int
    evaluations: list[Evaluation]
    iterations: list[Iteration]


class Run(NamedTuple):
    """What a run measured: evaluations (step 0 first), metrics of each iteration, why it ended.

    `ended` is "last iteration", "KL limit", or "diverged in iteration ...".
    """

    evaluations: list[Evaluation]
    iterations: list[Iteration]
    ended: str


@dataclass(frozen=True)
class RewardScale:
    """Zero and unit of the reward: mean and sd of the proxy score on the initial policy."""

    mean: float
    sd: float


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


class PPOTrainer:
    """One PPO run: the policy being optimized, its optimizer and its random streams."""

    def __init__(
        self,
        policy: Policy,
        ref_policy: Policy,
        proxy_rm: Scorer,
        prompts: Sequence[Sequence[int]],
        config: PPOConfig,
        *,
        learning_rate: float,
        kl_coef: float,
        max_response_tokens: int,
        generators: dict[str, torch.Generator],
        numerics: Numerics | None = None,
    ) -> None:
        """Set up a run; `generators` has the streams prompts, responses, batches, evaluation."""
        self._config = config
        self._precision: Precision = (numerics or Numerics()).precision
        self._accelerator = accelerator_of(self._precision, has_unused_parameters=True)
        self._processes, self._execution = Processes.of_this_job(), Execution.from_environment()
        check_shares(config.batch_size // config.num_mini_batches, self._processes, self._execution)
        device = self._accelerator.device
        self._ref_policy = on_device(ref_policy, device).eval()
        self._proxy_rm = proxy_rm
        on_device(proxy_rm.model, device)
        self._prompts = prompts
        self._learning_rate = learning_rate
        self._kl_coef = kl_coef
        self._max_response_tokens = max_response_tokens
        self._generators = generators
        self._module = PolicyWithValueHead(on_device(policy, device))
        self._optimizer = torch.optim.Adam(
            [
                {"params": [p for p in policy.parameters() if p.requires_grad]},
                {"params": list(self._module.value_head.parameters())},
            ],
            lr=learning_rate,
            betas=ADAM_BETAS,
            eps=ADAM_EPSILON,
            fused=True,
        )
        if self._execution.recompute_activations:
            recompute_activations(policy)
        loss = PPOLoss(self._module, cliprange=config.cliprange, vf_coef=config.vf_coef)
        self._prepared, self._prepared_optimizer = self._accelerator.prepare(
            loss.eval(), self._optimizer
        )
        self._scale = RewardScale(0.0, 1.0)

    @property
    def policy(self) -> Policy:
        """The policy being optimized."""
        return self._module.policy

    def run(self, evaluator: Evaluator, state: TrainingState) -> Run:
        """Optimize until the last iteration, the KL limit, or a number that is not finite.

        A run that diverges keeps what it measured before: its curve ends there.
        """
        evaluations: list[Evaluation] = []
        iterations: list[Iteration] = []
        step = 0
        self._scale = self._measure_reward_scale()
        if (saved := state.load(self._module, self._optimizer, self._generators)) is not None:
            progress = cast(Progress, saved)
            step = progress["step"]
            evaluations, iterations = progress["evaluations"], progress["iterations"]
            print(f"resumed after iteration {step}", flush=True)
        while True:
            try:
                if self._is_evaluation_due(step, evaluations, iterations):
                    measured = _finite(
                        evaluator.evaluate(self.policy, self._generators["evaluation"]), step
                    )
                    evaluations.append({"step": step, "measured": measured})
                    means = {name: sum(values) / len(values) for name, values in measured.items()}
                    print(_describe(step, means), flush=True)
                    if means["kl"] > self._config.stop_kl:
                        return Run(evaluations, iterations, "KL limit")
                if step == self._config.num_iterations:
                    return Run(evaluations, iterations, "last iteration")
                iterations.append({"step": step, "metrics": self._iterate(step)})
            except DivergedError as error:
                if not evaluations:
                    raise  # not even the initial policy could be measured
                print(f"diverged in iteration {step}: {error}", flush=True)
                return Run(evaluations, iterations, f"diverged in iteration {step}: {error}")
            step += 1
            if state.is_due():
                progress = Progress(step=step, evaluations=evaluations, iterations=iterations)
                state.save(self._module, self._optimizer, progress, self._generators)

    def _is_evaluation_due(
        self, step: int, evaluations: list[Evaluation], iterations: list[Iteration]
    ) -> bool:
        """Whether this step lies on the grid of steps, or sqrt(KL) has moved since the last.

        Late in a run a few iterations can cross ten nats; without the second rule the fall of
        gold would be two points. The KL is that of the last rollout, which costs nothing.
        """
        last_step = self._config.num_iterations
        if step % self._config.evaluate_every == 0 or step == last_step or not iterations:
            return True
        kl_then = sum(evaluations[-1]["measured"]["kl"]) / len(evaluations[-1]["measured"]["kl"])
        kl_now = max(iterations[-1]["metrics"]["kl_k1"], 0.0)
        moved = abs(math.sqrt(kl_now) - math.sqrt(max(kl_then, 0.0)))
        return moved >= self._config.evaluate_at_sqrt_kl

    def _measure_reward_scale(self) -> RewardScale:
        """Score samples of the initial policy on training prompts."""
        num = self._config.num_normalization_responses
        prompts = self._draw_prompts(num, self._generators["normalization"])
        responses = self._sample(self._ref_policy, prompts, "normalization")
        episodes = Episodes.of(prompts, responses).share(self._processes)
        scores = self._processes.gather_array(self._proxy_rm.score(*episodes.parts), num)
        return RewardScale(float(scores.mean()), float(scores.std()) or 1.0)

    def _sample(self, policy: Policy, prompts: list[Sequence[int]], stream: str) -> Responses:
        """A response to each prompt, drawn by all processes together, from one random stream."""
        with body_precision(self._precision, self._accelerator.device):
            return sample_responses(
                policy,
                prompts,
                self._max_response_tokens,
                self._generators[stream],
                processes=self._processes,
            )

    def _draw_prompts(self, num: int, generator: torch.Generator) -> list[Sequence[int]]:
        rows = torch.randint(len(self._prompts), (num,), generator=generator)
        return [self._prompts[row] for row in rows.tolist()]

    def _iterate(self, step: int) -> dict[str, float]:
        """Roll out and update once; the iteration's metrics."""
        config = self._config
        is_warmup = step < config.num_value_warmup_iterations
        self._set_learning_rates(step)
        rollout = self._roll_out()
        metrics = self._update(rollout, is_warmup)
        return {
            "score": rollout.scores.mean().item(),
            "kl_k1": rollout.kl.mean().item(),
            "response_length": rollout.episodes.lengths.float().mean().item(),
            **metrics,
        }

    def _set_learning_rates(self, step: int) -> None:
        """Zero for the policy while the value head warms up, then a linear rise."""
        config = self._config
        steps_after = step - config.num_value_warmup_iterations
        ramp = min(1.0, max(0, steps_after + 1) / config.num_ramp_iterations)
        policy_group, value_group = self._optimizer.param_groups
        policy_group["lr"] = self._learning_rate * ramp
        value_group["lr"] = self._learning_rate * config.value_learning_rate_factor

    @torch.no_grad()
    def _roll_out(self) -> Rollout:
        """Sample responses and turn their proxy scores into advantages and returns.

        Each process reads and scores its share of the responses; then all hold the whole rollout.
        """
        config = self._config
        prompts = self._draw_prompts(config.batch_size, self._generators["prompts"])
        responses = self._sample(self.policy, prompts, "responses")
        episodes = Episodes.of(prompts, responses)
        logprobs, values, ref_logprobs, raw = (
            self._processes.gather(rows, config.batch_size)
            for rows in self._read(episodes.share(self._processes))
        )
        scores = (raw - self._scale.mean) / self._scale.sd
        scores = scores - config.missing_eos_penalty * episodes.is_cut
        rewards = token_rewards(scores, logprobs, ref_logprobs, episodes.lengths, self._kl_coef)
        advantages, returns = generalized_advantages(
            rewards, values, episodes.mask, config.gamma, config.lam
        )
        return Rollout(
            episodes=episodes,
            num_tokens=episodes.lengths.cpu().numpy(),
            scores=scores,
            kl=sampled_kl(logprobs, ref_logprobs, episodes.mask),
            logprobs=logprobs,
            advantages=masked_whiten(advantages, episodes.mask),
            returns=returns,
        )

    def _read(self, episodes: Episodes) -> tuple[torch.Tensor, ...]:
        """Log-probabilities, values, reference log-probabilities, and scores of the proxy RM."""
        chunks = episodes.chunks(self.policy)
        with body_precision(self._precision, self._accelerator.device):
            read = [self._module(chunk) for chunk in chunks]
            reference = [response_logprobs(self._ref_policy, chunk) for chunk in chunks]
        logprobs, values = (torch.cat(parts) for parts in zip(*read, strict=True))
        scores = torch.as_tensor(self._proxy_rm.score(*episodes.parts))
        return logprobs, values, torch.cat(reference), scores.to(logprobs.device)

    def _update(self, rollout: Rollout, is_warmup: bool) -> dict[str, float]:
        """All passes over one rollout; means of the losses."""
        config = self._config
        num_passes = config.num_value_warmup_epochs if is_warmup else config.num_ppo_epochs
        losses: list[Losses] = []
        # transformers computes activations again in training mode only; nothing else differs.
        self._prepared.train(self._execution.recompute_activations)
        for _ in range(num_passes):
            for rows in mini_batches(
                len(rollout.scores), config.num_mini_batches, self._generators["batches"]
            ):
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
        self._prepared_optimizer.zero_grad(set_to_none=True)
        losses = self._losses_with_gradient(rollout, rows.numpy(), is_warmup, is_first)
        norm = self._accelerator.clip_grad_norm_(
            self._prepared.parameters(), self._config.max_grad_norm
        )
        total, norm = torch.stack([losses.total, torch.as_tensor(norm).to(losses.total)]).tolist()
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
        self._prepared_optimizer.step()
        return losses

    def _losses_with_gradient(
        self, rollout: Rollout, rows: np.ndarray, is_warmup: bool, is_first: bool
    ) -> Losses:
        """Losses of a minibatch, from the shares of all processes and passes."""
        passes = shares_of(rows, self._processes, self._execution)
        losses: list[torch.Tensor] = []
        for index, share in enumerate(passes):
            own = torch.as_tensor(share)
            on_its_device = own.to(rollout.logprobs.device)
            weight = float(rollout.num_tokens[share].sum() / rollout.num_tokens[rows].sum())
            is_last = index == len(passes) - 1
            with contextlib.nullcontext() if is_last else self._accelerator.no_sync(self._prepared):
                of_share, logprobs = self._prepared(
                    rollout.episodes.select(own),
                    rollout.logprobs[on_its_device],
                    rollout.advantages[on_its_device],
                    rollout.returns[on_its_device],
                    is_warmup=is_warmup,
                )
                if is_first:
                    _check_ratio(
                        logprobs,
                        rollout.logprobs[on_its_device],
                        rollout.episodes.mask[on_its_device],
                        MAX_RATIO_ERROR[self._precision],
                    )
                self._accelerator.backward(of_share.total * weight * self._processes.number)
            losses.append(torch.stack([loss.detach() for loss in of_share]) * weight)
        return Losses(*self._processes.total(torch.stack(losses).sum(0)))


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


def _finite(measured: dict[str, list[float]], step: int) -> dict[str, list[float]]:
    """The measurements, if all are finite."""
    for name, values in measured.items():
        if not all(map(math.isfinite, values)):
            raise DivergedError(f"{name} of the evaluation at iteration {step} is not finite")
    return measured


def _describe(step: int, means: dict[str, float]) -> str:
    return f"iteration {step}: " + ", ".join(f"{key} {value:.3f}" for key, value in means.items())
