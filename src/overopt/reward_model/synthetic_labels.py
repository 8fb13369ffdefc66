"""Gold labels: of two responses the one with the higher gold score is always preferred.

Section 2.1 of Gao et al. 2022. Beside these deterministic labels stands a sampled one for every
pair (footnote 4: "noisier results"): whether a choice drawn with the gold RM's own probability,
sigmoid of the score difference, would have gone the other way.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from overopt.config.reward_model import LabelSettings
from overopt.jobs.job import Job
from overopt.models.tokens import id_lists
from overopt.randomness import numpy_generator
from overopt.reward_model.gold_scorer import load_gold_rm

SPLITS = {"rm": "train", "rm_validation": "validation"}


def first_is_chosen(
    first_scores: np.ndarray, second_scores: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Which pairs prefer the first response, and which of them are ties, decided by a coin.

    The coin is thrown for every pair, so that one tie more changes no other label.
    """
    coin = rng.random(len(first_scores)) < 0.5
    is_tie = first_scores == second_scores
    return np.where(is_tie, coin, first_scores > second_scores), is_tie


def sampled_is_flipped(score_gaps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Whether a label sampled with the gold RM's probability prefers the lower score, (N,) bool.

    `score_gaps` (N,) are the absolute gold differences, at least 0, in logits.
    """
    return rng.random(len(score_gaps)) > 1 / (1 + np.exp(-score_gaps.astype(np.float64)))


def label_pairs(
    job: Job,
    settings: LabelSettings,
    pairs: Path,
    tokenizer_dir: Path,
    gold_rm: Path,
    comparisons: Path,
) -> None:
    """Write rows (split, prompt_ids, chosen_ids, rejected_ids, both gold scores, is_tie).

    And sampled_is_flipped, which turns the label into a sampled one.
    """
    table = pd.read_parquet(pairs)
    gold = load_gold_rm(gold_rm, tokenizer_dir)
    prompts = id_lists(table["prompt_ids"])
    ids = {name: id_lists(table[name]) for name in ("first_ids", "second_ids")}
    # One call for both, so that a response that was drawn twice ties with itself.
    both = gold.score([*prompts, *prompts], [*ids["first_ids"], *ids["second_ids"]])
    scores = dict(zip(ids, np.split(both, 2), strict=True))
    is_first, is_tie = first_is_chosen(
        scores["first_ids"], scores["second_ids"], numpy_generator(settings.seed, "ties")
    )
    rows: dict[str, object] = {
        "split": table["split"].map(SPLITS),
        "prompt_ids": table["prompt_ids"],
    }
    for column, takes_first in (("chosen", is_first), ("rejected", ~is_first)):
        rows[f"{column}_ids"] = [
            first if take else second
            for take, first, second in zip(takes_first, *ids.values(), strict=True)
        ]
        rows[f"{column}_gold_score"] = np.where(takes_first, *scores.values())
    gaps = np.abs(scores["first_ids"] - scores["second_ids"])
    is_flipped = sampled_is_flipped(gaps, numpy_generator(settings.seed, "sampled"))
    labelled = pd.DataFrame({**rows, "is_tie": is_tie, "sampled_is_flipped": is_flipped})
    labelled.to_parquet(comparisons, index=False)
    print(
        f"{len(table)} comparisons, {int(is_tie.sum())} ties, mean gold difference "
        f"{gaps.mean():.3f}, a sampled label differs in {is_flipped.mean():.1%}"
    )
