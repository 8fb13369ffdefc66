"""A gold RM that others published: copied, and measured on human comparisons."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from overopt.config.reward_model import PublishedGoldRMSettings
from overopt.errors import UserError
from overopt.jobs.job import Job
from overopt.jobs.provenance import write_json
from overopt.models.checkpoint_files import WEIGHTS
from overopt.models.loading import num_parameters
from overopt.models.tokens import TOKENIZER_FILES
from overopt.reward_model.published import load_published, mark_as_published, score_texts
from overopt.reward_model.validation import validation_metrics


def take_as_gold_rm(
    job: Job,
    settings: PublishedGoldRMSettings,
    checkpoint: Path,
    comparisons: Path,
    model_dir: Path,
) -> None:
    """Copy a published reward model, and measure it on held-out human comparisons (text)."""
    for name in ("config.json", WEIGHTS, *TOKENIZER_FILES):
        shutil.copyfile(checkpoint / name, model_dir / name)
    mark_as_published(model_dir)
    model, tokenizer = load_published(model_dir)
    table = pd.read_parquet(comparisons)
    held_out = table[table["split"] == "validation"].iloc[: settings.num_validation]
    if len(held_out) < settings.num_validation:
        raise UserError(
            f"gold_rm.num_validation: {settings.num_validation}, but there are {len(held_out)} "
            "such comparisons; lower it or give more comparisons"
        )
    prompts = held_out["prompt"].tolist()
    both = score_texts(
        model,
        tokenizer,
        [*prompts, *prompts],
        [*held_out["chosen"].tolist(), *held_out["rejected"].tolist()],
    )
    chosen, rejected = np.split(both, 2)
    metrics = {
        "num_parameters": num_parameters(model),
        "num_comparisons": 0,
        "num_validation": len(held_out),
        "training_loss": None,
        **validation_metrics(chosen - rejected),
    }
    write_json(model_dir / "metrics.json", metrics)
    print(metrics)
