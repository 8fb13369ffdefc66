"""Human comparisons and demonstrations: one format, read with every fault named by its line.

A file is jsonl in TRL's preference format: one JSON object a line, UTF-8, plain strings. The values
are parsed here, line by line, and handed to `datasets` as typed columns. Its own JSON loader is not
used: it guesses types before it applies the wanted ones, so that a text which is a date comes back
rewritten, and two rows that disagree about an unused column stop it without a line number.
"""

import codecs
import json
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import cast

import pandas as pd

from overopt.errors import UserError

COMPARISON_COLUMNS = ("prompt", "chosen", "rejected")
DEMONSTRATION_COLUMNS = ("prompt", "response")

# A line beyond this is a file of another kind; reading it whole could exhaust the memory.
MAX_LINE_BYTES = 16 * 2**20
MAX_FAULTS_SHOWN = 20
MAX_COLUMNS_SHOWN = 8

# The first bytes of files that are often given by mistake.
_OTHER_FORMATS = {
    b"\x1f\x8b": "a gzip file: decompress it",
    b"\x28\xb5\x2f\xfd": "a zstd file: decompress it",
    b"PK\x03\x04": "a zip file: unpack it",
    b"PAR1": "a Parquet file: write it with pandas.DataFrame.to_json(orient='records', lines=True)",
    codecs.BOM_UTF16_LE: "UTF-16 text: save it as UTF-8",
    codecs.BOM_UTF16_BE: "UTF-16 text: save it as UTF-8",
}
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
_JSON_TYPES = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}


class _LineFault(Exception):
    """What is wrong with one line, and what to do about it."""


def read_comparisons(path: Path) -> pd.DataFrame:
    """Human comparisons of a jsonl file: the input of the gold RM (Gao et al. 2022, section 2.1).

    Every line holds the strings `prompt`, `chosen` and `rejected` (chosen is the better one). Other
    columns are ignored; the same row may come twice.

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
    return _to_frame(rows, columns)


def _to_frame(rows: dict[str, list[str]], columns: tuple[str, ...]) -> pd.DataFrame:
    # Imported here because it takes a second that the jobs without text files need not pay.
    from datasets import Dataset, Features, Value

    # In memory: nothing is written to a cache folder. Large strings: more than 2 GiB a column.
    features = Features({column: Value("large_string") for column in columns})
    return cast(pd.DataFrame, Dataset.from_dict(rows, features=features).to_pandas())


def _read_rows(
    path: Path, stream: BufferedReader, columns: tuple[str, ...]
) -> dict[str, list[str]]:
    _refuse_other_formats(path, stream)
    rows: dict[str, list[str]] = {column: [] for column in columns}
    shown: list[str] = []
    num_lines = num_faults = 0
    for number, line in _numbered_lines(stream):
        num_lines += 1
        try:
            row = _parse_line(line, columns)
        except _LineFault as fault:
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
    start = stream.peek(4)
    for signature, kind in _OTHER_FORMATS.items():
        if start.startswith(signature):
            raise UserError(f"{path}: not jsonl but {kind}.")


def _numbered_lines(stream: BufferedReader) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers from 1, without the blank lines that end the file.

    A line longer than MAX_LINE_BYTES comes cut to one byte more than that.
    """
    number = num_blank = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        rest = line
        while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_LINE_BYTES + 1)
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if not line.strip() and len(line) <= MAX_LINE_BYTES:
            num_blank += 1
            continue
        yield from ((blank, b"") for blank in range(number - num_blank, number))
        num_blank = 0
        yield number, line


def _parse_line(line: bytes, columns: tuple[str, ...]) -> dict[str, str]:
    """Values of the wanted columns of one line; raises _LineFault with all that is wrong."""
    row = _parse_object(line)
    missing = [column for column in columns if column not in row]
    if missing:
        raise _LineFault(_missing_fault(missing, row))
    faults = [fault for column in columns if (fault := _value_fault(column, row[column]))]
    if not faults and "rejected" in columns and row["chosen"] == row["rejected"]:
        faults.append("'chosen' and 'rejected' are the same text: remove the row")
    if faults:
        raise _LineFault("; ".join(faults))
    return cast(dict[str, str], row)


def _parse_object(line: bytes) -> dict[str, object]:
    if len(line) > MAX_LINE_BYTES:
        raise _LineFault(f"longer than {MAX_LINE_BYTES // 2**20} MiB: put each row on its own line")
    if not line:
        raise _LineFault("blank: remove it")
    try:
        text = line.decode("utf-8").rstrip("\r\n")
        row = json.loads(text, object_pairs_hook=_object_without_repeats)
    except UnicodeDecodeError as error:
        byte = f"byte 0x{line[error.start]:02x} at position {error.start + 1}"
        raise _LineFault(f"not UTF-8 ({byte}): save the file as UTF-8") from error
    except json.JSONDecodeError as error:
        # An error at the very end: the row goes on below, as in JSON that is written with indents.
        remedy = "put the row whole on one line" if error.pos >= len(error.doc) else "mend the row"
        raise _LineFault(f"not JSON at column {error.colno} ({error.msg}): {remedy}") from error
    except RecursionError as error:
        raise _LineFault("JSON nested too deeply to be read: remove the row") from error
    except ValueError as error:
        raise _LineFault("a number with thousands of digits: remove it") from error
    if isinstance(row, list):
        raise _LineFault("a list, expected an object: put each row on its own line, without [ ]")
    if not isinstance(row, dict):
        raise _LineFault(f"{_type_name(row)}, expected an object")
    return row


def _object_without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # JSON leaves the meaning of a repeated key open, and json.loads would keep the last in silence.
    row: dict[str, object] = {}
    for name, value in pairs:
        if name in row:
            raise _LineFault(f"the column {_clip(name)} comes twice in one row: keep one")
        row[name] = value
    return row


def _missing_fault(missing: list[str], row: dict[str, object]) -> str:
    names = [_clip(name) for name in row][:MAX_COLUMNS_SHOWN]
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
        renames += [f"rename {_clip(others[0])} to {column!r}"] if others else []
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
        return f"{column!r} is {_type_name(value)} of chat turns: {_CONVERSATIONAL_HINT}"
    if not isinstance(value, str):
        return f"{column!r} is {_type_name(value)}, expected a string"
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


def _type_name(value: object) -> str:
    return _JSON_TYPES.get(type(value), "a string")


def _clip(name: str) -> str:
    return repr(name if len(name) <= 40 else name[:37] + "...")


def _listed(names: list[str]) -> str:
    return ", ".join(names) if names else "no columns"
