"""Reading a file of somebody's run, whatever wrote it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np

from overopt.errors import UserError
from overopt.runs.containers import read_logs
from overopt.runs.dialects import KLKey, read_curve
from overopt.runs.label_plan import judged_curve
from overopt.runs.record import Estimator, KLSource, RunCurve, RunRecord, Unit
from overopt.runs.samples import read_samples
from overopt.theory.kl import best_of_n_kl

FORMATS = (
    "trainer_state.json (TRL), TensorBoard event files, JSON lines of verl, Weights & Biases CSV, "
    "scored samples (JSONL, CSV, Parquet), TRL's completions folder, bon_sampled_results.json, "
    "curve.parquet of this project"
)


@dataclass(frozen=True)
class Choices:
    """What the user says of a file, where it does not speak for itself.

    `columns`: role -> key or column (proxy, gold, kl, length, prompt, response, logprob, ...);
    `kl_unit`, `kl_estimator`: of the key named as kl; `temperature`: of the sampling.
    """

    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    kl_unit: Unit = "sequence"
    kl_estimator: Estimator = "k1"
    temperature: float | None = None

    @property
    def kl_key(self) -> KLKey | None:
        """The key that the user names as KL."""
        if "kl" not in self.columns:
            return None
        length = self.columns.get("length", "")
        return KLKey(self.columns["kl"], self.kl_unit, self.kl_estimator, length)


def read_run(path: Path, choices: Choices | None = None) -> list[RunRecord]:
    """Read every run of a file or folder.

    Raises
    ------
    UserError
        The path is not there, no format known here is found, or what is found is unusable; the
        message says what was found and what to do.
    """
    choices = choices or Choices()
    if not path.exists():
        raise UserError(f"{path}: is not there")
    if not path.is_dir() and path.stat().st_size == 0:
        raise UserError(f"{path}: is empty")
    records = (
        _best_of_n_results(path)
        or _our_curves(path)
        or _judged(path)
        or _reward_bench(path)
        or _logged(path, choices)
        or _sampled(path, choices)
    )
    if not records:
        raise UserError(f"{path}: holds no format known here. Read are: {FORMATS}")
    for record in records:
        _check_temperature(record, choices.temperature)
    return records


def _logged(path: Path, choices: Choices) -> list[RunRecord] | None:
    logs = read_logs(path)
    if logs is None:
        return None
    named = choices.columns
    kl = choices.kl_key
    return [
        read_curve(log, gold=named.get("gold"), proxy=named.get("proxy"), kl=kl) for log in logs
    ]


def _sampled(path: Path, choices: Choices) -> list[RunRecord] | None:
    samples = read_samples(path, choices.columns)
    return None if samples is None else [samples]


def _judged(path: Path) -> list[RunRecord] | None:
    curve = judged_curve(path)
    return None if curve is None else [curve]


def _best_of_n_results(path: Path) -> list[RunRecord] | None:
    """Best-of-n means as tlc4418/llm_optimization writes them: a list of n, proxy, gold."""
    if path.is_dir() or path.suffix != ".json":
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError):
        return None
    if not isinstance(content, list) or not content:
        return None
    found = cast(list[object], content)
    if not all(isinstance(row, dict) and {"n", "proxy_score"} <= row.keys() for row in found):
        return None
    rows = cast(list[dict[str, float]], found)
    rows = sorted(rows, key=lambda row: row["n"])
    ns = np.array([row["n"] for row in rows], dtype=np.float64)
    if (ns < 1).any() or (np.diff(ns) <= 0).any():
        raise UserError(f"{path}: n must be at least 1 and each n once; found {ns.tolist()}")
    curve = RunCurve(
        path.stem,
        "best-of-n means (list of n, proxy_score, gold_score)",
        "n",
        ns,
        np.array([row["proxy_score"] for row in rows], dtype=np.float64),
        kl=best_of_n_kl(ns),
        kl_source=KLSource(
            *("n", "sequence", "formula", "log n - (n - 1) / n"),
            doubts=("an upper bound where responses repeat, or at a temperature other than 1",),
        ),
        keys={"proxy": "proxy_score", "kl": "n"},
    )
    if all("gold_score" in row for row in rows):
        curve.gold = np.array([row["gold_score"] for row in rows], dtype=np.float64)
        curve.keys["gold"] = "gold_score"
    else:
        curve.missing.append("gold: no gold_score beside the proxy's")
    curve.notes.append("means over prompts only: intervals are over residuals of the fit")
    return [curve]


def _our_curves(path: Path) -> list[RunRecord] | None:
    """Curves of this project: curve.parquet of a cell, analysis/curves.parquet of a study."""
    if path.is_dir() or path.suffix != ".parquet":
        return None
    import pandas as pd
    import pyarrow.parquet as pq
    from pyarrow import ArrowInvalid

    try:
        columns = set(pq.ParquetFile(path).schema_arrow.names)
    except ArrowInvalid as error:
        raise UserError(f"{path}: is no whole Parquet file ({error})") from None
    if not {"method", "prompt_id", "kl", "proxy_score", "gold_score"} <= columns:
        return None
    table = pd.read_parquet(path)
    values = ("kl", "proxy_score", "gold_score", "n", "step", "prompt_id")
    keys = [column for column in table.columns if column not in values]
    keys = [column for column in keys if not column.endswith("_score") and "kl_" not in column[:3]]
    records: list[RunRecord] = []
    for key, rows in table.groupby(keys, dropna=False, sort=False):
        point = "n" if rows["n"].notna().any() else "step"
        means = rows.groupby(point)[["kl", "proxy_score", "gold_score"]].mean()
        cell = dict(zip(keys, cast(tuple[object, ...], key), strict=True))
        records.append(
            RunCurve(
                " ".join(f"{name}={value}" for name, value in cell.items()),
                "curve of overopt",
                point,
                means.index.to_numpy(np.float64),
                means["proxy_score"].to_numpy(np.float64),
                means["kl"].to_numpy(np.float64),
                KLSource("kl", "sequence", "formula" if point == "n" else "exact"),
                means["gold_score"].to_numpy(np.float64),
                keys={"proxy": "proxy_score", "kl": "kl", "gold": "gold_score"},
                per_prompt=_per_prompt(rows, point),
            )
        )
    return records


def _per_prompt(rows: object, point: str) -> dict[str, np.ndarray]:
    """Arrays (T, Q) of kl, proxy and gold, prompts in one order."""
    import pandas as pd

    table = cast(pd.DataFrame, rows)
    names = {"kl": "kl", "proxy": "proxy_score", "gold": "gold_score"}
    wide = {
        name: table.pivot(index=point, columns="prompt_id", values=c) for name, c in names.items()
    }
    return {name: values.to_numpy(np.float64) for name, values in wide.items()}


def _reward_bench(path: Path) -> list[RunRecord] | None:
    """Scores of RewardBench: pairs or accuracies, which hold no optimization."""
    if path.is_dir() or path.suffix not in (".json", ".jsonl"):
        return None
    try:
        with path.open(encoding="utf-8") as file:
            first = json.loads(file.readline() if path.suffix == ".jsonl" else file.read())
    except (ValueError, UnicodeDecodeError):
        return None
    if not isinstance(first, dict):
        return None
    keys = set(cast(dict[str, object], first))
    is_scores = keys == {"chosen", "rejected"} and all(
        isinstance(value, int | float) for value in first.values()
    )
    if is_scores or {"accuracy", "num_prompts", "extra_results"} <= keys:
        raise UserError(
            f"{path}: scores of RewardBench: a reward model's accuracy on fixed pairs. They hold "
            "no optimization, so there is no curve; `overopt diagnose` reads the score file as "
            "held-out accuracy (--heldout-pairs)"
        )
    return None


def _check_temperature(record: RunRecord, temperature: float | None) -> None:
    if temperature is None or temperature == 1:
        return
    record.notes.append(
        f"sampled at temperature {temperature:g}: KL and scores are those of tempered policies; "
        "best-of-n's formula for KL then holds from the tempered policy, not from the policy"
    )
