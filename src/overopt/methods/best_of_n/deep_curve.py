"""
Large-n best-of-n of one proxy RM (Gao et al. 2022, section 3.1: n up to 60,000).

The weight of a response in the estimate for n falls geometrically with its rank, so for large n
only the best by the proxy matter: only they are scored by gold. Small n is estimated from the first
responses of each prompt, all of which are scored. Both parts are the unbiased estimator.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from overopt.config.deep_best_of_n import DeepBestOfNSettings
from overopt.data.hidden_utility import Utilities, hidden_utilities
from overopt.jobs.job import Job
from overopt.methods.best_of_n.deep_pool import DeepPrompt, read_deep_pool
from overopt.methods.curves import curve_table
from overopt.reward_model.gold_scorer import load_gold_rm
from overopt.reward_model.scorer import Scorer
from overopt.reward_model.variants import load_proxy
from overopt.theory.best_of_n import best_of_n_scores, best_of_n_weights
from overopt.theory.kl import best_of_n_kl, default_ns, estimated_best_of_n_kl

NEGLIGIBLE = 1e-9
"""Total weight of the responses that gold does not score."""

Scores = Callable[[np.ndarray], Mapping[str, np.ndarray]]


def num_read(num_responses: int, n: int) -> int:
    """How many of the highest-ranked responses carry all but NEGLIGIBLE of the weight for `n`."""
    from_the_top = np.cumsum(best_of_n_weights(num_responses, [n])[::-1, 0])
    return min(num_responses, int(np.searchsorted(from_the_top, 1 - NEGLIGIBLE)) + 1)


def deep_scores(
    proxy_scores: np.ndarray, score: Scores, ns: list[int], num_scored: int
) -> dict[str, np.ndarray]:
    """Best-of-n scores of one prompt for all `ns`, by name, each of shape (len(ns),).

    Parameters
    ----------
    proxy_scores
        Shape (N,), of the whole pool.
    score
        Maps positions in the pool to their scores, by name: called for the first `num_scored`
        and for those that large n reads.
    ns
        Rising. Those up to a quarter of `num_scored` are estimated from the first responses.

    """
    low = [n for n in ns if 4 * n <= num_scored]
    head = np.arange(min(num_scored, len(proxy_scores)))
    parts = [_estimate(proxy_scores[head], dict(score(head)), low)] if low else []
    high = ns[len(low) :]
    if high:
        count = num_read(len(proxy_scores), high[0])
        lowest = np.partition(proxy_scores, -count)[-count]
        read = np.flatnonzero(proxy_scores >= lowest)  # ties with the lowest share its weight
        values = score(read)
        scores = {name: np.zeros(len(proxy_scores)) for name in values}
        for name, spread in scores.items():
            spread[read] = values[name]
        parts.append(_estimate(proxy_scores, scores, high))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _estimate(
    proxy_scores: np.ndarray, scores: dict[str, np.ndarray], ns: list[int]
) -> dict[str, np.ndarray]:
    named = {**scores, "proxy_score": proxy_scores.astype(np.float64)}
    rows = {name: values[None] for name, values in named.items()}
    return {name: v[0] for name, v in best_of_n_scores(proxy_scores[None], rows, ns).items()}


def deep_best_of_n_curve(
    job: Job,
    settings: DeepBestOfNSettings,
    pool: Path,
    tokenizer_dir: Path,
    gold_rm: Path,
    proxy_rm: Path,
    curve: Path,
) -> None:
    """Write the curve of one proxy RM over a large pool, for all n up to `max_n`."""
    proxy = load_proxy(settings.run.proxy_rm, proxy_rm, tokenizer_dir)
    is_known = settings.has_hidden_utility
    utilities = hidden_utilities(tokenizer_dir, settings.world) if is_known else None
    gold = _Gold(load_gold_rm(gold_rm, tokenizer_dir), utilities)
    ns = default_ns(settings.max_n)
    rows = []
    for prompt in read_deep_pool(pool):
        proxy_scores = proxy.score(prompt.repeated_prompt_ids, prompt.response_ids)
        score = partial(gold.scores, prompt)
        row = deep_scores(proxy_scores, score, ns, settings.num_scored_responses)
        row["kl"] = best_of_n_kl(ns)
        row["kl_estimate"] = _kl_estimates(prompt, proxy_scores, ns)
        rows.append(row)
        print(f"prompt {len(rows)}: {gold.num_scored} responses scored by gold", flush=True)
    measurements = {name: np.stack([row[name] for row in rows], axis=1) for name in rows[0]}
    table = curve_table(settings.run, proxy.num_parameters, ns, measurements)
    table.to_parquet(curve, index=False)


class _Gold:
    """Gold scores, and hidden utilities in the embedded world, of some responses of a prompt."""

    def __init__(self, scorer: Scorer, utilities: Utilities | None) -> None:
        self._scorer = scorer
        self._utilities = utilities
        self.num_scored = 0

    def scores(self, prompt: DeepPrompt, positions: np.ndarray) -> dict[str, np.ndarray]:
        responses = [prompt.response_ids[row] for row in positions]
        self.num_scored += len(responses)
        prompts = [prompt.prompt_ids] * len(responses)
        scores = {"gold_score": self._scorer.score(prompts, responses)}
        if self._utilities is not None:
            scores["human_score"] = self._utilities(prompts, responses)
        return scores


def _kl_estimates(prompt: DeepPrompt, proxy_scores: np.ndarray, ns: list[int]) -> np.ndarray:
    logprobs = np.minimum(prompt.logprobs, 0)
    estimates = ({"kl": estimated_best_of_n_kl(n, logprobs)} for n in ns)
    pairs = zip(ns, estimates, strict=True)
    return np.array([_estimate(proxy_scores, estimate, [n])["kl"][0] for n, estimate in pairs])
