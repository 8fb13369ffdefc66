"""Scores of a pool: once by the gold RM, once by each proxy RM, which gives its whole curve."""

from pathlib import Path

import numpy as np
import pandas as pd

from overopt.best_of_n import best_of_n_scores
from overopt.curves import curve_table
from overopt.job import Job
from overopt.kl import best_of_n_kl, default_ns
from overopt.models import load_reward_model, num_parameters
from overopt.pool.config import BestOfNSettings, PoolScoreSettings
from overopt.provenance import write_json
from overopt.reward_model.scoring import score_sequences
from overopt.score_units import within_prompt_sd
from overopt.tokens import decode_responses, join, load_tokenizer


def score_pool_by_gold(
    job: Job, settings: PoolScoreSettings, pool: Path, gold_rm: Path, scores: Path, scale: Path
) -> None:
    """Write gold_score (and human_score) of every response, in the pool's order, and their units.

    The units are standard deviations on this policy: within prompts, because a Bradley-Terry
    score has an arbitrary offset per prompt, and in total.
    """
    table = pd.read_parquet(pool)
    sequences = join(table["prompt_ids"].tolist(), table["response_ids"].tolist())
    gold_scores = score_sequences(load_reward_model(gold_rm), sequences)
    rows = {"prompt_id": table["prompt_id"], "gold_score": gold_scores}
    if settings.has_hidden_utility:
        rows["human_score"] = _hidden_utilities(table, gold_rm)
    scored = pd.DataFrame(rows)
    scored.to_parquet(scores, index=False)
    units: dict[str, float] = {}
    for name in ("gold", "human"):
        if f"{name}_score" in scored:
            by_prompt = _by_prompt(scored, f"{name}_score")
            units[f"{name}_sd_within_prompt"] = within_prompt_sd(by_prompt)
            units[f"{name}_sd_total"] = float(by_prompt.std())
            units[f"{name}_mean"] = float(by_prompt.mean())
    write_json(scale, units)
    print(units)


def _hidden_utilities(table: pd.DataFrame, tokenizer_dir: Path) -> np.ndarray:
    from overopt.world.utility import utilities  # the embedded world only

    tokenizer = load_tokenizer(tokenizer_dir)
    prompts = decode_responses(tokenizer, table["prompt_ids"].tolist())
    return utilities(prompts, decode_responses(tokenizer, table["response_ids"].tolist()))


def best_of_n_curve(
    job: Job,
    settings: BestOfNSettings,
    pool: Path,
    gold_scores: Path,
    proxy_rm: Path,
    proxy_scores: Path,
    curve: Path,
) -> None:
    """Write the proxy's score of every response and the curve for all n up to `max_n`."""
    table = pd.read_parquet(pool)
    sequences = join(table["prompt_ids"].tolist(), table["response_ids"].tolist())
    scored = pd.read_parquet(gold_scores)
    reward_model = load_reward_model(proxy_rm)
    scored["proxy_score"] = score_sequences(reward_model, sequences)
    scored[["prompt_id", "proxy_score"]].to_parquet(proxy_scores, index=False)
    scores = {
        name: _by_prompt(scored, name)
        for name in ("proxy_score", "gold_score", "human_score")
        if name in scored
    }
    ns = default_ns(settings.max_n)
    measurements = {
        name: values.T
        for name, values in best_of_n_scores(scores["proxy_score"], scores, ns).items()
    }
    num_prompts = len(scores["proxy_score"])
    measurements["kl"] = np.repeat(best_of_n_kl(ns)[:, None], num_prompts, axis=1)
    rows = curve_table(settings.run, num_parameters(reward_model), ns, measurements)
    rows.to_parquet(curve, index=False)


def _by_prompt(scored: pd.DataFrame, column: str) -> np.ndarray:
    """Scores as (prompts, responses); the pool has as many responses to every prompt."""
    num_prompts = int(scored["prompt_id"].max()) + 1
    return scored[column].to_numpy(np.float64).reshape(num_prompts, -1)
