"""The best of the first n responses to one prompt (Gao et al. 2022, Table 2).

Reads a pool, which holds token ids, and its scores; needs neither torch nor transformers.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tokenizers import Tokenizer

from overopt.config.figures import Table02Settings
from overopt.errors import UserError
from overopt.jobs.job import Job
from overopt.models.tokens import SPECIAL_IDS

MULTIPLES = (1, 3)  # the paper's n: 1, 3, 10, 30, ...
EOS_ID = SPECIAL_IDS[2]


def tabulate_one_prompt(
    job: Job,
    settings: Table02Settings,
    pool: Path,
    gold_scores: Path,
    gold_scale: Path,
    proxy_scores: Path,
    metrics: Path,
    tokenizer: Path,
    table: Path,
) -> None:
    """Write table 2 as CSV: prompt, n, response, proxy, gold.

    Scores count from the mean of the pool's responses to this prompt, in initial-policy standard
    deviations of gold, the proxy's by its temperature, as in every figure.
    """
    gold_sd = json.loads(gold_scale.read_text())["gold_sd_within_prompt"]
    temperature = json.loads(metrics.read_text())["temperature"]
    rows = pd.read_parquet(pool, columns=["prompt_id", "prompt_ids", "response_ids"])
    rows["gold"] = pd.read_parquet(gold_scores)["gold_score"] / gold_sd
    rows["proxy"] = pd.read_parquet(proxy_scores)["proxy_score"] / (temperature * gold_sd)
    rows = rows[rows["prompt_id"] == settings.prompt_id]
    if rows.empty:
        raise UserError(
            f"the pool has no prompt {settings.prompt_id}; expected an evaluation prompt"
        )
    rows = rows.assign(
        **{name: rows[name] - rows[name].mean() for name in ("gold", "proxy")}
    ).reset_index(drop=True)
    best = best_of_first(rows["proxy"].to_numpy(), table_ns(min(settings.max_n, len(rows))))
    chosen = rows.loc[list(best.values())].reset_index(drop=True)
    decoder = Tokenizer.from_file(str(tokenizer))
    responses = decode(decoder, chosen["response_ids"].tolist())
    result = pd.DataFrame(
        {
            "prompt": decode(decoder, chosen["prompt_ids"].tolist()),
            "n": list(best),
            "response": responses,
            "proxy": chosen["proxy"],
            "gold": chosen["gold"],
        }
    )
    result.to_csv(table, index=False, float_format="%.4f")


def table_ns(max_n: int) -> list[int]:
    """The n of the paper's table up to `max_n`: 1, 3, 10, 30, 100, ..."""
    candidates = [factor * 10**power for power in range(12) for factor in MULTIPLES]
    return [n for n in candidates if n <= max_n]


def best_of_first(proxy_scores: np.ndarray, ns: Sequence[int]) -> dict[int, int]:
    """Position of the highest proxy score among the first n responses, for n = 1 to N, (N,)."""
    return {n: int(np.argmax(proxy_scores[:n])) for n in ns}


def decode(tokenizer: Tokenizer, ids: Sequence[Sequence[int]]) -> list[str]:
    """Text of each sequence up to its `<eos>`, special tokens dropped."""
    rows = [[int(token) for token in row] for row in ids]
    cut = [row[: row.index(EOS_ID)] if EOS_ID in row else row for row in rows]
    return [tokenizer.decode(row, skip_special_tokens=True) for row in cut]
