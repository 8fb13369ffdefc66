"""
Curves of selection rules and of ensembles, from one pool that is scored already.

No model is trained and nothing is sampled: a rule is a weighting of the pool
(`overopt.theory.selection`), an ensemble a function of its members' scores. All curves share the
pool, its prompts and its proxies with plain best-of-n, so that every difference is paired.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.scored_pool import ScoredPool, ScoredProxy
from overopt.config.cells import CELL_KEYS
from overopt.config.methods import BEST_OF_N
from overopt.theory.best_of_n import best_of_n_scores
from overopt.theory.kl import best_of_n_kl
from overopt.theory.selection import (
    RULES,
    Rule,
    best_of_n_chi_squared,
    weights_chi_squared,
    weights_kl,
)

Array = npt.NDArray[np.float64]

POOL_MARGIN = 2.5
"""Nats between log N and the largest KL of a rule over N responses: beyond, few responses carry the
weight, and draws with replacement repeat them."""
VARIANCE_PENALTY = 0.5
"""Penalty of the mean minus variance, in sd of a proxy (Coste et al. 2024, best-of-n)."""
ENTROPIC_SCALE = 1.0
"""Scale b of the entropic combination; b to 0 is the worst member, b to infinity the mean."""


@dataclass(frozen=True)
class Combination:
    """How the scores of several proxies of one size become one.

    Attributes
    ----------
    name : in the column `variant` of tables.
    label : in sentences.
    combine : scores of shape (k, Q, N) to (Q, N).
    """

    name: str
    label: str
    combine: Callable[[Array], Array]


def _mean_minus_variance(scores: Array) -> Array:
    return scores.mean(axis=0) - VARIANCE_PENALTY * scores.var(axis=0, ddof=1)


def _entropic(scores: Array) -> Array:
    worst = scores.min(axis=0)
    return worst - ENTROPIC_SCALE * np.log(np.exp((worst - scores) / ENTROPIC_SCALE).mean(axis=0))


COMBINATIONS = (
    Combination("mean_of_seeds", "mean of the seeds", lambda scores: scores.mean(axis=0)),
    Combination("worst_of_seeds", "worst of the seeds", lambda scores: scores.min(axis=0)),
    Combination("mean_minus_variance_of_seeds", "mean minus variance", _mean_minus_variance),
    Combination("entropic_of_seeds", "entropic mean", _entropic),
)
"""Ensembles of the seeds of a size (Coste et al. 2024, arXiv 2310.02743). Each seed has a backbone
of its own, so they are pretraining ensembles (Eisenstein et al. 2024, arXiv 2312.09244)."""


def selection_curves(pool: ScoredPool, ns: Sequence[int]) -> pd.DataFrame:
    """Curves of best-of-n, of every rule and of every ensemble, of all proxies of the pool.

    One row for each cell, point and prompt: CELL_KEYS, n or step (rules: 1 is the initial policy,
    2, 3, ... the values of the dial), prompt_id, dial (its value; NaN for best-of-n), kl (nats),
    chi_squared, recalibrated_gold_score and recalibrated_proxy_score (sd of gold within a prompt;
    sd of this proxy on the pool), initial_gold_score and initial_proxy_score, both 0.

    A rule stops, for all proxies, where the KL of one comes within 2.5 nats of log N.

    Parameters
    ----------
    pool
        With one proxy for each size and seed.
    ns
        Of best-of-n, from 1.

    """
    tables = [_curve(proxy, pool.gold, ns) for proxy in pool.proxies]
    for rule in RULES:
        tables += _rule_curves(rule, pool)
    for members in pool.by_size().values():
        tables += [_curve(one, pool.gold, ns) for one in ensembles_of(members)]
    return pd.concat(tables, ignore_index=True)


def ensembles_of(members: Sequence[ScoredProxy]) -> Iterator[ScoredProxy]:
    """The ensembles of the seeds of one size, with the first seed's cell; none of a single seed."""
    if len(members) < 2:
        return
    scores = np.stack([member.scores for member in members])
    for combination in COMBINATIONS:
        cell = members[0].cell | {"variant": combination.name}
        combined = combination.combine(scores)
        yield ScoredProxy(cell, combined, float(combined.std(axis=1).mean()))


def _curve(proxy: ScoredProxy, gold: Array, ns: Sequence[int]) -> pd.DataFrame:
    """Best-of-n of one proxy, by the unbiased estimator."""
    best = best_of_n_scores(proxy.scores, {"gold": gold, "proxy": proxy.scores}, ns)
    n = np.asarray(ns)
    measured = {
        "kl": np.broadcast_to(best_of_n_kl(n), best["gold"].shape),
        "chi_squared": np.broadcast_to(best_of_n_chi_squared(n), best["gold"].shape),
        **best,
    }
    cell = proxy.cell | {"method": BEST_OF_N}
    return _table(cell, "n", n, {name: values.T for name, values in measured.items()})


def _rule_curves(rule: Rule, pool: ScoredPool) -> list[pd.DataFrame]:
    """Curves of one rule, of every proxy; as many points as all of them have."""
    points = [list(_points(rule, proxy.scores, pool.gold)) for proxy in pool.proxies]
    shared = min(len(of_proxy) for of_proxy in points)
    steps = np.arange(1, shared + 1)
    return [
        _table(
            proxy.cell | {"method": rule.name},
            "step",
            steps,
            {name: np.stack([point[name] for point in of_proxy[:shared]]) for name in of_proxy[0]},
        )
        for proxy, of_proxy in zip(pool.proxies, points, strict=True)
    ]


def _points(rule: Rule, scores: Array, gold: Array) -> Iterator[dict[str, Array]]:
    """Initial policy, then the values of the dial: arrays (Q,) by name."""
    num_prompts, num_responses = scores.shape
    uniform = np.full(scores.shape, 1 / num_responses)
    yield _point(uniform, scores, gold, np.zeros(num_prompts), np.nan)
    for value in rule.values:
        weights = rule.weights(scores, value)
        kl = weights_kl(weights) if rule.kl is None else np.full(num_prompts, rule.kl(value))
        if kl.mean() > np.log(num_responses) - POOL_MARGIN:
            return
        yield _point(weights, scores, gold, kl, value)


def _point(weights: Array, scores: Array, gold: Array, kl: Array, dial: float) -> dict[str, Array]:
    return {
        "kl": kl,
        "chi_squared": weights_chi_squared(weights),
        "gold": (weights * gold).sum(axis=1),
        "proxy": (weights * scores).sum(axis=1),
        "dial": np.full(len(kl), dial),
    }


def _table(
    cell: Mapping[str, object],
    point: str,
    numbers: npt.NDArray[np.integer],
    measured: Mapping[str, Array],
) -> pd.DataFrame:
    """Rows of one curve; each of `measured` has shape (points, Q)."""
    num_prompts = measured["gold"].shape[1]
    columns: dict[str, object] = {key: cell[key] for key in CELL_KEYS}
    repeated = pd.Series(np.repeat(numbers, num_prompts), dtype="Int64")
    for name in ("n", "step"):
        columns[name] = repeated if name == point else repeated.mask(repeated.notna())
    columns["prompt_id"] = np.tile(np.arange(num_prompts), len(numbers))
    columns["dial"] = measured["dial"].ravel() if "dial" in measured else np.nan
    columns["kl"] = measured["kl"].ravel()
    columns["chi_squared"] = measured["chi_squared"].ravel()
    for name in ("gold", "proxy"):
        columns[f"recalibrated_{name}_score"] = measured[name].ravel()
        columns[f"initial_{name}_score"] = 0.0
    return pd.DataFrame(columns)
