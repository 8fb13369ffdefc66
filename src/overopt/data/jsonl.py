"""Human comparisons and demonstrations: one format, read with every fault named by its line.

A file is jsonl in TRL's preference format: one JSON object a line, UTF-8, plain strings. A prompt
that stands again at the start of nearly all responses is taken off them (`repeated_prompts`).
"""

import codecs
import json
from io import BufferedReader
from pathlib import Path
from typing import cast

import pandas as pd

from overopt.data.file_kinds import NUM_BYTES, kind_of
from overopt.data.json_rows import RowFault, clipped, numbered_lines, parse_object, type_name
from overopt.data.repeated_prompts import without_repeated_prompts
from overopt.errors import UserError

COMPARISON_COLUMNS = ("prompt", "chosen", "rejected")
DEMONSTRATION_COLUMNS = ("prompt", "response")

MAX_FAULTS_SHOWN = 20
MAX_COLUMNS_SHOWN = 8

_OTHER_NAMES = {
    "prompt": ("question", "query", "instruction", "input", "context", "post"),
    "chosen": ("chosen_response", "response_chosen", "preferred", "winner", "better", "answer_w"),
    "rejected": ("rejected_response", "response_rejected", "dispreferred", "loser", "worse"),
    "response": ("completion", "answer", "output", "text", "summary", "target", "label"),
}
_CONVERSATIONAL_COLUMNS = ("messages", "conversations", "conversation")
_CONVERSATIONAL_HINT = (
    "conversational format is not read here: render each list of turns to plain text, for example"
    " with tokenizer.apply_chat_template(turns, tokenize=False)"
)


def read_comparisons(path: Path) -> pd.DataFrame:
    """Human comparisons of a jsonl file: the input of the gold RM (Gao et al. 2022, section 2.1).

    Every line holds the strings `prompt`, `chosen` and `rejected` (chosen is the better one). Other
    columns are ignored; the same row may come twice. Prints where prompts were taken off responses.

    Returns
    -------
    Columns prompt, chosen, rejected (str), one row per line, in the order of the file.

    Raises
    ------
    UserError: the file cannot be read, is empty, or has faulty lines: each with its line number
    (the first 20) and what to do.
    """
    return _read_table(path, COMPARISON_COLUMNS)


def read_demonstrations(path: Path) -> pd.DataFrame:
    """Demonstrations of a jsonl file: the input of supervised fine-tuning (section 2.1).

    Every line holds the strings `prompt` and `response`. Other columns are ignored.

    Returns
    -------
    Columns prompt, response (str), one row per line, in the order of the file.

    Raises
    ------
    UserError: as `read_comparisons`.
    """
    return _read_table(path, DEMONSTRATION_COLUMNS)


def _read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        with path.open("rb") as stream:
            rows = _read_rows(path, stream, columns)
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such file. Check the path in the config.") from error
    except IsADirectoryError as error:
        raise UserError(f"{path}: a folder, expected a file. {_files_inside(path)}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error
    return without_repeated_prompts(path, pd.DataFrame(rows))


def _read_rows(
    path: Path, stream: BufferedReader, columns: tuple[str, ...]
) -> dict[str, list[str]]:
    _refuse_other_formats(path, stream)
    rows: dict[str, list[str]] = {column: [] for column in columns}
    shown: list[str] = []
    num_lines = num_faults = 0
    for number, line in numbered_lines(stream):
        num_lines += 1
        try:
            row = _parse_line(line, columns)
        except RowFault as fault:
            num_faults += 1
            if len(shown) < MAX_FAULTS_SHOWN:
                shown.append(f"  line {number:,}: {fault}")
            continue
        for column in columns:
            rows[column].append(row[column])
    if num_faults:
        raise UserError(_fault_report(path, shown, num_faults, num_lines, columns))
    if not num_lines:
        raise UserError(f"{path}: the file is empty. {_expected(columns)}")
    return rows


def _refuse_other_formats(path: Path, stream: BufferedReader) -> None:
    start = stream.peek(NUM_BYTES)
    if kind := kind_of(start[:NUM_BYTES]):
        raise UserError(f"{path}: not jsonl but {kind.name}: {kind.remedy}.")
    if start.removeprefix(codecs.BOM_UTF8).splitlines()[:1] in ([b"["], [b"[{"], [b"{"]):
        raise UserError(
            f"{path}: not jsonl but JSON written over several lines: put each row whole on a line "
            "of its own, without [ ]."
        )


def _parse_line(line: bytes, columns: tuple[str, ...]) -> dict[str, str]:
    """Values of the wanted columns of one line; raises RowFault with all that is wrong."""
    row = parse_object(line)
    missing = [column for column in columns if column not in row]
    if missing:
        raise RowFault(_missing_fault(missing, row))
    faults = [fault for column in columns if (fault := _value_fault(column, row[column]))]
    if not faults and "rejected" in columns and row["chosen"] == row["rejected"]:
        faults.append("'chosen' and 'rejected' are the same text: remove the row")
    if faults:
        raise RowFault("; ".join(faults))
    return cast(dict[str, str], row)


def _missing_fault(missing: list[str], row: dict[str, object]) -> str:
    names = [clipped(name) for name in row][:MAX_COLUMNS_SHOWN]
    if len(row) > MAX_COLUMNS_SHOWN:
        names.append(f"{len(row) - MAX_COLUMNS_SHOWN} more")
    fault = f"no column {_listed([repr(column) for column in missing])}; it has {_listed(names)}"
    return "; ".join([fault, *_missing_hints(missing, row)])


def _missing_hints(missing: list[str], row: dict[str, object]) -> list[str]:
    if any(name in row for name in _CONVERSATIONAL_COLUMNS):
        return [_CONVERSATIONAL_HINT]
    by_lower_case = {name.lower(): name for name in row}
    renames = []
    for column in missing:
        others = [by_lower_case[o] for o in (column, *_OTHER_NAMES[column]) if o in by_lower_case]
        renames += [f"rename {clipped(others[0])} to {column!r}"] if others else []
    if renames:
        return renames
    if missing == ["prompt"]:
        return ["move the text that the responses answer into a column 'prompt'"]
    if missing == ["response"] and "chosen" in row:
        return ["this looks like a file of comparisons, not of demonstrations"]
    if "chosen" in missing and "response" in row:
        return ["this looks like a file of demonstrations, not of comparisons"]
    return []


def _value_fault(column: str, value: object) -> str | None:
    if _is_conversational(value):
        return f"{column!r} is {type_name(value)} of chat turns: {_CONVERSATIONAL_HINT}"
    if not isinstance(value, str):
        return f"{column!r} is {type_name(value)}, expected a string"
    if not value.strip():
        return f"{column!r} is empty: give it a text or remove the row"
    if "\0" in value:
        return f"{column!r} holds a NUL character (\\u0000): remove it"
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        escape = f"\\u{ord(value[error.start]):04x}"
        return f"{column!r} holds half of a surrogate pair ({escape}): remove or complete it"
    return None


def _is_conversational(value: object) -> bool:
    turns = value if isinstance(value, list) else [value]
    return any(isinstance(turn, dict) and turn.keys() & {"role", "content"} for turn in turns)


def _fault_report(
    path: Path, shown: list[str], num_faults: int, num_lines: int, columns: tuple[str, ...]
) -> str:
    more = [f"  and {num_faults - len(shown):,} more"] if num_faults > len(shown) else []
    head = f"{path}: {num_faults:,} of {num_lines:,} lines cannot be used."
    return "\n".join([head, *shown, *more, _expected(columns)])


def _expected(columns: tuple[str, ...]) -> str:
    example = json.dumps({column: "..." for column in columns})
    return f"Expected: UTF-8 text with one JSON object of strings on each line, as {example}"


def _files_inside(folder: Path) -> str:
    names = sorted(child.name for child in folder.glob("*.jsonl"))[:MAX_COLUMNS_SHOWN]
    return f"Name one of the files in it: {_listed(names)}." if names else "Name a jsonl file."


def _listed(names: list[str]) -> str:
    return ", ".join(names) if names else "no columns"
