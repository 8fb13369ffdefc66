"""Where the time of a PPO iteration goes: rollout, score, update; and of an evaluation."""

import copy
import time
from collections.abc import Callable
from typing import Any

import torch
from benchmarks.gpu_measure import Row, wait_for
from benchmarks.gpu_models import embedded_policy, read_config, start_accelerate_anew

from overopt.config.ppo import PPOConfig
from overopt.config.training import Numerics
from overopt.methods.evaluation import Evaluator
from overopt.methods.ppo.algorithm import PPO
from overopt.methods.rl.loop import STREAMS, RLLoop
from overopt.models.loading import build_reward_model
from overopt.models.tokens import join
from overopt.randomness import torch_generator
from overopt.reward_model.scorer import SequenceScorer


class Clock:
    """Wall seconds of calls, by name."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.seconds: dict[str, float] = {}

    def watch(self, owner: Any, method: str, name: str) -> None:
        """Add up the seconds of a method of this object from now on."""
        run: Callable[..., object] = getattr(owner, method)

        def watched(*arguments: object, **options: object) -> object:
            wait_for(self._device)
            start = time.perf_counter()
            result = run(*arguments, **options)
            wait_for(self._device)
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
            return result

        setattr(owner, method, watched)


def measure_ppo(device: torch.device, *, is_quick: bool) -> list[Row]:
    """Seconds of the parts of an iteration of gpu.yaml, in both precisions."""
    config = read_config("test" if is_quick else "gpu")
    return [
        row
        for precision in ("fp32", "bf16")
        for row in _of_run(config, device, Numerics(precision=precision), 2 if is_quick else 10)
    ]


def _of_run(
    config: dict[str, Any], device: torch.device, numerics: Numerics, num_iterations: int
) -> list[Row]:
    prompt_length, response_length = config["text"].values()
    length = prompt_length + response_length
    policy_size, gold_size = config["main_policy"], config["gold_rm"]["backbone"]
    proxy_size = list(config["proxy_sizes"])[-2]
    policy = embedded_policy(config["policies"][policy_size], device, length)
    ref_policy = copy.deepcopy(policy)
    proxy, gold = (
        SequenceScorer(build_reward_model(embedded_policy(settings, device, length)), join)
        for settings in (config["proxy_sizes"][proxy_size], config["policies"][gold_size])
    )
    ppo = PPOConfig(**{**config["ppo"], "num_value_warmup_iterations": 0})
    prompts = [[1, *(3 + (row + i) % 100 for i in range(prompt_length - 1))] for row in range(64)]
    start_accelerate_anew()
    trainer = RLLoop(
        PPO(policy, ppo, learning_rate=1e-5, kl_coef=0.0),
        ref_policy,
        proxy,
        prompts,
        ppo,
        max_response_tokens=response_length,
        generators={name: torch_generator(0, name) for name in STREAMS},
        precision=numerics.precision,
    )
    num_prompts = config["best_of_n"]["num_prompts"]
    evaluator = Evaluator(
        prompts=(prompts * num_prompts)[:num_prompts],
        num_responses=ppo.num_evaluation_responses,
        max_response_tokens=response_length,
        ref_policy=ref_policy,
        proxy_rm=proxy,
        gold_rm=gold,
        human_scores=None,
        precision=numerics.precision,
    )
    generator = torch_generator(0, "evaluation")
    trainer._iterate(0)  # the first calls compile and allocate
    evaluator.evaluate(trainer.policy, generator)
    clock = Clock(device)
    for method, name in (("_sample", "sample"), ("_read", "read")):
        clock.watch(trainer, method, name)
    clock.watch(trainer._updater, "update", "update")
    clock.watch(trainer, "_iterate", "iteration")
    clock.watch(proxy, "score", "score")
    for step in range(num_iterations):
        trainer._iterate(step + 1)
    parts = {name: taken / num_iterations for name, taken in clock.seconds.items()}
    clock.seconds.clear()
    start = time.perf_counter()
    evaluator.evaluate(trainer.policy, generator)
    wait_for(device)
    evaluation = time.perf_counter() - start
    whole = parts["iteration"]
    parts["read"] -= parts["score"]
    named = {
        "sample": "rollout: sample",
        "read": "rollout: log-probabilities and values",
        "score": "score by the proxy RM",
        "update": f"update, {ppo.num_ppo_epochs} passes",
    }
    what = f"{policy_size} against {proxy_size}, {numerics.precision}"
    rows = [
        Row("PPO", f"{what}: {text}", 1e3 * parts[name], "ms", parts[name] / whole)
        for name, text in named.items()
    ]
    rows.append(Row("PPO", f"{what}: whole iteration", 1e3 * whole, "ms"))
    rows.append(Row("PPO", f"{what}: episodes", ppo.batch_size / whole, "episodes/s"))
    responses = num_prompts * ppo.num_evaluation_responses
    rows.append(Row("PPO", f"{what}: evaluation of {responses} responses", 1e3 * evaluation, "ms"))
    return rows
