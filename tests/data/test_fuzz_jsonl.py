"""Malformed files of human data: read, or refused with file and line, and never anything else.

`OVEROPT_FUZZ_EXAMPLES=10000 pytest tests/data/test_fuzz_jsonl.py` tries more than the suite does.
"""

import datetime
import gzip
import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from overopt.config.data import FileSettings, SplitConfig
from overopt.data import json_rows
from overopt.data.files import prepare_demonstrations, prepare_human_comparisons
from overopt.data.jsonl import read_comparisons
from overopt.errors import UserError
from overopt.jobs.job import Job

FUZZ = settings(
    max_examples=int(os.environ.get("OVEROPT_FUZZ_EXAMPLES", "1100")),
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    deadline=datetime.timedelta(seconds=10),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
NUM_PROMPTS = 40
DEMONSTRATIONS = [{"prompt": f"why {i}?", "response": f"as {i} is"} for i in range(NUM_PROMPTS)]
COMPARISONS = [
    {"prompt": f"why {i}?", "chosen": f"as {i} is", "rejected": "no"} for i in range(NUM_PROMPTS)
]
ROWS: dict[str, list[dict[str, str]]] = {
    "demonstrations": DEMONSTRATIONS,
    "comparisons": COMPARISONS,
}
JOB = Job(fingerprint="")
SETTINGS = FileSettings(
    splits=SplitConfig(sft=0.2, rm=0.2, rm_validation=0.2, ppo=0.2, evaluation=0.2),
    vocabulary_size=259,
)

# Text of JSON, whole or broken, and bytes that are none.

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=12),  # lone surrogates too
    st.sampled_from(
        ["", " ", "\n", "\0", "\ufeff", "\ud800", "\u2028", "<eos>", "e\u0301" * 9, "no"]
    ),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(TEXTS, st.sampled_from(["role", "content"])), inner, max_size=3),
    ),
    max_leaves=6,
)
COLUMNS = st.one_of(
    TEXTS,
    st.sampled_from(
        [
            *("prompt", "chosen", "rejected", "response", "Prompt", "question", "completion"),
            *("messages", "label", "k" * 500),
        ]
    ),
)
ODD_LINES = {
    "brackets": b"[" * 50_000,
    "braces": b'{"a":' * 50_000,
    "digits": b'{"prompt": ' + b"7" * 5_000 + b"}",
    "constants": b'{"prompt": NaN, "chosen": Infinity, "rejected": -Infinity}',
    "half a row": b'{"prompt": "why", "chosen"',
    "two rows": b'{"prompt": "a"} {"prompt": "b"}',
    "single quotes": b"{'prompt': 'why'}",
    "trailing comma": b'{"prompt": "why",}',
    "comment": b"// rows",
    "a list": b'["why", "as"]',
    "null": b"null",
    "bare surrogate": rb'{"prompt": "\ud83d", "chosen": "a", "rejected": "b"}',
    "overlong": b'{"prompt": "\xc0\xaf"}',
    "surrogate bytes": b'{"prompt": "\xed\xa0\x80"}',
    "cut character": b'{"prompt": "\xe2\x82',
    "mark": b"\xef\xbb\xbf{}",
    "control": b'{"prompt": "a\x01b"}',
    "long": b'{"prompt": "' + b"x" * 30_000 + b'"}',
    "many columns": json.dumps({str(i): i for i in range(1500)}).encode(),
}


def dumped(row: object, draw: st.DrawFn) -> bytes:
    text = json.dumps(row, ensure_ascii=draw(st.booleans()))
    return text.encode("utf-8", "surrogatepass")


def edited_line(draw: st.DrawFn, row: dict[str, str]) -> bytes:
    """One row with a fault, or with what is none."""
    kinds = ["value", "column", "drop", "rename", "repeat", "odd", "bytes", "cut", "flip", "random"]
    kind = draw(st.sampled_from(kinds))
    name = draw(st.sampled_from(list(row)))
    line = json.dumps(row).encode()
    place = draw(st.integers(0, len(line) - 1))
    edited: dict[Any, Any] = dict(row)
    if kind == "value":
        edited[name] = draw(VALUES)
    elif kind == "column":
        edited[draw(COLUMNS)] = draw(VALUES)
    elif kind == "drop":
        del edited[name]
    elif kind == "rename":
        edited[draw(COLUMNS)] = edited.pop(name)
    elif kind == "repeat":
        return line[:-1] + f', "{name}": "again"}}'.encode()
    elif kind == "odd":
        return ODD_LINES[draw(st.sampled_from(list(ODD_LINES)))]
    elif kind == "bytes":
        return line[:place] + draw(st.binary(min_size=1, max_size=4)) + line[place:]
    elif kind == "cut":
        return line[:place]
    elif kind == "flip":
        return (
            line[:place] + bytes([line[place] ^ (1 << draw(st.integers(0, 7)))]) + line[place + 1 :]
        )
    else:
        return draw(st.binary(max_size=60))
    return dumped(edited, draw)


@st.composite
def mutated_files(draw: st.DrawFn, rows: list[dict[str, str]]) -> bytes:
    """A whole file with one to three edited lines, or another kind of file."""
    lines = [json.dumps(row).encode() for row in rows]
    for _ in range(draw(st.integers(1, 3))):
        number = draw(st.integers(0, len(rows) - 1))
        lines[number] = edited_line(draw, rows[number])
    end = draw(st.sampled_from([b"\n"] * 12 + [b"\r\n", b"\r", b"\n\n", b"\n \n", b"", b"\0"]))
    content = end.join(lines) + draw(st.sampled_from([b"\n", b"", b"\n\n \n", b"\x1a"]))
    kinds = ["as it is"] * 20 + ["mark", "utf-16", "gzip", "cut", "array", "empty", "binary"]
    kind = draw(st.sampled_from(kinds))
    if kind == "mark":
        return b"\xef\xbb\xbf" + content
    if kind == "utf-16":
        return content.decode("latin-1").encode("utf-16")
    if kind == "gzip":
        return gzip.compress(content, mtime=0)
    if kind == "cut":
        return content[: draw(st.integers(0, len(content)))]
    if kind == "array":
        return b"[" + b",\n".join(lines) + b"]"
    if kind == "empty":
        return draw(st.sampled_from([b"", b"\n", b" \r\n", b"\xef\xbb\xbf"]))
    if kind == "binary":
        return draw(st.binary(max_size=400))
    return content


# What must hold of each.

LINE = re.compile(r"  (line [\d,]+: .+|and [\d,]+ more)")


def write_whole_files(folder: Path) -> dict[str, Path]:
    paths = {name: folder / f"{name}.jsonl" for name in ROWS}
    for name, path in paths.items():
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS[name]), encoding="utf-8")
    return paths


def prepare(paths: dict[str, Path], results: Path) -> None:
    """Both jobs that read the user's files, as the workflow runs them."""
    prompts, tokenizer = results / "prompts.parquet", results / "tokenizer"
    outputs = prompts, results / "demonstrations.parquet", tokenizer
    prepare_demonstrations(JOB, SETTINGS, paths["demonstrations"], paths["comparisons"], *outputs)
    prepare_human_comparisons(JOB, paths["comparisons"], prompts, results / "comparisons.parquet")


def check(paths: dict[str, Path], edited: str, results: Path) -> str:
    try:
        prepare(paths, results)
    except UserError as error:
        message = str(error)
        message.encode("utf-8")
        first, *others = message.split("\n")
        assert all(line.isprintable() for line in [first, *others]), message
        assert len(message) < 10_000
        assert list(results.iterdir()) == []
        if first.startswith(str(paths[edited])):
            assert not others or all(LINE.fullmatch(line) for line in others[:-1]), message
            return "refused with lines" if others else "refused whole"
        assert first.startswith("splits: no prompt fell into"), message
        return "too few rows"
    tables = [pd.read_parquet(path) for path in results.glob("*.parquet")]
    assert len(tables) == 3
    shutil.rmtree(results)
    results.mkdir()
    return "accepted"


def test_the_files_that_are_mutated_are_accepted(tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    assert check(write_whole_files(tmp_path), "comparisons", results) == "accepted"


@pytest.mark.parametrize("edited", ROWS)
def test_every_malformed_file_is_refused_with_its_lines(
    edited: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(json_rows, "MAX_LINE_BYTES", 20_000)  # huge lines are then cheap to make
    paths = write_whole_files(tmp_path)
    results = tmp_path / "results"
    results.mkdir()
    outcomes = dict.fromkeys(["accepted", "refused with lines", "refused whole", "too few rows"], 0)

    @FUZZ
    @given(mutated_files(ROWS[edited]))
    def read(content: bytes) -> None:
        paths[edited].write_bytes(content)
        outcomes[check(paths, edited, results)] += 1

    read()
    capsys.readouterr()
    print(edited, outcomes)
    assert outcomes["refused with lines"] + outcomes["refused whole"] >= 1000
    assert outcomes["accepted"] > 0


def test_a_row_of_very_many_columns_takes_no_time(tmp_path: Path) -> None:
    path = tmp_path / "comparisons.jsonl"
    path.write_text("{" + "".join(f'"{i}": 0, ' for i in range(400_000)) + '"399999": 1}')
    start = time.monotonic()
    with pytest.raises(UserError, match="line 1: the column '399999' comes twice"):
        read_comparisons(path)
    assert time.monotonic() - start < 10
