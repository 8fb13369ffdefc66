"""
PPO against TRL's PPO trainer: same policy, reward model, batch, response length, epochs.

What differs lies in the methods, not in the settings: TRL has a value model of its own (here a copy
of the reward model, as in its examples), we a head on the policy; TRL reports the entropy, and
takes `max_grad_norm` without clipping; we clip. The learning rate is so small that no policy moves:
all write responses of the same lengths.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from benchmarks.materials import SEED, Materials, Setup
from benchmarks.timing import ratio, spread
from benchmarks.trl_environment import COMMON, NEWEST_VERSION, PPO_VERSION, TRLEnvironment

from overopt.config.ppo import PPOConfig
from overopt.methods.evaluation import Evaluator
from overopt.methods.ppo.algorithm import PPO
from overopt.methods.rl import loop
from overopt.methods.rl.algorithm import Rollout
from overopt.methods.rl.loop import STREAMS, RLLoop
from overopt.models.tokens import join
from overopt.models.training.state import TrainingState
from overopt.policy.sampling import Responses
from overopt.randomness import torch_generator
from overopt.reward_model.scorer import SequenceScorer

TARGET = 2.0
LEARNING_RATE = 1e-7
KL_COEF = 0.05
RLOO_GENERATIONS = 4
CELLS = (("small", "s4"), ("small", "s7"), ("large", "s4"))

SAME_NAMES = (
    "num_ppo_epochs",
    "num_mini_batches",
    "cliprange",
    "gamma",
    "lam",
    "max_grad_norm",
)
"""Settings that both have under one name."""


def trl_ppo_arguments(
    config: PPOConfig, *, learning_rate: float, kl_coef: float, max_response_tokens: int
) -> dict[str, Any]:
    """TRL's settings for the same work.

    Both have the value loss as vf_coef * error, but TRL halves the error.
    """
    return {
        **{name: getattr(config, name) for name in SAME_NAMES},
        "per_device_train_batch_size": config.batch_size,
        "gradient_accumulation_steps": 1,
        "local_rollout_forward_batch_size": config.batch_size,
        "total_episodes": config.num_iterations * config.batch_size,
        "vf_coef": 2 * config.vf_coef,
        "missing_eos_penalty": config.missing_eos_penalty or None,
        "response_length": max_response_tokens,
        "stop_token": "eos",
        "temperature": 1.0,
        "kl_coef": kl_coef,
        "kl_estimator": "k1",
        "whiten_rewards": False,
        "learning_rate": learning_rate,
        **COMMON,
        "num_sample_generations": 0,
    }


def trl_rloo_arguments(
    config: PPOConfig, *, learning_rate: float, kl_coef: float, max_response_tokens: int
) -> dict[str, Any]:
    """RLOO with as many responses a rollout and passes over them."""
    return {
        "per_device_train_batch_size": config.batch_size,
        "gradient_accumulation_steps": 1,
        "generation_batch_size": config.batch_size,
        "num_generations": RLOO_GENERATIONS,
        "num_iterations": config.num_ppo_epochs,
        "max_completion_length": max_response_tokens,
        "max_steps": config.num_iterations * config.num_ppo_epochs,
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "beta": kl_coef,
        "epsilon": config.cliprange,
        "learning_rate": learning_rate,
        "logging_steps": config.num_ppo_epochs,
        **COMMON,
    }


def measure(setup: Setup, materials: Materials) -> dict[str, Any]:
    """Episodes per CPU second, of ours and of TRL's, and where ours spends its time."""
    environment = TRLEnvironment(setup.cache)
    cells = CELLS[:1] if setup.is_quick else CELLS
    return {"rows": [_row(setup, materials, environment, *cell) for cell in cells]}


def _row(
    setup: Setup, materials: Materials, environment: TRLEnvironment, policy: str, rm: str
) -> dict[str, Any]:
    config = config_of(materials, is_quick=setup.is_quick)
    ours: list[dict[str, Any]] = []
    ppo: list[dict[str, Any]] = []
    for _ in range(1 if setup.is_quick else max(1, setup.repeats // 2)):
        ours.append(run_ours(materials, policy, rm, config))
        if environment.exists:
            ppo.append(run_trl(environment, materials, policy, rm, config))
    row = {"policy": policy, "reward_model": rm, "batch": config.batch_size, "target": TARGET}
    row["ours"] = _summary(ours, config.batch_size)
    if not ppo:
        return row
    check_same_work(ours[0], ppo[0], config)
    rloo = environment.run(NEWEST_VERSION, rloo_job(materials, policy, rm, config))
    row["trl_ppo"] = {**_summary(ppo, config.batch_size), "version": PPO_VERSION}
    row["trl_rloo"] = {**_summary([rloo], config.batch_size), "version": NEWEST_VERSION}
    rounds = zip(ours, ppo, strict=True)
    pairs = [(_rates(one, config), _rates(two, config)) for one, two in rounds]
    mine = [value for one, _ in pairs for value in one]
    other = [value for _, two in pairs for value in two]
    row["ratio"] = ratio(mine, other)
    return row


def config_of(materials: Materials, *, is_quick: bool) -> PPOConfig:
    """The default study's settings, for a few iterations, without warm-up of the value head."""
    changes: dict[str, Any] = {
        "num_iterations": 3 if is_quick else 9,
        "num_value_warmup_iterations": 0,
        "evaluate_every": 3,
        "evaluate_at_sqrt_kl": 1e6,
        "num_normalization_responses": 64,
    }
    if is_quick:
        changes |= {"batch_size": 8}
    return materials.study.ppo.model_copy(update=changes)


class _TimedLoop(RLLoop):
    """PPO that notes what its phases take."""

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.lengths: list[float] = []
        update = self._updater.update

        def timed(*values: Any, **named: Any) -> dict[str, float]:
            start = time.process_time()
            metrics = update(*values, **named)
            self.seconds["update"].append(time.process_time() - start)
            return metrics

        self._updater.update = timed

    def _roll_out(self) -> Rollout:
        sampling = 0.0
        sample = loop.sample_responses

        def timed(*values: Any, **named: Any) -> Responses:
            nonlocal sampling
            start = time.process_time()
            responses = sample(*values, **named)
            sampling = time.process_time() - start
            return responses

        loop.sample_responses = timed
        start = time.process_time()
        try:
            rollout = super()._roll_out()
        finally:
            loop.sample_responses = sample
        self.seconds["rollout"].append(sampling)
        self.seconds["score"].append(time.process_time() - start - sampling)
        self.lengths.append(rollout.episodes.lengths.float().mean().item())
        return rollout

    def _iterate(self, step: int) -> dict[str, float]:
        start = time.process_time()
        metrics = super()._iterate(step)
        self.seconds["iteration"].append(time.process_time() - start)
        return metrics


class _TimedEvaluator:
    """An evaluator that notes what it takes."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self.seconds: list[float] = []

    def evaluate(self, *values: Any) -> dict[str, list[float]]:
        start = time.process_time()
        measured = self._evaluator.evaluate(*values)
        self.seconds.append(time.process_time() - start)
        return measured


def run_ours(materials: Materials, policy: str, rm: str, config: PPOConfig) -> dict[str, Any]:
    """A short run; CPU seconds of every iteration and evaluation but the first."""
    initial = materials.policy(policy)
    proxy = SequenceScorer(materials.reward_model(rm), join)
    trainer = _TimedLoop(
        PPO(deepcopy(initial), config, learning_rate=LEARNING_RATE, kl_coef=KL_COEF),
        initial,
        proxy,
        materials.prompts,
        config,
        max_response_tokens=materials.max_tokens,
        generators={name: torch_generator(SEED, name) for name in STREAMS},
    )
    num_prompts = materials.study.best_of_n.num_prompts
    evaluator = _TimedEvaluator(
        Evaluator(
            prompts=materials.prompts[:num_prompts],
            num_responses=config.num_evaluation_responses,
            max_response_tokens=materials.max_tokens,
            ref_policy=initial,
            proxy_rm=proxy,
            gold_rm=SequenceScorer(materials.reward_model("gold"), join),
            human_scores=None,
        )
    )
    trainer.run(evaluator, TrainingState(None))  # type: ignore[arg-type]
    phases = {name: trainer.seconds[name][1:] for name in ("rollout", "score", "update")}
    return {
        "seconds": trainer.seconds["iteration"][1:],
        "phases": phases,
        "evaluation": evaluator.seconds[1:],
        "response_length": sum(trainer.lengths) / len(trainer.lengths),
        "batch_size": config.batch_size,
    }


def run_trl(
    environment: TRLEnvironment, materials: Materials, policy: str, rm: str, config: PPOConfig
) -> dict[str, Any]:
    """The same by TRL's PPO trainer."""
    job = {
        "kind": "ppo",
        "policy": str(materials.policy_folder(policy)),
        "reward_model": str(materials.reward_model_folder(rm)),
        "prompts": materials.prompts,
        "arguments": trl_ppo_arguments(config, **_shared(materials)),
    }
    return environment.run(PPO_VERSION, job)


def rloo_job(materials: Materials, policy: str, rm: str, config: PPOConfig) -> dict[str, Any]:
    """RLOO reads prompts as text, which start with `<bos>` here."""
    # The trailing space keeps the first word apart where TRL joins prompt and response as text.
    texts = [f"<bos> {text} " for text in materials.texts(materials.prompts)]
    return {
        "kind": "rloo",
        "policy": str(materials.policy_folder(policy)),
        "reward_model": str(materials.reward_model_folder(rm)),
        "texts": texts,
        "arguments": trl_rloo_arguments(config, **_shared(materials)),
    }


def _shared(materials: Materials) -> dict[str, Any]:
    return {
        "learning_rate": LEARNING_RATE,
        "kl_coef": KL_COEF,
        "max_response_tokens": materials.max_tokens,
    }


def check_same_work(ours: dict[str, Any], theirs: dict[str, Any], config: PPOConfig) -> None:
    """Stop where TRL took other settings than it was given, or the texts differ in length."""
    asked = trl_ppo_arguments(
        config,
        learning_rate=LEARNING_RATE,
        kl_coef=KL_COEF,
        max_response_tokens=theirs["in_effect"]["response_length"],
    )
    effective = {
        name: value for name, value in theirs["in_effect"].items() if name in COMPARED_SETTINGS
    }
    expected = {name: asked[name] for name in effective}
    if effective != expected or theirs["batch_size"] != config.batch_size:
        raise RuntimeError(f"TRL ran with {effective}, asked for {expected}")
    lengths = ours["response_length"], theirs["response_length"]
    if config.batch_size >= 256 and abs(lengths[0] / lengths[1] - 1) > 0.1:
        raise RuntimeError(f"mean response lengths differ: {lengths}")


COMPARED_SETTINGS = (
    *SAME_NAMES,
    "response_length",
    "kl_coef",
    "vf_coef",
    "learning_rate",
    "temperature",
    "total_episodes",
)


def _rates(run: dict[str, Any], config: PPOConfig) -> list[float]:
    return [config.batch_size / seconds for seconds in run["seconds"]]


def _summary(runs: Sequence[dict[str, Any]], batch_size: int) -> dict[str, Any]:
    """Episodes per CPU second, and CPU milliseconds of an iteration by phase."""
    seconds = [value for run in runs for value in run["seconds"]]
    summary: dict[str, Any] = {"episodes": spread([batch_size / value for value in seconds])}
    summary["response_length"] = runs[0]["response_length"]
    if "phases" in runs[0]:
        summary["milliseconds"] = {
            name: 1e3 * spread([value for run in runs for value in run["phases"][name]])["median"]
            for name in runs[0]["phases"]
        }
    if evaluations := [value for run in runs for value in run.get("evaluation", [])]:
        summary["milliseconds"]["evaluation"] = 1e3 * spread(evaluations)["median"]
    return summary
