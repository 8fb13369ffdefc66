"""The prompts of the embedded world, split by prompt, and demonstrations for the first part."""

from pathlib import Path

from overopt.config.data import EmbeddedDemonstrationSettings
from overopt.data.splits import require_every_part, split_prompts
from overopt.data.world.prompts import all_prompts
from overopt.data.world.tokenizer import build_tokenizer
from overopt.data.world.writers import write_demonstrations
from overopt.jobs.job import Job
from overopt.randomness import numpy_generator


def make_demonstrations(
    job: Job,
    settings: EmbeddedDemonstrationSettings,
    prompts: Path,
    demonstrations: Path,
    tokenizer_dir: Path,
) -> None:
    """Write the split prompts, the demonstrations (on the SFT part only) and the tokenizer."""
    split = split_prompts([prompt.text for prompt in all_prompts()], settings.splits.model_dump())
    require_every_part(split)
    sft_prompts = split.loc[split["split"] == "sft", "prompt"].tolist()
    table = write_demonstrations(
        sft_prompts, settings.num_demonstrations, numpy_generator(settings.seed, "writers")
    )
    split.to_parquet(prompts, index=False)
    table.to_parquet(demonstrations, index=False)
    build_tokenizer().save_pretrained(tokenizer_dir)
    print(f"{len(split)} prompts, {len(table)} demonstrations on {len(sft_prompts)} of them")
