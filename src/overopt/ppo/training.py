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

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypedDict, cast

import torch
from accelerate import Accelerator

from overopt.architecture import Policy, backbone_of
from overopt.models import on_device
from overopt.optimization import DivergedError
from overopt.policy.sampling import sample_responses
from overopt.ppo.config import PPOConfig
from overopt.ppo.evaluation import Evaluator
from overopt.ppo.policy import (
    Episodes,
    PolicyWithValueHead,
    logprobs_of,
    mini_batches,
    response_states,
    token_log_distributions,
)
from overopt.ppo.rewards import (
    generalized_advantages,
    masked_whiten,
    policy_loss,
    token_rewards,
    value_loss,
)
from overopt.ppo.sequence_kl import sampled_kl
from overopt.reward_model.scorer import Scorer
from overopt.training_state import TrainingState

ADAM_BETAS = (0.9, 0.95)
ADAM_EPSILON = 1e-5
MAX_RATIO_ERROR = 1e-4


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
    """One batch of episodes with all that an update needs, each (B, T) but the scores (B,)."""

    episodes: Episodes
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
    ) -> None:
        """Set up a run; `generators` has the streams prompts, responses, batches, evaluation."""
        self._config = config
        self._accelerator = Accelerator()
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
                {"params": list(policy.parameters())},
                {"params": list(self._module.value_head.parameters())},
            ],
            lr=learning_rate,
            betas=ADAM_BETAS,
            eps=ADAM_EPSILON,
            fused=True,
        )
        self._prepared, self._prepared_optimizer = self._accelerator.prepare(
            self._module, self._optimizer
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
        responses = sample_responses(
            self._ref_policy,
            prompts,
            self._max_response_tokens,
            self._generators["normalization"],
        )
        scores = self._proxy_rm.score(prompts, responses.as_lists())
        return RewardScale(float(scores.mean()), float(scores.std()) or 1.0)

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
        """Sample responses and turn their proxy scores into advantages and returns."""
        config = self._config
        prompts = self._draw_prompts(config.batch_size, self._generators["prompts"])
        responses = sample_responses(
            self.policy, prompts, self._max_response_tokens, self._generators["responses"]
        )
        episodes = Episodes.of(prompts, responses)
        logprobs, values = self._prepared(episodes)
        ref_states = response_states(backbone_of(self._ref_policy), episodes)
        ref_logprobs = logprobs_of(
            token_log_distributions(self._ref_policy, ref_states), episodes.response_ids
        )
        raw = torch.as_tensor(self._proxy_rm.score(*episodes.parts))
        scores = ((raw - self._scale.mean) / self._scale.sd).to(logprobs.device)
        scores = scores - config.missing_eos_penalty * episodes.is_cut
        rewards = token_rewards(scores, logprobs, ref_logprobs, episodes.lengths, self._kl_coef)
        advantages, returns = generalized_advantages(
            rewards, values, episodes.mask, config.gamma, config.lam
        )
        return Rollout(
            episodes=episodes,
            scores=scores,
            kl=sampled_kl(logprobs, ref_logprobs, episodes.mask),
            logprobs=logprobs,
            advantages=masked_whiten(advantages, episodes.mask),
            returns=returns,
        )

    def _update(self, rollout: Rollout, is_warmup: bool) -> dict[str, float]:
        """All passes over one rollout; means of the losses."""
        config = self._config
        num_passes = config.num_value_warmup_epochs if is_warmup else config.num_ppo_epochs
        totals = {"policy_loss": 0.0, "value_loss": 0.0, "clipped_share": 0.0}
        num_updates = 0
        for _ in range(num_passes):
            for rows in mini_batches(
                len(rollout.scores), config.num_mini_batches, self._generators["batches"]
            ):
                losses = self._step(rollout, rows, is_warmup, is_first=num_updates == 0)
                totals = {name: totals[name] + losses[name] for name in totals}
                num_updates += 1
        return {name: total / num_updates for name, total in totals.items()}

    def _step(
        self, rollout: Rollout, rows: torch.Tensor, is_warmup: bool, is_first: bool
    ) -> dict[str, float]:
        """One optimizer step on one minibatch."""
        config = self._config
        episodes = rollout.episodes.select(rows)
        logprobs, values = self._prepared(episodes, is_trunk_frozen=is_warmup)
        if is_first:
            _check_ratio(logprobs.detach(), rollout.logprobs[rows], episodes.mask)
        surrogate, clipped_share = policy_loss(
            logprobs,
            rollout.logprobs[rows],
            rollout.advantages[rows],
            episodes.mask,
            config.cliprange,
        )
        error = value_loss(values, rollout.returns[rows], episodes.mask)
        # During the warm-up nothing but the value head gets a gradient: no stale moments of
        # Adam's and no share of the gradient's norm carry over to the policy's first step.
        loss = config.vf_coef * error + (0.0 if is_warmup else surrogate)
        if not math.isfinite(loss.item()):
            raise DivergedError(
                f"PPO's loss is {loss.item()}; lower the policy's ppo_learning_rate "
                f"({self._learning_rate})"
            )
        self._prepared_optimizer.zero_grad(set_to_none=True)
        self._accelerator.backward(loss)
        norm = self._accelerator.clip_grad_norm_(self._prepared.parameters(), config.max_grad_norm)
        if norm is not None and not math.isfinite(norm):
            raise DivergedError(
                f"the gradient's norm is {float(norm)}; lower the policy's ppo_learning_rate "
                f"({self._learning_rate})"
            )
        self._prepared_optimizer.step()
        return {
            "policy_loss": surrogate.item(),
            "value_loss": error.item(),
            "clipped_share": clipped_share.item(),
        }


def _check_ratio(logprobs: torch.Tensor, old: torch.Tensor, mask: torch.Tensor) -> None:
    """Before the first step of a rollout the policy is the one that made it: the ratio is 1."""
    worst = torch.where(mask, (logprobs - old).exp() - 1, 0.0).abs().max().item()
    if worst > MAX_RATIO_ERROR:
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
