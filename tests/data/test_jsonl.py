"""Readers of human data: what they return, and that every fault is named by its line."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from overopt.data import json_rows
from overopt.data.jsonl import read_comparisons, read_demonstrations
from overopt.errors import UserError

GOOD = {"prompt": "Who?", "chosen": "Ada Lovelace.", "rejected": "A person."}
GOOD_LINE = json.dumps(GOOD)


def written(tmp_path: Path, *lines: str | bytes | Mapping[str, object]) -> Path:
    path = tmp_path / "human.jsonl"
    texts = [json.dumps(line) if isinstance(line, Mapping) else line for line in lines]
    raw = [text.encode() if isinstance(text, str) else text for text in texts]
    path.write_bytes(b"".join(line + b"\n" for line in raw))
    return path


def fault_of(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_comparisons(path)
    return str(caught.value)


def test_rows_come_back_as_written_and_in_order(tmp_path):
    rows = [GOOD, GOOD | {"prompt": "O\u00f9? \u2028 \U0001f600", "chosen": "  two\nlines\t"}, GOOD]
    frame = read_comparisons(written(tmp_path, *rows))
    assert frame.to_dict("records") == rows
    assert list(frame.columns) == ["prompt", "chosen", "rejected"]
    assert all(dtype == pd.StringDtype(na_value=np.nan) for dtype in frame.dtypes)
    frame.to_parquet(tmp_path / "human.parquet")
    assert pd.read_parquet(tmp_path / "human.parquet").equals(frame)


def test_demonstrations_are_read(tmp_path):
    rows = [{"prompt": "Who?", "response": "Ada."}, {"response": "Bob.", "prompt": "Who?", "id": 1}]
    frame = read_demonstrations(written(tmp_path, *rows))
    assert frame.to_dict("list") == {"prompt": ["Who?"] * 2, "response": ["Ada.", "Bob."]}


def test_texts_that_look_like_other_types_stay_as_they_are(tmp_path):
    texts = ["2021-01-01T10:00:00", "12", "null", "true", "1e5", "0012"]
    rows = [{"prompt": text, "chosen": text + " ", "rejected": "no"} for text in texts]
    assert read_comparisons(written(tmp_path, *rows))["prompt"].tolist() == texts


def test_other_columns_are_ignored_though_their_types_disagree(tmp_path):
    extras: list[object] = [1, "one", None, [1, "a"], {"nested": {"deep": [1.5]}}]
    frame = read_comparisons(written(tmp_path, *[GOOD | {"annotator": e} for e in extras]))
    assert frame.to_dict("records") == [GOOD] * len(extras)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n  \n\t\n"])
def test_the_end_of_the_file_may_be_blank(tmp_path, end):
    path = tmp_path / "human.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD_LINE.encode() + b"\r\n" + GOOD_LINE.encode() + end)
    assert len(read_comparisons(path)) == 2


def test_missing_file_and_folder(tmp_path):
    assert "absent.jsonl: there is no such file" in fault_of(tmp_path / "absent.jsonl")
    assert "a folder, expected a file. Name a jsonl file." in fault_of(tmp_path)
    written(tmp_path, GOOD)
    assert "Name one of the files in it: human.jsonl." in fault_of(tmp_path)
    assert "cannot be read" in fault_of(tmp_path / "human.jsonl" / "below.jsonl")


@pytest.mark.parametrize("content", [b"", b"\n", b"  \n\r\n\n", b"\xef\xbb\xbf"])
def test_empty_file(tmp_path, content):
    path = tmp_path / "human.jsonl"
    path.write_bytes(content)
    assert "the file is empty" in fault_of(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x1f\x8b\x08\x00...", "a gzip file: decompress it"),
        (b"PAR1....", "a Parquet file"),
        (GOOD_LINE.encode("utf-16"), "UTF-16 text: save it as UTF-8"),
    ],
)
def test_other_kinds_of_files_are_recognized(tmp_path, content, words):
    path = tmp_path / "human.jsonl"
    path.write_bytes(content)
    assert words in fault_of(path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", ["blank: remove it"]),
        ('{"prompt": "a" "b"}', ["not JSON at column 16 (Expecting ',' delimiter): mend the row"]),
        ('{"prompt": "a\tb"}', ["not JSON at column 14 (Invalid control character"]),
        ("{", ["not JSON at column 2", "put the row whole on one line"]),
        ("[" * 100_000, ["nested too deeply"]),
        ('{"id": ' + "1" * 5_000 + "}", ["a number with thousands of digits"]),
        (b'{"prompt": "caf\xe9"}', ["not UTF-8 (byte 0xe9 at position 16): save"]),
        (b'"\xff"', ["not UTF-8 (byte 0xff at position 2)"]),
        ("[" + GOOD_LINE + "]", ["a list, expected an object", "without [ ]"]),
        ('"text"', ["a string, expected an object"]),
        ("null", ["null, expected an object"]),
        ("1.5", ["a number, expected an object"]),
        ('{"prompt": "a", "prompt": "b"}', ["the column 'prompt' comes twice"]),
        ("{}", ["no column 'prompt', 'chosen', 'rejected'; it has no columns"]),
        ({"prompt": "a", "chosen": "b"}, ["no column 'rejected'; it has 'prompt', 'chosen'"]),
        (
            {"Question": "a", "chosen": "b", "loser": "c"},
            ["no column 'prompt', 'rejected'", "'Question' to 'prompt'", "'loser' to 'rejected'"],
        ),
        ({"chosen": "b", "rejected": "c"}, ["move the text that the responses answer"]),
        ({"prompt": "a", "response": "b"}, ["this looks like a file of demonstrations"]),
        ({"messages": [{"role": "user"}]}, ["conversational format is not read here"]),
        ({str(i): "a" for i in range(11)}, ["'7', 3 more"]),
        ({"k" * 10_000: "a"}, ["it has '" + "k" * 37 + "...'"]),
        (GOOD | {"prompt": None}, ["'prompt' is null, expected a string"]),
        (GOOD | {"prompt": True}, ["'prompt' is a boolean, expected a string"]),
        (GOOD | {"chosen": 3}, ["'chosen' is a number, expected a string"]),
        (GOOD | {"chosen": ["a"]}, ["'chosen' is a list, expected a string"]),
        (GOOD | {"chosen": {"text": "a"}}, ["'chosen' is an object, expected a string"]),
        (
            GOOD | {"chosen": [{"role": "assistant", "content": "hi"}]},
            ["'chosen' is a list of chat turns: conversational", "render each list of turns"],
        ),
        (GOOD | {"rejected": {"role": "user", "content": "hi"}}, ["an object of chat turns"]),
        (GOOD | {"prompt": ""}, ["'prompt' is empty"]),
        (GOOD | {"rejected": " \n\u3000"}, ["'rejected' is empty"]),
        (GOOD | {"prompt": "", "chosen": 1}, ["'prompt' is empty", "; 'chosen' is a number"]),
        (GOOD | {"chosen": GOOD["rejected"]}, ["'chosen' and 'rejected' are the same text"]),
        (GOOD | {"chosen": "a\0b"}, ["'chosen' holds a NUL character (\\u0000): remove it"]),
        (GOOD | {"chosen": "a\ud83db"}, ["half of a surrogate pair (\\ud83d)"]),
    ],
)
def test_a_faulty_line_is_named_with_what_to_do(tmp_path, line, words):
    message = fault_of(written(tmp_path, GOOD, GOOD, line, GOOD))
    assert "human.jsonl: 1 of 4 lines cannot be used." in message
    assert "\n  line 3: " in message
    assert all(word in message for word in words)
    assert 'as {"prompt": "...", "chosen": "...", "rejected": "..."}' in message
    assert len(message) < 700


def test_demonstrations_name_their_own_columns(tmp_path):
    path = written(tmp_path, {"prompt": "a", "completion": "b"}, GOOD)
    with pytest.raises(UserError) as caught:
        read_demonstrations(path)
    assert "line 1: no column 'response'; it has 'prompt', 'completion'; rename" in str(
        caught.value
    )
    assert "line 2: " in str(caught.value)
    assert "a file of comparisons, not of demonstrations" in str(caught.value)


def test_all_faults_are_counted_and_the_first_twenty_listed(tmp_path):
    lines = [GOOD if number % 2 else {"prompt": "a"} for number in range(1, 3_001)]
    message = fault_of(written(tmp_path, *lines))
    assert "1,500 of 3,000 lines cannot be used." in message
    assert message.count("\n  line ") == 20
    assert "\n  line 40: no column" in message
    assert "\n  line 42: " not in message
    assert "\n  and 1,480 more\n" in message


def test_line_numbers_count_blank_lines_and_huge_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(json_rows, "MAX_LINE_BYTES", 1_000)
    huge = GOOD | {"chosen": "x" * 5_432}
    message = fault_of(written(tmp_path, GOOD, "", "  ", huge, GOOD, "{", ""))
    numbers = [int(line.split()[1][:-1]) for line in message.splitlines() if "  line" in line]
    assert numbers == [2, 3, 4, 6]
    assert "line 4: longer than" in message


def test_a_line_at_the_limit_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(json_rows, "MAX_LINE_BYTES", 1_000)
    fill = "x" * (1_000 - 1 - len(json.dumps(GOOD | {"chosen": ""})))
    path = written(tmp_path, GOOD | {"chosen": fill}, GOOD)
    assert read_comparisons(path)["chosen"].tolist() == [fill, GOOD["chosen"]]


def test_a_huge_line_is_refused_in_a_short_message(tmp_path):
    path = tmp_path / "human.jsonl"
    with path.open("wb") as stream:
        stream.write(b'{"prompt": "')
        stream.truncate(3 * json_rows.MAX_LINE_BYTES)
    message = fault_of(path)
    assert "line 1: longer than 16 MiB" in message
    assert len(message) < 500


def test_random_bytes_give_a_table_or_a_user_error(tmp_path):
    generator = np.random.default_rng(0)
    path = tmp_path / "human.jsonl"
    good = (GOOD_LINE + "\n" + json.dumps(GOOD | {"extra": [1, {"a": None}]}) + "\n").encode()
    alphabet = np.frombuffer(b'{}[]":,\\u\n\r \0\xff\xc3\xa9ntf0d8-+.e', dtype=np.uint8)
    outcomes = set()
    for trial in range(200):
        if trial % 2:
            content = np.frombuffer(good, dtype=np.uint8).copy()
            places = generator.integers(0, content.size, size=generator.integers(1, 4))
            content[places] = generator.choice(alphabet, size=places.size)
        else:
            content = generator.integers(0, 256, size=generator.integers(0, 300), dtype=np.uint8)
        path.write_bytes(content.tobytes())
        try:
            frame = read_comparisons(path)
            outcomes.add("table")
            assert list(frame.columns) == ["prompt", "chosen", "rejected"]
        except UserError as error:
            outcomes.add("fault")
            str(error).encode("utf-8")
    assert outcomes == {"table", "fault"}


def test_nothing_is_left_in_the_home_folder_and_no_network_is_used(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    path = written(tmp_path, GOOD)
    code = (
        "import socket, sys, pathlib\n"
        "def refuse(*args, **kwargs): raise SystemExit('network used')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from overopt.data.jsonl import read_comparisons\n"
        "print(len(read_comparisons(pathlib.Path(sys.argv[1]))))\n"
    )
    dropped = ("HF_", "XDG_", "TRANSFORMERS_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    environment["HOME"] = str(home)
    command = [sys.executable, "-c", code, str(path)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "1\n"), result.stderr
    assert not list(home.iterdir())
    assert [child.name for child in tmp_path.iterdir() if child != home] == ["human.jsonl"]


def real_data() -> Path:
    folder = os.environ.get("OVEROPT_HUMAN_DATA")
    if not folder:
        pytest.skip("OVEROPT_HUMAN_DATA is unset: it names the folder of the real human data")
    return Path(folder)


def test_real_human_data_are_read_as_json_holds_them():
    folder = real_data()
    path = folder / "qa_feedback_comparisons.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert read_comparisons(path).to_dict("records") == rows
    demonstrations = read_demonstrations(folder / "qa_feedback_demonstrations.jsonl")
    assert len(set(demonstrations["prompt"])) == len(demonstrations)
    assert {row["prompt"] for row in rows} <= set(demonstrations["prompt"])
