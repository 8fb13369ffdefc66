"""
Best-of-n by the gold RM itself: the law without any overoptimization.

The gold score of the best of n by gold rises with n and cannot fall. Fitted by the same law, its
beta is what the shape of the gold score's distribution alone gives: 0 or below for normal scores,
whose best of n goes on rising, positive where responses near the best possible are common. Of a
proxy's beta, only what lies above is the proxy's fault. Not in the paper.
"""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import skew

from overopt.analysis.bootstrap import draw_resamples
from overopt.analysis.intervals import prompt_columns
from overopt.config.gold_ceiling import GoldCeilingSettings
from overopt.jobs.job import Job
from overopt.randomness import numpy_generator
from overopt.theory.best_of_n import best_of_n_scores
from overopt.theory.form_fits import fit
from overopt.theory.forms import BEST_OF_N
from overopt.theory.kl import best_of_n_kl, default_ns
from overopt.theory.pool_table import by_prompt

Array = npt.NDArray[np.float64]


def gold_ceiling_table(
    gold_scores: Array, gold_sd: float, settings: GoldCeilingSettings
) -> pd.DataFrame:
    """Fit and end of best-of-n by gold, one row.

    Columns: alpha, beta (of `d (alpha - beta d)`, n >= 2), final_gold (at the largest n), each with
    _low and _high, intervals over prompts; r2; max_n, num_prompts; skewness of the gold
    score within prompts. Units as in `overopt.analysis.tables.coefficients`.

    Parameters
    ----------
    gold_scores
        Of the pool, shape (Q, N), raw.
    gold_sd
        Its standard deviation within a prompt.

    """
    centred = gold_scores - gold_scores.mean(axis=1, keepdims=True)
    ns = default_ns(settings.max_n)[1:]
    best = best_of_n_scores(centred, {"gold": centred}, ns)["gold"] / gold_sd
    rng = numpy_generator(settings.seed, "bootstrap")
    weights = draw_resamples(len(best), [0], settings.analysis.num_bootstrap, rng).prompt_weights
    gold = weights @ best
    d = np.sqrt(best_of_n_kl(np.asarray(ns)))
    law = fit(BEST_OF_N, np.broadcast_to(d, gold.shape), gold)
    row: dict[str, float] = {}
    for name, values in (("alpha", law.alpha), ("beta", law.beta), ("final_gold", gold[:, -1])):
        columns = prompt_columns(name, values, len(best), settings.analysis.confidence)
        row |= {column: float(value) for column, value in columns.items()}
    row |= {"r2": law.r2[0], "max_n": settings.max_n, "num_prompts": len(best)}
    return pd.DataFrame([row | {"skewness": float(skew(centred, axis=None))}])


def gold_ceiling(
    job: Job, settings: GoldCeilingSettings, gold_scores: Path, gold_scale: Path, ceiling: Path
) -> None:
    """Write `gold_ceiling_table` of one policy's pool."""
    scores = by_prompt(pd.read_parquet(gold_scores), "gold_score")
    gold_sd = json.loads(gold_scale.read_text())["gold_sd_within_prompt"]
    table = gold_ceiling_table(scores, gold_sd, settings)
    table.to_csv(ceiling, index=False, float_format="%.9g")
    print(table.round(3).to_string(index=False))
