"""Tiny trainings, the same in one process and in several; run by a launcher, it writes them.

python tests/process_examples.py RESULT.json
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from overopt.models import build_policy, build_reward_model
from overopt.policy.config import LanguageModelSettings
from overopt.policy.training import train_language_model
from overopt.processes import Processes
from overopt.reward_model.config import RewardModelSettings
from overopt.reward_model.training import TokenizedComparisons, train_on_comparisons
from overopt.training_config import TransformerConfig
from overopt.training_state import TrainingState

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


def language_model_losses(**changes: object) -> list[float]:
    """Losses of supervised fine-tuning, batches of 7 rows."""
    settings = LanguageModelSettings.model_validate(
        {
            "shape": SHAPE.model_dump(),
            "optimization": {"learning_rate": 1e-2, "batch_size": 7, "num_epochs": 2},
            "text": TEXT,
            "seed": 0,
            **changes,
        }
    )
    policy = tiny_policy()
    return train_language_model(policy, *toy_responses(70), settings, TrainingState(None)).tolist()


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


EXAMPLES: dict[str, Callable[[], list[float]]] = {
    "language_model": language_model_losses,
    "reward_model": reward_model_losses,
}


def main(result: Path) -> None:
    processes = Processes.of_this_job()
    processes.meet()
    losses = {name: example() for name, example in EXAMPLES.items()}
    processes.part()
    if processes.is_main:
        result.write_text(json.dumps({"num_processes": processes.number, **losses}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
