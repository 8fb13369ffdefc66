"""Scores of a pool by the gold RM, and the unit they give."""

from pathlib import Path

import pandas as pd

from overopt.config.best_of_n import PoolScoreSettings
from overopt.data.hidden_utility import hidden_utilities
from overopt.jobs.job import Job
from overopt.jobs.provenance import write_json
from overopt.models.tokens import id_lists
from overopt.reward_model.gold_scorer import load_gold_rm
from overopt.theory.pool_table import by_prompt
from overopt.theory.score_units import within_prompt_sd


def score_pool_by_gold(
    job: Job,
    settings: PoolScoreSettings,
    pool: Path,
    tokenizer_dir: Path,
    gold_rm: Path,
    scores: Path,
    scale: Path,
) -> None:
    """Write gold_score (and human_score) of every response, in the pool's order, and their units.

    The units are standard deviations on this policy: within prompts, because a Bradley-Terry
    score has an arbitrary offset per prompt, and in total.
    """
    table = pd.read_parquet(pool)
    gold = load_gold_rm(gold_rm, tokenizer_dir)
    prompts, responses = id_lists(table["prompt_ids"]), id_lists(table["response_ids"])
    gold_scores = gold.score(prompts, responses)
    rows = {"prompt_id": table["prompt_id"], "gold_score": gold_scores}
    if settings.has_hidden_utility:
        utilities = hidden_utilities(tokenizer_dir, settings.world)
        rows["human_score"] = utilities(prompts, responses)
    scored = pd.DataFrame(rows)
    scored.to_parquet(scores, index=False)
    units: dict[str, float] = {}
    for name in ("gold", "human"):
        if f"{name}_score" in scored:
            values = by_prompt(scored, f"{name}_score")
            units[f"{name}_sd_within_prompt"] = within_prompt_sd(values)
            units[f"{name}_sd_total"] = float(values.std())
            units[f"{name}_mean"] = float(values.mean())
    write_json(scale, units)
    print(units)
