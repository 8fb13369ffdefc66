"""A gold RM that others published: copied, tried on the study's prompts, and measured."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from overopt.config.chat_format import ChatFormat
from overopt.config.reward_model import PublishedGoldRMSettings
from overopt.jobs.job import Job
from overopt.jobs.provenance import write_json
from overopt.models.checkpoint_files import WEIGHTS
from overopt.models.loading import num_parameters
from overopt.models.pipeline import read_own_tokenizer
from overopt.models.tokens import TOKENIZER_FILES
from overopt.reward_model.fixed_template import fix_template
from overopt.reward_model.published import (
    PublishedRewardModel,
    load_published,
    mark_as_published,
)
from overopt.reward_model.validation import (
    held_out_comparisons,
    require_distinctions,
    validation_metrics,
)

_ANSWER = " Yes."


def take_as_gold_rm(
    job: Job,
    settings: PublishedGoldRMSettings,
    checkpoint: Path,
    prompts: Path,
    comparisons: Path,
    model_dir: Path,
) -> None:
    """Copy a published reward model, and measure it on held-out human comparisons (text).

    Raises
    ------
    UserError
        Its chat template refuses a prompt of the study, or its scores tell no responses apart.
    """
    day = _copy(checkpoint, model_dir, settings.chat)
    gold = load_published(model_dir)
    _try_template(gold, pd.read_parquet(prompts)["prompt"].tolist())
    held_out = held_out_comparisons(comparisons, settings.num_validation)
    asked = held_out["prompt"].tolist()
    answers = [*held_out["chosen"].tolist(), *held_out["rejected"].tolist()]
    chosen, rejected = np.split(gold.score([*asked, *asked], answers), 2)
    require_distinctions(chosen - rejected, "gold_rm.checkpoint")
    example = gold.own_format.encode(asked[:1], answers[:1])[0]
    metrics = {
        "num_parameters": num_parameters(gold.model),
        "num_comparisons": 0,
        "num_validation": len(held_out),
        "training_loss": None,
        **validation_metrics(chosen - rejected),
        "chat_template_day": day,
        "reads": gold.own_format.readable(example),
    }
    write_json(model_dir / "metrics.json", metrics)
    print(metrics)
    print(f"what it reads, special tokens included, of {len(example['input_ids'])} tokens:")
    print(metrics["reads"])


def _copy(checkpoint: Path, model_dir: Path, chat: ChatFormat) -> str | None:
    """Copy a checkpoint and fix its chat template; the day of its clock, None without one."""
    for name in ("config.json", WEIGHTS, *TOKENIZER_FILES):
        shutil.copyfile(checkpoint / name, model_dir / name)
    mark_as_published(model_dir, chat)
    if not fix_template(model_dir, read_own_tokenizer(checkpoint), chat):
        return None
    day = chat.date.isoformat()
    print(f"its chat template reads the clock: it is {day}, always (gold_rm.chat.date)")
    return day


def _try_template(gold: PublishedRewardModel, prompts: list[str]) -> None:
    """Raise `UserError` where the chat template refuses a prompt of the study."""
    if gold.own_format.tokenizer.chat_template:
        for prompt in prompts:
            gold.own_format.render(prompt, _ANSWER)
