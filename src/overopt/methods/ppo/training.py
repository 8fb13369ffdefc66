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

from overopt.config.ppo import PPOConfig
from overopt.config.training import Numerics
from overopt.methods.ppo.evaluation import Evaluator
from overopt.methods.ppo.policy import Episodes, in_order, response_logprobs
from overopt.methods.ppo.rewards import generalized_advantages, masked_whiten, token_rewards
from overopt.methods.ppo.sequence_kl import sampled_kl
from overopt.methods.ppo.update import Rollout, Updater
from overopt.models.architecture import Policy
from overopt.models.loading import on_device
from overopt.models.training.accelerator import body_precision
from overopt.models.training.loop import DivergedError
from overopt.models.training.state import TrainingState
from overopt.policy.sampling import Responses, sample_responses
from overopt.reward_model.scorer import Scorer


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
        self._updater = Updater(policy, config, learning_rate, (numerics or Numerics()).precision)
        self._processes = self._updater.processes
        self._ref_policy = on_device(ref_policy, self._updater.device).eval()
        self._proxy_rm = proxy_rm
        on_device(proxy_rm.model, self._updater.device)
        self._prompts = prompts
        self._kl_coef = kl_coef
        self._max_response_tokens = max_response_tokens
        self._generators = generators
        self._scale = RewardScale(0.0, 1.0)

    @property
    def policy(self) -> Policy:
        """The policy being optimized."""
        return self._updater.module.policy

    def run(self, evaluator: Evaluator, state: TrainingState) -> Run:
        """Optimize until the last iteration, the KL limit, or a number that is not finite.

        A run that diverges keeps what it measured before: its curve ends there.
        """
        updater = self._updater
        evaluations: list[Evaluation] = []
        iterations: list[Iteration] = []
        step = 0
        self._scale = self._measure_reward_scale()
        if (saved := state.load(updater.module, updater.optimizer, self._generators)) is not None:
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
                state.save(updater.module, updater.optimizer, progress, self._generators)

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
        with body_precision(self._updater.precision, self._updater.device):
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
        self._updater.set_learning_rates(step)
        rollout = self._roll_out()
        metrics = self._updater.update(rollout, self._generators["batches"], is_warmup=is_warmup)
        return {
            "score": rollout.scores.mean().item(),
            "kl_k1": rollout.kl.mean().item(),
            "response_length": rollout.episodes.lengths.float().mean().item(),
            **metrics,
        }

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
        module = self._updater.module
        pieces = episodes.pieces(self.policy)
        with body_precision(self._updater.precision, self._updater.device):
            read = [
                (*module(piece), response_logprobs(self._ref_policy, piece)) for _, piece in pieces
            ]
        rows = [rows for rows, _ in pieces]
        logprobs, values, reference = (
            in_order(list(zip(rows, parts, strict=True))) for parts in zip(*read, strict=True)
        )
        scores = torch.as_tensor(self._proxy_rm.score(*episodes.parts))
        return logprobs, values, reference, scores.to(logprobs.device)


def _finite(measured: dict[str, list[float]], step: int) -> dict[str, list[float]]:
    """The measurements, if all are finite."""
    for name, values in measured.items():
        if not all(map(math.isfinite, values)):
            raise DivergedError(f"{name} of the evaluation at iteration {step} is not finite")
    return measured


def _describe(step: int, means: dict[str, float]) -> str:
    return f"iteration {step}: " + ", ".join(f"{key} {value:.3f}" for key, value in means.items())
