"""
Curves from scored samples: best-of-n from a pool of the initial policy, or means over checkpoints.

A pool (several responses to each prompt, no steps) gives best-of-n for every n up to a quarter of
the responses per prompt, by the unbiased estimator (WebGPT, Nakano et al. 2021, appendix I).
Samples with steps give one point a step, with KL as the mean log-ratio (k1).
"""

import numpy as np
import pandas as pd

from overopt.errors import UserError
from overopt.runs.record import Array, KLSource, RunCurve, ScoredSamples
from overopt.theory.best_of_n import best_of_n_scores
from overopt.theory.kl import best_of_n_kl, default_ns, estimated_best_of_n_kl

RESPONSES_PER_N = 4
MIN_RESPONSES = 8


def curve_of_samples(samples: ScoredSamples) -> RunCurve:
    """Make the curve that these samples hold.

    Scores are in within-prompt standard deviations of the initial samples (pool, or first step).

    Raises
    ------
    UserError
        Fewer than eight responses a prompt in a pool, or fewer than three steps.
    """
    steps = samples.table["step"].nunique() if "step" in samples.table else 1
    if steps > 1:
        return _over_steps(samples)
    return _best_of_n(samples)


def pool_matrix(samples: ScoredSamples) -> dict[str, Array]:
    """Scores of a pool as arrays (Q, N), N the fewest responses that a prompt has, by column.

    Prompts with fewer than eight responses are left out, and responses beyond N; both are noted.
    """
    table = samples.table
    counts = table.groupby("prompt_id").size()
    kept = counts[counts >= MIN_RESPONSES]
    if kept.empty:
        raise UserError(
            f"{samples.name}: {len(table):,} responses to {len(counts):,} prompts, at most "
            f"{counts.max()} to one; best-of-n needs at least {MIN_RESPONSES} responses of the "
            "initial policy to a prompt (64 and more are better)"
        )
    if len(kept) < len(counts):
        samples.notes.append(
            f"{len(counts) - len(kept)} prompts with fewer than {MIN_RESPONSES} responses are left "
            "out"
        )
    num = int(kept.min())
    rank = table.groupby("prompt_id").cumcount()
    is_used = table["prompt_id"].isin(kept.index) & (rank < num)
    if (left := int(kept.sum()) - int(is_used.sum())) > 0:
        samples.notes.append(f"{num} responses a prompt are used; {left:,} beyond are left out")
    rows = table[is_used].sort_values("prompt_id", kind="stable")
    return {
        str(column): rows[column].to_numpy(np.float64).reshape(len(kept), num)
        for column in rows.columns
        if column != "prompt_id"
    }


def _best_of_n(samples: ScoredSamples) -> RunCurve:
    pool = pool_matrix(samples)
    num_prompts, num = pool["proxy"].shape
    ns = np.array(default_ns(max(num // RESPONSES_PER_N, 2)))
    scores = {name: pool[name] for name in ("proxy", "gold") if name in pool}
    if "gold" in scores and not np.isfinite(scores["gold"]).all():
        del scores["gold"]
        samples.missing.append(
            "gold: not every response has one; `overopt diagnose` reads partly judged samples"
        )
    unit = {name: _within_prompt_sd(samples.name, name, values) for name, values in scores.items()}
    best = best_of_n_scores(pool["proxy"], scores, ns.tolist())
    per_prompt = {name: (values - values[:, :1]).T / unit[name] for name, values in best.items()}
    kl, source = _best_of_n_kl(pool, ns)
    per_prompt["kl"] = kl
    curve = RunCurve(
        samples.name,
        f"best-of-n from {samples.format}",
        "n",
        ns.astype(np.float64),
        per_prompt["proxy"].mean(axis=1),
        kl.mean(axis=1),
        source,
        per_prompt["gold"].mean(axis=1) if "gold" in per_prompt else None,
        keys=dict(samples.keys),
        notes=[*samples.notes, f"{num_prompts} prompts x {num} responses, n to {ns[-1]}"],
        missing=list(samples.missing),
        per_prompt=per_prompt,
    )
    curve.others["distinct_share"] = np.full(len(ns), _distinct_share(pool["response_id"]))
    return curve


def _best_of_n_kl(pool: dict[str, Array], ns: np.ndarray) -> tuple[Array, KLSource]:
    """KL of best-of-n for each n and prompt, (T, Q): the formula, or the estimate with repeats."""
    formula = np.repeat(best_of_n_kl(ns)[:, None], len(pool["proxy"]), axis=1)
    distinct = _distinct_share(pool["response_id"])
    if "logprob" in pool and np.isfinite(pool["logprob"]).all():
        logprobs, how = np.minimum(pool["logprob"], 0), "log-probabilities of the responses"
    elif distinct < 1:
        logprobs, how = _log_frequencies(pool["response_id"]), "frequencies in the pool"
    else:
        doubts = ("an upper bound if the sampling was not plain (temperature 1, no top-p)",)
        return formula, KLSource("n", "sequence", "formula", "log n - (n - 1) / n", doubts)
    if distinct == 1 and "logprob" not in pool:
        return formula, KLSource("n", "sequence", "formula")
    estimates = [
        best_of_n_scores(pool["proxy"], {"kl": estimated_best_of_n_kl(int(n), logprobs)}, [int(n)])
        for n in ns
    ]
    kl = np.stack([estimate["kl"][:, 0] for estimate in estimates])
    doubt = (
        f"{distinct:.1%} of the responses are distinct: the formula would say "
        f"{formula[-1, 0]:.2f} nats at n = {ns[-1]}, the estimate says {kl[-1].mean():.2f}"
    )
    return kl, KLSource(
        "n",
        "sequence",
        "formula",
        f"accounts for repeats (Beirami et al. 2025), by {how}",
        (doubt,),
    )


def _distinct_share(ids: Array) -> float:
    return sum(len(np.unique(row)) for row in ids) / ids.size


def _log_frequencies(ids: Array) -> Array:
    """Log share of each response's text among the responses to its prompt, (Q, N)."""
    result = np.empty(ids.shape)
    for row, texts in zip(result, ids, strict=True):
        _, inverse, counts = np.unique(texts, return_inverse=True, return_counts=True)
        row[:] = np.log(counts[inverse] / len(texts))
    return result


def _within_prompt_sd(name: str, score: str, values: Array) -> float:
    """Root mean variance of a score within prompts; the unit of this project's curves."""
    variance = float(np.nanmean(np.nanvar(values, axis=1, ddof=1)))
    if not variance > 0:
        raise UserError(
            f"{name}: all {score} scores of a prompt are equal; nothing can be selected"
        )
    return float(np.sqrt(variance))


def _over_steps(samples: ScoredSamples) -> RunCurve:
    table = samples.table
    prompts = table.groupby("prompt_id")["step"].nunique()
    steps = np.sort(table["step"].unique())
    everywhere = prompts[prompts == len(steps)].index
    per_prompt: dict[str, Array] = {}
    names = {"proxy": "proxy", "gold": "gold", "log_ratio": "kl"}
    first = table[table["step"] == steps[0]]
    for column, name in names.items():
        if column not in table or not table[column].notna().all():
            continue
        if len(everywhere) >= 2:
            wide = table[table["prompt_id"].isin(everywhere)].pivot_table(
                index="step", columns="prompt_id", values=column, aggfunc="mean"
            )
            per_prompt[name] = wide.to_numpy(np.float64)
        else:
            per_prompt[name] = table.groupby("step")[column].mean().to_numpy(np.float64)[:, None]
    for score in ("proxy", "gold"):
        if score in per_prompt:
            per_prompt[score] = (per_prompt[score] - per_prompt[score][:1]) / _unit(first, score)
    curve = RunCurve(
        samples.name,
        f"checkpoints in {samples.format}",
        "step",
        steps.astype(np.float64),
        per_prompt["proxy"].mean(axis=1),
        per_prompt["kl"].mean(axis=1) if "kl" in per_prompt else None,
        KLSource("logprob - ref_logprob", "sequence", "k1") if "kl" in per_prompt else None,
        per_prompt["gold"].mean(axis=1) if "gold" in per_prompt else None,
        keys=dict(samples.keys),
        notes=list(samples.notes),
        missing=list(samples.missing),
        per_prompt=per_prompt if len(everywhere) >= 2 else {},
    )
    if len(everywhere) < 2:
        curve.notes.append("prompts differ between steps: intervals are over residuals of the fit")
    return curve


def _unit(first: pd.DataFrame, score: str) -> float:
    """Within-prompt sd at the first step; over all responses where prompts have one response."""
    grouped = first.groupby("prompt_id")[score]
    variance = float(grouped.var(ddof=1).mean()) if (grouped.size() > 1).any() else float("nan")
    if not variance > 0:
        variance = float(first[score].var(ddof=1))
    return float(np.sqrt(variance)) if variance > 0 else 1.0
