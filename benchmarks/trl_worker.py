"""
One training by TRL, measured: the part that runs in TRL's environment, which has no overopt.

    python benchmarks/trl_worker.py JOB.json RESULT.json

JOB.json holds `kind` (ppo, rloo or reward), folders of models, rows of token ids, and `arguments`,
which go to TRL's config class as they are. RESULT.json gets the CPU seconds of each step (of PPO
and RLOO: each rollout with its updates) but the first, the settings in effect, what was computed.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedTokenizerFast,
    TrainerCallback,
)

Clock = Callable[[], float]
clock = time.process_time


class Steps(TrainerCallback):
    """CPU clock at the end of every step; the first step warms up."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Read the clock."""
        self.ends.append(clock())

    @property
    def seconds(self) -> list[float]:
        """Of every step but the first."""
        return [end - start for start, end in zip(self.ends, self.ends[1:], strict=False)]


def policy_of(folder: str) -> Any:
    """A policy in fp32."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def scorer_of(folder: str) -> Any:
    """A sequence classifier with one label, in fp32."""
    return AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)


def run_ppo(job: dict[str, Any], folder: str) -> dict[str, Any]:
    """PPO: seconds of each iteration, split into rollout, score and update."""
    from trl.experimental import ppo
    from trl.experimental.ppo import ppo_trainer

    tokenizer = PreTrainedTokenizerFast.from_pretrained(job["policy"], padding_side="left")
    steps, marks, lengths = Steps(), {"rollout": [], "score": []}, []
    generate, whiten = ppo_trainer.batch_generation, ppo_trainer.masked_whiten
    truncate = ppo_trainer.truncate_response

    def marked(function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def with_mark(*values: Any, **named: Any) -> Any:
            result = function(*values, **named)
            marks[name].append(clock())
            return result

        return with_mark

    def with_lengths(stop: int, pad: int, responses: torch.Tensor) -> torch.Tensor:
        cut = truncate(stop, pad, responses)
        lengths.append((cut != pad).sum(1).float().mean().item())
        return cut

    # The rollout ends with `batch_generation`, the preparation of the update with the whitening of
    # the advantages: between them lie log-probabilities, scores, values, rewards and GAE.
    ppo_trainer.batch_generation = marked(generate, "rollout")
    ppo_trainer.masked_whiten = marked(whiten, "score")
    ppo_trainer.truncate_response = with_lengths
    trainer = ppo.PPOTrainer(
        args=ppo.PPOConfig(output_dir=folder, **job["arguments"]),
        processing_class=tokenizer,
        model=policy_of(job["policy"]),
        ref_model=policy_of(job["policy"]),
        reward_model=scorer_of(job["reward_model"]),
        value_model=scorer_of(job["reward_model"]),
        train_dataset=Dataset.from_dict({"input_ids": job["prompts"]}),
        callbacks=[steps],
    )
    trainer.train()
    phases = {
        "rollout": [a - b for a, b in zip(marks["rollout"][1:], steps.ends, strict=False)],
        "score": [a - b for a, b in zip(marks["score"][1:], marks["rollout"][1:], strict=True)],
        "update": [a - b for a, b in zip(steps.ends[1:], marks["score"][1:], strict=True)],
    }
    in_effect = {name: getattr(trainer.args, name) for name in job["arguments"]}
    return {
        "seconds": steps.seconds,
        "phases": phases,
        "batch_size": trainer.args.batch_size,
        "response_length": sum(lengths) / len(lengths),
        "in_effect": in_effect,
    }


def run_rloo(job: dict[str, Any], folder: str) -> dict[str, Any]:
    """RLOO: seconds of each rollout with all its updates."""
    from trl import RLOOConfig, RLOOTrainer

    tokenizer = PreTrainedTokenizerFast.from_pretrained(job["policy"], padding_side="left")
    steps = Steps()
    trainer = RLOOTrainer(
        model=policy_of(job["policy"]),
        reward_funcs=scorer_of(job["reward_model"]),
        reward_processing_classes=PreTrainedTokenizerFast.from_pretrained(job["policy"]),
        args=RLOOConfig(output_dir=folder, **job["arguments"]),
        train_dataset=Dataset.from_dict({"prompt": job["texts"]}),
        processing_class=tokenizer,
        callbacks=[steps],
    )
    trainer.train()
    per_rollout = job["arguments"]["num_iterations"] * trainer.args.steps_per_generation
    # A rollout is made before its first step; the first rollout warms up.
    ends = steps.ends[per_rollout - 1 :: per_rollout]
    lengths = [row[key] for row in trainer.state.log_history for key in row if key == LENGTH]
    return {
        "seconds": [end - start for start, end in zip(ends, ends[1:], strict=False)],
        "batch_size": trainer.args.generation_batch_size,
        "response_length": sum(lengths) / max(1, len(lengths)),
        "in_effect": {name: getattr(trainer.args, name) for name in job["arguments"]},
    }


LENGTH = "completions/mean_length"


def run_reward(job: dict[str, Any], folder: str) -> dict[str, Any]:
    """Reward modelling: CPU seconds of every step but the first."""
    from trl import RewardConfig, RewardTrainer

    steps = Steps()
    trainer = RewardTrainer(
        model=scorer_of(job["reward_model"]),
        args=RewardConfig(output_dir=folder, **job["arguments"]),
        train_dataset=Dataset.from_dict(
            {"chosen_ids": job["chosen"], "rejected_ids": job["rejected"]}
        ),
        processing_class=PreTrainedTokenizerFast.from_pretrained(job["policy"]),
        callbacks=[steps],
    )
    trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return {
        "seconds": steps.seconds,
        "num_steps": len(steps.ends),
        "losses": losses,
        "in_effect": {name: getattr(trainer.args, name) for name in job["arguments"]},
    }


def main() -> None:
    """Do the job; write its result."""
    torch.set_num_threads(1)
    job = json.loads(Path(sys.argv[1]).read_text())
    runs = {"ppo": run_ppo, "rloo": run_rloo, "reward": run_reward}
    with tempfile.TemporaryDirectory() as folder:
        result = runs[job["kind"]](job, folder)
    import transformers
    import trl

    versions = {"trl": trl.__version__, "transformers": transformers.__version__}
    Path(sys.argv[2]).write_text(json.dumps({**result, "versions": versions}, default=str))


if __name__ == "__main__":
    main()
