"""
The loop of reinforcement learning against a proxy reward model (Gao et al. 2022, section 2).

Roll out, score by the proxy, have the algorithm learn from the rollout; every so many iterations
evaluate on held-out prompts. The reward's zero and unit are the mean and sd of the proxy score on
samples of the initial policy. A run ends at its last iteration, at a KL, or where it diverges.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypedDict, cast

import torch

from overopt.config.rl import RLConfig
from overopt.config.training import Precision
from overopt.errors import UserError
from overopt.methods.episodes import Episodes, in_order, repeat_prompts, response_logprobs
from overopt.methods.evaluation import Evaluator
from overopt.methods.rl.algorithm import Algorithm, Rollout
from overopt.methods.rl.update import Updater
from overopt.methods.sequence_kl import sampled_kl
from overopt.models.architecture import Policy
from overopt.models.loading import on_device
from overopt.models.training.accelerator import body_precision
from overopt.models.training.loop import DivergedError
from overopt.models.training.state import TrainingState
from overopt.policy.sampling import Responses, sample_responses
from overopt.reward_model.scorer import Scorer

STREAMS = ("prompts", "responses", "batches", "normalization", "evaluation")
"""Random streams of a run; one generator each."""


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


class LoopResult(NamedTuple):
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


class RLLoop:
    """One RL run: an algorithm, what it is scored by, and its random streams."""

    def __init__(
        self,
        algorithm: Algorithm,
        ref_policy: Policy,
        proxy_rm: Scorer,
        prompts: Sequence[Sequence[int]],
        config: RLConfig,
        *,
        max_response_tokens: int,
        generators: dict[str, torch.Generator],
        precision: Precision = "fp32",
    ) -> None:
        """Set up a run; `generators` has a generator for each of `STREAMS`.

        Raises
        ------
        UserError
            The batch size is no multiple of the algorithm's responses per prompt.
        """
        if config.batch_size % algorithm.responses_per_prompt:
            raise UserError(
                f"batch_size: {config.batch_size} is no multiple of the "
                f"{algorithm.responses_per_prompt} responses that {type(algorithm).__name__} draws "
                "to each prompt; choose a multiple"
            )
        self._config = config
        self._updater = Updater(algorithm, config, precision)
        self._processes = self._updater.processes
        self._ref_policy = on_device(ref_policy, self._updater.device).eval()
        self._proxy_rm = proxy_rm
        proxy_rm.to(self._updater.device)
        self._prompts = prompts
        self._max_response_tokens = max_response_tokens
        self._generators = generators
        self._scale = RewardScale(0.0, 1.0)

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm, with all that it trains."""
        return self._updater.algorithm

    @property
    def policy(self) -> Policy:
        """The policy being optimized."""
        return self.algorithm.policy

    def run(self, evaluator: Evaluator, state: TrainingState) -> LoopResult:
        """Optimize until the last iteration, the KL limit, or a number that is not finite.

        A run that diverges keeps what it measured before: its curve ends there.
        """
        updater = self._updater
        evaluations: list[Evaluation] = []
        iterations: list[Iteration] = []
        step = 0
        self._scale = self._measure_reward_scale()
        if (
            saved := state.load(updater.algorithm, updater.optimizer, self._generators)
        ) is not None:
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
                        return LoopResult(evaluations, iterations, "KL limit")
                if step == self._config.num_iterations:
                    return LoopResult(evaluations, iterations, "last iteration")
                iterations.append({"step": step, "metrics": self._iterate(step)})
            except DivergedError as error:
                if not evaluations:
                    raise  # not even the initial policy could be measured
                print(f"diverged in iteration {step}: {error}", flush=True)
                return LoopResult(evaluations, iterations, f"diverged in iteration {step}: {error}")
            step += 1
            if state.is_due():
                progress = Progress(step=step, evaluations=evaluations, iterations=iterations)
                state.save(updater.algorithm, updater.optimizer, progress, self._generators)

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
        rollout = self._roll_out()
        with torch.no_grad():
            targets = self.algorithm.finish(rollout)
        metrics = self._updater.update(rollout, targets, step, self._generators["batches"])
        return {
            "score": rollout.scores.mean().item(),
            "kl_k1": rollout.kl.mean().item(),
            "response_length": rollout.episodes.lengths.float().mean().item(),
            **metrics,
        }

    @torch.no_grad()
    def _roll_out(self) -> Rollout:
        """Sample responses, read them by both policies, and score them by the proxy RM.

        Each process reads and scores its share of the responses; then all hold the whole rollout.
        """
        config, num_repeats = self._config, self.algorithm.responses_per_prompt
        drawn = self._draw_prompts(config.batch_size // num_repeats, self._generators["prompts"])
        prompts = repeat_prompts(drawn, num_repeats)
        episodes = Episodes.of(prompts, self._sample(self.policy, prompts, "responses"))
        read = {
            name: self._processes.gather(rows, config.batch_size)
            for name, rows in self._read(episodes.share(self._processes)).items()
        }
        scores = (read.pop("proxy_score") - self._scale.mean) / self._scale.sd
        logprobs, ref_logprobs = read.pop("logprobs"), read.pop("ref_logprobs")
        return Rollout(
            episodes=episodes,
            scores=scores - config.missing_eos_penalty * episodes.is_cut,
            logprobs=logprobs,
            ref_logprobs=ref_logprobs,
            kl=sampled_kl(logprobs, ref_logprobs, episodes.mask),
            readings=read,
        )

    def _read(self, episodes: Episodes) -> dict[str, torch.Tensor]:
        """What the algorithm reads, reference log-probabilities, and scores of the proxy RM."""
        micro_batches = episodes.micro_batches(self.policy)
        with body_precision(self._updater.precision, self._updater.device):
            read = [
                {
                    **self.algorithm.read(micro_batch),
                    "ref_logprobs": response_logprobs(self._ref_policy, micro_batch),
                }
                for _, micro_batch in micro_batches
            ]
        rows = [rows for rows, _ in micro_batches]
        columns = {
            name: in_order([(own, of[name]) for own, of in zip(rows, read, strict=True)])
            for name in read[0]
        }
        scores = torch.as_tensor(self._proxy_rm.score(*episodes.parts))
        return {**columns, "proxy_score": scores.to(columns["logprobs"].device)}


def _finite(measured: dict[str, list[float]], step: int) -> dict[str, list[float]]:
    """The measurements, if all are finite."""
    for name, values in measured.items():
        if not all(map(math.isfinite, values)):
            raise DivergedError(f"{name} of the evaluation at iteration {step} is not finite")
    return measured


def _describe(step: int, means: dict[str, float]) -> str:
    return f"iteration {step}: " + ", ".join(f"{key} {value:.3f}" for key, value in means.items())
