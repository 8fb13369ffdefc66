"""Scores of a pool by one proxy RM, which give its whole best-of-n curve."""

from pathlib import Path

import numpy as np
import pandas as pd

from overopt.config.best_of_n import BestOfNSettings
from overopt.jobs.job import Job
from overopt.methods.curves import curve_table
from overopt.models.tokens import id_lists
from overopt.reward_model.variants import load_proxy
from overopt.theory.best_of_n import best_of_n_scores
from overopt.theory.kl import best_of_n_kl, default_ns, estimated_best_of_n_kl
from overopt.theory.pool_table import by_prompt


def best_of_n_curve(
    job: Job,
    settings: BestOfNSettings,
    pool: Path,
    tokenizer_dir: Path,
    gold_scores: Path,
    proxy_rm: Path,
    proxy_scores: Path,
    curve: Path,
) -> None:
    """Write the proxy's score of every response and the curve for all n up to `max_n`."""
    table = pd.read_parquet(pool)
    scored = pd.read_parquet(gold_scores)
    proxy = load_proxy(settings.run.proxy_rm, proxy_rm, tokenizer_dir)
    scored["proxy_score"] = proxy.score(
        id_lists(table["prompt_ids"]), id_lists(table["response_ids"])
    )
    scored[["prompt_id", "proxy_score"]].to_parquet(proxy_scores, index=False)
    distinct = scored.groupby("prompt_id")["proxy_score"].nunique().sum()
    print(f"{1 - distinct / len(scored):.2%} of the proxy scores repeat another of their prompt")
    scores = {
        name: by_prompt(scored, name)
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
    logprobs = by_prompt(table, "logprob")
    measurements["kl_estimate"] = np.stack(
        [_kl_estimate(scores["proxy_score"], logprobs, n) for n in ns]
    )
    rows = curve_table(settings.run, proxy.num_parameters, ns, measurements)
    rows.to_parquet(curve, index=False)


def _kl_estimate(proxy_scores: np.ndarray, logprobs: np.ndarray, n: int) -> np.ndarray:
    """KL of best-of-n that accounts for repeated responses, averaged over those selected, (Q,)."""
    estimates = {"kl": estimated_best_of_n_kl(n, np.minimum(logprobs, 0))}
    return best_of_n_scores(proxy_scores, estimates, [n])["kl"][:, 0]
