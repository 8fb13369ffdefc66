"""
Files that hold logged numbers, read into named series: what is in a file, not what it means.

`read_logs` recognizes a file by its content, not its name: a trainer_state.json of transformers'
Trainer, JSON lines ({"step", "data"} as verl writes them, or flat), TensorBoard event files,
Weights & Biases history and chart exports as CSV. What the keys mean is said in `dialects`.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np

from overopt.errors import UserError
from overopt.runs.record import Array
from overopt.runs.tensorboard import is_event_file, read_events

STEP_KEYS = ("step", "_step", "global_step", "Step", "train/global_step", "trainer/global_step")
BANDS = ("__MIN", "__MAX")


@dataclass
class Log:
    """Numbers logged by one run.

    `rows`: step -> key -> value, in rising order of steps; `notes`: what was set aside, and why.
    """

    name: str
    container: str
    rows: dict[float, dict[str, float]]
    notes: list[str] = field(default_factory=list[str])

    @property
    def keys(self) -> set[str]:
        """Every key that was logged at least once."""
        return {key for row in self.rows.values() for key in row}

    def series(self, key: str, steps: Iterable[float]) -> Array:
        """Values of a key at these steps; NaN where a step has none."""
        return np.array([self.rows[step].get(key, math.nan) for step in steps], dtype=np.float64)


def read_logs(path: Path) -> list[Log] | None:
    """Read every run logged in a file or folder; None where it holds no log this module knows.

    A folder is one of TensorBoard event files, or of a transformers checkpoint.

    Raises
    ------
    UserError
        The file is a log that was cut short, holds two runs without names, or is a table of runs.
    """
    if path.is_dir():
        return _read_folder(path)
    with path.open("rb") as file:
        head = file.read(65_536)
    if is_event_file(head):
        return [_log(path, "TensorBoard", read_events(path))]
    start = head.lstrip()[:1]
    if start == b"{":
        return _read_json(path, head)
    if path.suffix.lower() in (".csv", ".tsv"):
        return _read_csv(path)
    return None


def _read_folder(path: Path) -> list[Log] | None:
    events = sorted(path.rglob("*tfevents*"))
    if events:
        folders: dict[Path, list[Path]] = {}
        for file in events:
            folders.setdefault(file.parent, []).append(file)
        return [
            _log(folder, "TensorBoard", (row for file in files for row in read_events(file)))
            for folder, files in folders.items()
        ]
    states = sorted(path.glob("checkpoint-*/trainer_state.json"), key=lambda p: p.stat().st_mtime)
    own = path / "trainer_state.json"
    if own.is_file():
        return read_logs(own)
    return read_logs(states[-1]) if states else None


def _read_json(path: Path, head: bytes) -> list[Log] | None:
    if b'"log_history"' in head or path.name == "trainer_state.json":
        return [_read_trainer_state(path)]
    try:
        first = json.loads(head.split(b"\n", 1)[0])
    except ValueError:
        return None
    if not isinstance(first, dict):
        return None
    keys = set(cast(dict[str, object], first))
    if {"step", "data"} <= keys and isinstance(first["data"], dict):
        return [_log(path, "JSON lines of verl's file logger", _nested_rows(path))]
    if keys & set(STEP_KEYS) and not keys & {"prompt", "input", "response", "output"}:
        return [_log(path, "JSON lines", _flat_rows(path))]
    return None


def _read_trainer_state(path: Path) -> Log:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"{path}: is no whole JSON ({error}); a trainer_state.json that was cut short. Take "
            "that of an earlier checkpoint"
        ) from None
    history = content.get("log_history") if isinstance(content, dict) else None
    if not isinstance(history, list) or not history:
        raise UserError(
            f"{path}: has no log_history, or an empty one; expected a trainer_state.json that the "
            "Trainer wrote after its first logging step (logging_steps)"
        )
    rows = cast(list[Mapping[str, object]], history)
    return _log(path, "trainer_state.json", ((row.get("step"), row) for row in rows))


def _json_lines(path: Path) -> Iterator[dict[str, object]]:
    with path.open(encoding="utf-8") as file:
        lines = file.readlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            if number == len(lines):  # the writer was killed, or still writes
                yield {"__cut": float(number)}
                return
            raise UserError(
                f"{path}: line {number} is not JSON ({error}); mend or remove the line"
            ) from None
        if isinstance(row, dict):
            yield cast(dict[str, object], row)


def _nested_rows(path: Path) -> Iterator[tuple[object, Mapping[str, object]]]:
    for row in _json_lines(path):
        data = row.get("data")
        yield row.get("step"), cast(Mapping[str, object], data if isinstance(data, dict) else row)


def _flat_rows(path: Path) -> Iterator[tuple[object, Mapping[str, object]]]:
    for row in _json_lines(path):
        key = next((key for key in STEP_KEYS if key in row), "step")
        yield row.get(key), {name: value for name, value in row.items() if name != key}


def _read_csv(path: Path) -> list[Log] | None:
    import pandas as pd

    try:
        table = pd.read_csv(path, sep=None, engine="python")
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a table ({error})") from None
    columns = [str(column) for column in table.columns]
    if {"Name", "State"} <= set(columns):
        raise UserError(
            f"{path}: is a table of runs (one row a run), not the history of one. Export a chart, "
            "or save the history: run.scan_history() of the wandb API gives every step"
        )
    charts = [column for column in columns[1:] if " - " in column]
    if charts and len(charts) == len(columns) - 1:
        return _chart_runs(path, table, columns[0], charts)
    step = next((key for key in STEP_KEYS if key in columns), None)
    if step is None or {"prompt", "response"} <= set(columns):
        return None
    rows = cast(list[dict[str, object]], table.to_dict("records"))
    log = _log(path, "CSV history", ((row[step], _without(row, step)) for row in rows))
    if len(table) == 500 and "_runtime" in columns:
        log.notes.append(
            "exactly 500 rows: the wandb API's history() samples a run to 500 rows; "
            "scan_history() gives them all"
        )
    return [log]


def _without(row: Mapping[str, object], key: str) -> dict[str, object]:
    return {name: value for name, value in row.items() if name != key}


def _chart_runs(path: Path, table: object, step: str, charts: list[str]) -> list[Log]:
    """Runs of a chart export: columns "<run> - <metric>", with bands __MIN and __MAX beside."""
    import pandas as pd

    frame = cast(pd.DataFrame, table)
    by_run: dict[str, dict[str, str]] = {}
    for column in charts:
        if column.endswith(BANDS):
            continue
        run, metric = column.rsplit(" - ", 1)
        by_run.setdefault(run, {})[metric] = column
    logs: list[Log] = []
    for run, metrics in by_run.items():
        rows = (
            (row[step], {metric: row[column] for metric, column in metrics.items()})
            for row in cast(list[dict[str, object]], frame.to_dict("records"))
        )
        logs.append(_log(path, "Weights & Biases chart CSV", rows, name=run))
    return logs


def _log(
    path: Path,
    container: str,
    rows: Iterable[tuple[object, Mapping[str, object]]],
    name: str | None = None,
) -> Log:
    """Merge rows of one step; where steps go back (a resumed run), the later rows count.

    Raises UserError where steps start over: two runs in one file.
    """
    merged: dict[float, dict[str, float]] = {}
    num_without_step = num_cut = num_superseded = 0
    last = -math.inf
    for step, row in rows:
        if "__cut" in row:
            num_cut += 1
            continue
        number = _number(step)
        if number is None or math.isnan(number):
            num_without_step += 1
            continue
        if number < last:
            if number <= min(merged) and len(merged) > 1:
                raise UserError(
                    f"{path}: its steps start over at {number:g} after {last:g}: the file holds "
                    "more than one run. Give each run a file of its own"
                )
            superseded = [old for old in merged if old >= number]
            num_superseded += len(superseded)
            for old in superseded:
                del merged[old]
        last = number
        values = {key: value for key, raw in row.items() if (value := _number(raw)) is not None}
        merged.setdefault(number, {}).update(values)
    if not merged:
        raise UserError(f"{path}: {container} without one row that has a step and a number")
    log = Log(name or path.stem, container, dict(sorted(merged.items())))
    if num_superseded:
        log.notes.append(
            f"steps go back: the run was resumed; {num_superseded} rows before are replaced by "
            "those after"
        )
    if num_without_step:
        log.notes.append(f"{num_without_step} rows without a step are left out")
    if num_cut:
        log.notes.append("the last line is cut short and left out")
    return log


def _number(value: object) -> float | None:
    """A number, or a text that is one; None for anything else (booleans are no numbers)."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float | np.number):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None
