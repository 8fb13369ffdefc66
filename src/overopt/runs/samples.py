"""
Scored responses, read row by row: JSON lines, CSV, Parquet, and what known tools write.

Texts are not kept: a prompt becomes a number, a response the number of its text among the distinct
responses to its prompt. A million rows take seconds and some hundred megabytes.
"""

import csv
import gzip
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, cast

import numpy as np
import pandas as pd

from overopt.errors import UserError
from overopt.runs.record import ScoredSamples

Row = Mapping[str, object]

PROMPT = ("prompt", "input", "question", "instruction", "query")
RESPONSE = ("response", "completion", "output", "answer", "generation")
ROLES: dict[str, tuple[str, ...]] = {
    "proxy": ("proxy", "proxy_score", "reward", "rm_score", "score"),
    "gold": ("gold", "gold_score", "label", "human_score"),
    "logprob": ("logprob", "log_prob", "logprobs"),
    "ref_logprob": ("ref_logprob", "ref_log_prob", "ref_logprobs"),
    "length": ("length", "response_length", "num_tokens"),
    "step": ("step", "global_step", "checkpoint"),
}
ROWS_OF_A_PARQUET_BATCH = 65_536


def read_samples(path: Path, roles: Mapping[str, str] | None = None) -> ScoredSamples | None:
    """Read scored responses from a file, or from a folder of Parquet or JSON-lines files.

    Parameters
    ----------
    roles
        Role (prompt, response, proxy, gold, logprob, ref_logprob, length, step) -> column, where
        the user says which; else the first known name that the file has.

    Returns
    -------
    The samples; None where the file has no column of responses or none of scores.

    Raises
    ------
    UserError
        A column that is named is not there, a score is no number, or a line cannot be read.
    """
    files = _files_of(path)
    if not files:
        return None
    rows = _rows(files)
    first = next(rows, None)
    if first is None:
        raise UserError(f"{path}: has no rows")
    name, read = _layout(first)
    columns = _columns(path, first, roles or {}, name)
    if columns is None:
        return None
    return read(path, name, columns, _chain(first, rows))


def iterate_rows(path: Path) -> Iterator[Row]:
    """Yield every row of a file or folder, in the order of column `row` of the samples' table."""
    return _rows(_files_of(path))


def find_text_columns(path: Path, row: Row) -> tuple[str, str]:
    """Names of the columns of prompts and of responses.

    Raises UserError where one of them is not among the names known here.
    """
    found = [next((key for key in names if key in row), None) for names in (PROMPT, RESPONSE)]
    if found[0] is None or found[1] is None:
        raise UserError(
            f"{path}: no prompt ({', '.join(PROMPT)}) or no response ({', '.join(RESPONSE)}) among "
            f"its columns: {', '.join(row)}"
        )
    return found[0], found[1]


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path] if _format_of(path) else []
    return sorted(file for file in path.iterdir() if file.is_file() and _format_of(file))


def _format_of(path: Path) -> str | None:
    suffix = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    return suffix if suffix in ("jsonl", "json", "ndjson", "csv", "tsv", "parquet") else None


def _rows(files: Sequence[Path]) -> Iterator[Row]:
    for file in files:
        kind = _format_of(file)
        if kind == "parquet":
            yield from _parquet_rows(file)
        elif kind in ("csv", "tsv"):
            yield from _csv_rows(file, "\t" if kind == "tsv" else ",")
        else:
            yield from _json_rows(file)


def _open(path: Path) -> IO[str]:
    opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else None
    return cast(IO[str], opened or path.open(encoding="utf-8", newline=""))


def _json_rows(path: Path) -> Iterator[Row]:
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UserError(
                    f"{path}: line {number} is not JSON ({error}); expected one JSON object a line"
                ) from None
            if not isinstance(row, dict):
                raise UserError(
                    f"{path}: line {number} is no JSON object, but {type(row).__name__}"
                )
            yield cast(Row, row)


def _csv_rows(path: Path, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(1 << 30)
    with _open(path) as file:
        yield from csv.DictReader(file, delimiter=delimiter)


def _parquet_rows(path: Path) -> Iterator[Row]:
    import pyarrow.parquet as pq
    from pyarrow import ArrowInvalid

    try:
        for batch in pq.ParquetFile(path).iter_batches(ROWS_OF_A_PARQUET_BATCH):
            yield from batch.to_pylist()
    except ArrowInvalid as error:
        raise UserError(f"{path}: is no whole Parquet file ({error})") from None


def _chain(first: Row, rows: Iterable[Row]) -> Iterator[Row]:
    yield first
    yield from rows


Read = Callable[[Path, str, dict[str, str], Iterator[Row]], ScoredSamples]


def _layout(row: Row) -> tuple[str, Read]:
    """Name of the tool that wrote such rows, and how they are read."""
    if {"doc_id", "target", "filtered_resps"} <= row.keys():
        return "lm-eval samples", _read_lm_eval
    if {"step", "prompt", "completion", "advantage"} <= row.keys():
        return "TRL completions", _read_rows
    if {"input", "output", "score", "step"} <= row.keys():
        return "verl rollouts", _read_rows
    return "scored samples", _read_rows


def _columns(path: Path, row: Row, roles: Mapping[str, str], name: str) -> dict[str, str] | None:
    for role, column in roles.items():
        if column not in row:
            raise UserError(f"{path}: no column {column} ({role}); it has {', '.join(row)}")
    if name == "lm-eval samples":
        return dict(roles)
    columns = dict(roles)
    for role, names in {"prompt": PROMPT, "response": RESPONSE, **ROLES}.items():
        found = next((key for key in names if key in row), None)
        if role not in columns and found is not None and found not in columns.values():
            columns[role] = found
    if name == "TRL completions" and "proxy" not in roles:
        rewards = _reward_columns(row)
        if not rewards:
            raise UserError(f"{path}: TRL completions without a column of a reward function")
        columns["proxy"] = rewards[0]
        if len(rewards) > 1 and "gold" not in columns:
            columns["gold"] = rewards[1]
    has_samples = {"prompt", "response", "proxy"} <= columns.keys()
    return columns if has_samples else None


def _reward_columns(row: Row) -> list[str]:
    """Columns of TRL's completions that hold a reward function's scores."""
    fixed = {"step", "prompt", "completion", "advantage"}
    return [
        key
        for key, value in row.items()
        if key not in fixed and isinstance(value, float | int) and not isinstance(value, bool)
    ]


def _read_rows(
    path: Path, name: str, columns: dict[str, str], rows: Iterator[Row]
) -> ScoredSamples:
    numbers = [role for role in ("proxy", "gold", "logprob", "ref_logprob", "length", "step")]
    numbers = [role for role in numbers if role in columns]
    prompts: dict[object, int] = {}
    responses: dict[tuple[int, int], int] = {}
    ids: list[tuple[int, int]] = []
    values: list[list[float]] = [[] for _ in numbers]
    lengths: list[int] = []
    prompt_key, response_key = columns["prompt"], columns["response"]
    for number, row in enumerate(rows, 1):
        prompt = prompts.setdefault(_hashed(row.get(prompt_key)), len(prompts))
        text = row.get(response_key)
        response = responses.setdefault((prompt, hash(_hashed(text))), len(responses))
        ids.append((prompt, response))
        lengths.append(len(text) if isinstance(text, str) else 0)
        for role, column in zip(numbers, values, strict=True):
            column.append(_score(path, number, columns[role], row.get(columns[role]), role))
    pairs = np.array(ids, dtype=np.int64).reshape(-1, 2)
    table = pd.DataFrame({"prompt_id": pairs[:, 0], "response_id": pairs[:, 1]})
    table["row"] = np.arange(len(table))
    for role, column in zip(numbers, values, strict=True):
        table[role] = np.array(column, dtype=np.float64)
    if "length" not in table:
        table["length"] = np.array(lengths, dtype=np.float64)
        columns = {**columns, "length": f"characters of {response_key}"}
    samples = ScoredSamples(path.stem, f"{name} ({path.suffix.lstrip('.') or 'folder'})", table)
    samples.keys = columns
    _finish(samples)
    return samples


def _hashed(value: object) -> object:
    """Text as it is; a conversation or a list of parts as its JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _score(path: Path, number: int, column: str, value: object, role: str) -> float:
    if value is None or value == "":
        if role in ("gold", "logprob", "ref_logprob", "length"):
            return math.nan
        raise UserError(f"{path}: row {number} has no {column}; every row needs a {role}")
    try:
        return float(cast(float, value))
    except (TypeError, ValueError):
        shown = str(value)[:60]
        raise UserError(
            f"{path}: row {number}: {column} is {shown!r}; expected a number ({role})"
        ) from None


def _finish(samples: ScoredSamples) -> None:
    """Log-ratios from the two log-probabilities; rows without a finite proxy are left out."""
    table = samples.table
    if {"logprob", "ref_logprob"} <= set(table.columns):
        table["log_ratio"] = table["logprob"] - table["ref_logprob"]
    elif "step" in table:
        samples.missing.append(
            "KL: no columns logprob and ref_logprob (log-probability of the whole response, nats, "
            "by the policy and by the initial policy); `overopt kl` adds them"
        )
    known = np.isfinite(table["proxy"].to_numpy())
    if not known.all():
        samples.notes.append(f"{int((~known).sum())} rows without a finite proxy are left out")
        samples.table = table[known].reset_index(drop=True)
    if "gold" not in table or not table["gold"].notna().any():
        samples.table = samples.table.drop(columns=["gold"], errors="ignore")
        samples.missing.append(
            "gold: no column of gold scores; `overopt label-plan` says which responses to judge"
        )


def _read_lm_eval(
    path: Path, name: str, columns: dict[str, str], rows: Iterator[Row]
) -> ScoredSamples:
    """One row a document and filter, its responses in `filtered_resps`; a metric is the gold."""
    records: list[dict[str, float]] = []
    metrics: list[str] = []
    for row in rows:
        metrics = metrics or [
            str(metric) for metric in cast(list[object], row.get("metrics") or [])
        ]
        metric = columns.get("gold") or (metrics[0] if metrics else "")
        if metric not in row:
            raise UserError(f"{path}: no metric {metric or '(none named)'} in the samples")
        prompt = row["doc_id"]
        records.append(
            {
                "prompt_id": float(cast(float, prompt)),
                "response_id": float(len(records)),
                "proxy": math.nan,
                "gold": float(cast(float, row[metric])),
            }
        )
        columns = {**columns, "gold": metric}
    table = pd.DataFrame(records)
    samples = ScoredSamples(path.stem, name, table, columns)
    samples.missing.append(
        "proxy: an lm-eval log holds a verifier's score of each document and no reward model's; "
        "join it with your proxy scores (prompt, response, proxy, gold) for a curve"
    )
    return samples
