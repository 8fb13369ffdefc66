"""
The exactly tilted distribution: the policy with the highest proxy score at its KL.

Among all policies at one KL from the initial policy pi_0, the expected proxy score is highest for
`pi_c ~ pi_0 exp(proxy / c)` (Gao et al. 2022, section 3.6: the optimum of RL with a KL penalty c).
Over a pool of samples of pi_0 it is a weighting. It tells how much of the KL that PPO spends, with
or without a penalty, buys proxy score.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq
from scipy.special import logsumexp

from overopt.jobs.job import Job
from overopt.methods.curves import MEASUREMENTS

Array = npt.NDArray[np.float64]

SQRT_KL_STEP = 0.2
POOL_MARGIN = 2.5
"""A pool of N shows a KL of up to log N; near that, few responses carry the whole weight."""


def tilted_log_weights(proxy_scores: Array, c: float) -> Array:
    """Log weights of responses under `exp(proxy / c)`, normalized per prompt; shape (Q, N)."""
    logits = proxy_scores / c
    return logits - logsumexp(logits, axis=1, keepdims=True)


def weights_kl(log_weights: Array) -> Array:
    """KL from the initial policy, per prompt (Q,), nats: `log N + sum_i w_i log w_i`.

    Of N samples of the initial policy, weighted; at most log N.
    """
    kl = np.log(log_weights.shape[1]) + (np.exp(log_weights) * log_weights).sum(axis=1)
    return np.maximum(kl, 0)


def penalty_at_kl(proxy_scores: Array, kl: float) -> float:
    """The penalty c under which the mean KL over prompts is `kl` nats.

    Raises ValueError if the pool is too small to show such a KL.
    """
    spread = float(proxy_scores.std(axis=1).mean())

    def excess(log_c: float) -> float:
        return float(weights_kl(tilted_log_weights(proxy_scores, np.exp(log_c))).mean()) - kl

    low, high = np.log(spread) - 12, np.log(spread) + 12
    if not excess(high) < 0 < excess(low):
        raise ValueError(f"no penalty gives a KL of {kl} nats over this pool")
    return float(np.exp(brentq(excess, low, high, xtol=1e-10)))


def tilted_scores(proxy_scores: Array, scores: dict[str, Array]) -> dict[str, Array]:
    """Scores of tilted policies over a grid of KL, by name, each of shape (points, Q).

    The first point is the initial policy. One penalty serves all prompts of a point, as in PPO, so
    that `kl` differs between prompts. `proxy_scores` and each of `scores` have shape (Q, N).
    """
    max_kl = np.log(proxy_scores.shape[1]) - POOL_MARGIN
    sqrt_kls = np.arange(SQRT_KL_STEP, np.sqrt(max(max_kl, 0)), SQRT_KL_STEP)
    log_weights = [np.full_like(proxy_scores, -np.log(proxy_scores.shape[1]))]
    for d in sqrt_kls:
        log_weights.append(tilted_log_weights(proxy_scores, penalty_at_kl(proxy_scores, d**2)))
    result = {
        name: np.stack([(np.exp(w) * values).sum(axis=1) for w in log_weights])
        for name, values in scores.items()
    }
    return result | {"kl": np.stack([weights_kl(w) for w in log_weights])}


def tilted_curve(
    job: Job, gold_scores: Path, proxy_scores: Path, best_of_n_curve: Path, curve: Path
) -> None:
    """Write the curve of the tilted policies of one proxy RM, in the schema of all curves.

    `method` is "tilted", and `step` numbers its points. The cell is that of `best_of_n_curve`.
    """
    scored = pd.read_parquet(gold_scores)
    scored["proxy_score"] = pd.read_parquet(proxy_scores)["proxy_score"]
    num_prompts = int(scored["prompt_id"].max()) + 1
    scores = {
        name: scored[name].to_numpy(np.float64).reshape(num_prompts, -1)
        for name in ("proxy_score", "gold_score", "human_score")
        if name in scored
    }
    cell = pd.read_parquet(best_of_n_curve)
    measured = tilted_scores(scores["proxy_score"], scores)
    num_points = len(measured["kl"])
    rows = pd.concat([cell[cell["n"] == 1]] * num_points, ignore_index=True)
    rows[list(MEASUREMENTS)] = np.nan
    for name, values in measured.items():
        rows[name] = values.ravel()
    step = np.repeat(np.arange(num_points), num_prompts)
    rows["method"], rows["n"] = "tilted", pd.array([pd.NA] * len(rows), dtype="Int64")
    rows["step"] = pd.array(step, dtype="Int64")
    rows.to_parquet(curve, index=False)
    print(f"{num_points} points, KL up to {measured['kl'][-1].mean():.2f} nats")
