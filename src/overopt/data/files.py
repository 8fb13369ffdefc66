"""Demonstrations and comparisons from the user's own files (jsonl), split by prompt."""

from pathlib import Path

import pandas as pd

from overopt.config.data import FileSettings
from overopt.data.bpe import train_bpe_tokenizer
from overopt.data.jsonl import read_comparisons, read_demonstrations
from overopt.data.splits import require_every_part, split_prompts
from overopt.errors import UserError
from overopt.jobs.job import Job


def prepare_demonstrations(
    job: Job,
    settings: FileSettings,
    demonstrations_file: Path,
    comparisons_file: Path,
    prompts: Path,
    demonstrations: Path,
    tokenizer_dir: Path,
) -> None:
    """Split the prompts of both files, keep the demonstrations of the SFT part, train the BPE.

    The tokenizer learns from the text of the SFT and RM parts only: the evaluation prompts stay
    unseen.
    """
    written = read_demonstrations(demonstrations_file)
    judged = read_comparisons(comparisons_file)
    split = split_prompts([*written["prompt"], *judged["prompt"]], settings.splits.model_dump())
    require_every_part(split)
    kept = _of_parts(written, split, ["sft"])
    if kept.empty:
        raise UserError(
            f"{demonstrations_file}: none of its {len(written)} demonstrations has a prompt in "
            "the SFT part; give more demonstrations or raise splits.sft"
        )
    seen = _of_parts(judged, split, ["sft", "rm"])
    texts = pd.concat(
        [kept["prompt"], kept["response"], seen["prompt"], seen["chosen"], seen["rejected"]]
    )
    tokenizer = train_bpe_tokenizer(texts.drop_duplicates().tolist(), settings.vocabulary_size)
    split.to_parquet(prompts, index=False)
    kept[["prompt", "response"]].to_parquet(demonstrations, index=False)
    tokenizer.save_pretrained(tokenizer_dir)
    print(f"{len(split)} prompts: {split['split'].value_counts().to_dict()}")
    print(f"{len(kept)} of {len(written)} demonstrations are of the SFT part")


def prepare_human_comparisons(
    job: Job, comparisons_file: Path, prompts: Path, comparisons: Path
) -> None:
    """Keep the comparisons of the RM parts, with their split (train or validation), shuffled.

    The order is that of the prompts' hashes, so the rows of one prompt stay together but no
    order of the file survives.
    """
    split = pd.read_parquet(prompts)
    judged = read_comparisons(comparisons_file)
    kept = _of_parts(judged, split, ["rm", "rm_validation"])
    kept["split"] = kept["split"].map({"rm": "train", "rm_validation": "validation"})
    kept[["prompt", "chosen", "rejected", "split"]].to_parquet(comparisons, index=False)
    print(
        f"{len(kept)} of {len(judged)} comparisons are of the RM parts: "
        f"{kept['split'].value_counts().to_dict()}"
    )


def _of_parts(table: pd.DataFrame, split: pd.DataFrame, parts: list[str]) -> pd.DataFrame:
    """Rows whose prompt is in one of these parts, in the order of the split."""
    return split[split["split"].isin(parts)].merge(table, on="prompt", how="inner")
