"""Tiny trainings, the same in one process and in several; run by a launcher, it writes them.

python tests/examples/process_examples.py RESULT.json
"""

import copy
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from overopt.config.compute import PASSES_VARIABLE
from overopt.config.policy import LanguageModelSettings
from overopt.config.ppo import PPOConfig
from overopt.config.reward_model import RewardModelSettings
from overopt.config.training import TransformerConfig
from overopt.jobs.processes import Processes
from overopt.methods.evaluation import Evaluator
from overopt.methods.ppo.algorithm import PPO
from overopt.methods.rl.loop import STREAMS, RLLoop
from overopt.models.loading import build_policy, build_reward_model
from overopt.models.tokens import join
from overopt.models.training.lora import add_adapters
from overopt.models.training.state import TrainingState
from overopt.policy.sft import train_language_model
from overopt.reward_model.scorer import SequenceScorer
from overopt.reward_model.training import TokenizedComparisons, train_on_comparisons

EOS = 2
TEXT = {"max_prompt_tokens": 6, "max_response_tokens": 6}
SHAPE = TransformerConfig(hidden_size=16, num_layers=2, num_heads=2)


def tiny_policy(seed: int = 0):
    return build_policy(SHAPE, 11, 12, torch.Generator().manual_seed(seed))


def toy_responses(number: int) -> tuple[list[list[int]], list[list[int]]]:
    """Prompts and responses of very different lengths, so that processes hold unlike shares."""
    rng = np.random.default_rng(0)
    prompts = [[1, *rng.integers(3, 11, rng.integers(1, 6)).tolist()] for _ in range(number)]
    responses = [[*rng.integers(3, 11, rng.integers(0, 6)).tolist(), EOS] for _ in range(number)]
    return prompts, responses


def language_model_settings(numerics: dict | None = None, **changes) -> LanguageModelSettings:
    optimization = {"learning_rate": 1e-2, "batch_size": 7, "num_epochs": 2} | changes
    return LanguageModelSettings.model_validate(
        {
            "shape": SHAPE.model_dump(),
            "optimization": optimization,
            "text": TEXT,
            "numerics": numerics or {},
            "seed": 0,
        }
    )


def language_model_losses(**changes) -> list[float]:
    """Losses of supervised fine-tuning, batches of 7 rows."""
    settings = language_model_settings(**changes)
    policy = tiny_policy()
    return train_language_model(policy, *toy_responses(70), settings, TrainingState(None)).tolist()


def adapted_losses() -> list[float]:
    """Losses where adapters are trained, in two passes a batch."""
    policy = tiny_policy()
    add_adapters(policy, 4, torch.Generator().manual_seed(0))
    before = os.environ.get(PASSES_VARIABLE, "1")
    os.environ[PASSES_VARIABLE] = "2"
    settings = language_model_settings(numerics={"lora_rank": 4}, learning_rate=3e-2)
    losses = train_language_model(policy, *toy_responses(70), settings, TrainingState(None))
    os.environ[PASSES_VARIABLE] = before
    return losses.tolist()


def reward_model_losses(**changes: object) -> list[float]:
    """Losses of a reward model that learns to prefer long responses, batches of 9 pairs."""
    prompts, responses = toy_responses(180)
    rows = [[*prompt, *response] for prompt, response in zip(prompts, responses, strict=True)]
    pairs = [sorted(pair, key=len) for pair in zip(rows[::2], rows[1::2], strict=True)]
    settings = RewardModelSettings.model_validate(
        {
            "proxy_rm": None,
            "num_comparisons": len(pairs),
            "num_validation": 1,
            "optimization": {"learning_rate": 1e-2, "batch_size": 9, "num_epochs": 2},
            "text": TEXT,
            "seed": 0,
            "subset_seed": 0,
            **changes,
        }
    )
    comparisons = TokenizedComparisons([long for _, long in pairs], [short for short, _ in pairs])
    model = build_reward_model(tiny_policy())
    return train_on_comparisons(model, comparisons, settings, TrainingState(None)).tolist()


def ppo_losses(num_iterations: int = 5, **changes: object) -> list[float]:
    """Losses, scores and KL of some iterations of PPO, and its evaluations."""
    policy = tiny_policy()
    with torch.no_grad():
        policy.transformer.ln_f.weight *= 3  # far from uniform
    ref_policy = copy.deepcopy(policy).eval()
    reward_model = build_reward_model(tiny_policy(1)).eval()
    torch.nn.init.normal_(reward_model.score.weight, generator=torch.Generator().manual_seed(1))
    scorer = SequenceScorer(reward_model, join)
    prompts = toy_responses(40)[0]
    streams = {name: torch.Generator().manual_seed(i) for i, name in enumerate(STREAMS)}
    config = PPOConfig(
        num_iterations=num_iterations,
        batch_size=31,  # that no two processes can share evenly
        num_value_warmup_iterations=1,
        num_ramp_iterations=1,
        num_mini_batches=2,
        evaluate_every=2,
        num_normalization_responses=101,
    )
    trainer = RLLoop(
        PPO(policy.eval(), config, learning_rate=3e-3, kl_coef=0.1),
        ref_policy,
        scorer,
        prompts,
        config,
        max_response_tokens=6,
        generators=streams,
        **changes,
    )
    evaluator = Evaluator(prompts[:11], 3, 6, ref_policy, scorer, scorer, None)
    run = trainer.run(evaluator, TrainingState(None))
    numbers = [value for iteration in run.iterations for value in iteration["metrics"].values()]
    for evaluation in run.evaluations:
        numbers += [float(np.mean(values)) for values in evaluation["measured"].values()]
    return numbers


EXAMPLES: dict[str, Callable[[], list[float]]] = {
    "language_model": language_model_losses,
    "adapters in two passes": adapted_losses,
    "reward_model": reward_model_losses,
    "ppo": ppo_losses,
}


def main(result: Path) -> None:
    processes = Processes.of_this_job()
    processes.connect()
    losses = {name: example() for name, example in EXAMPLES.items()}
    processes.disconnect()
    if processes.is_main:
        result.write_text(json.dumps({"num_processes": processes.number, **losses}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
