"""A prompt that stands again at the start of the responses, and files that are no text."""

import json
from pathlib import Path

import pytest

from overopt.data.jsonl import read_comparisons, read_demonstrations
from overopt.errors import UserError


def written(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pairs(num_rows: int, num_repeated: int, start: str = "Q: {i}?\nA:") -> list[dict[str, str]]:
    rows = []
    for i in range(num_rows):
        prompt = start.format(i=i)
        again = prompt if i < num_repeated else ""
        rows.append({"prompt": prompt, "chosen": f"{again} yes {i}", "rejected": f"{again} no {i}"})
    return rows


@pytest.mark.parametrize(("num_repeated", "is_taken_off"), [(20, True), (18, True), (17, False)])
def test_a_prompt_that_stands_again_is_taken_off_from_nine_tenths_on(
    num_repeated: int, is_taken_off: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "human.jsonl", pairs(20, num_repeated))
    table = read_comparisons(path)
    expected = pairs(20, 0 if is_taken_off else num_repeated)
    assert table.to_dict("records") == expected
    said = "taken off" if is_taken_off else "left there, since below 90%"
    assert capsys.readouterr().out.splitlines() == [
        f"{path}: {num_repeated} of 20 texts of {column!r} begin with their prompt: {said}"
        for column in ("chosen", "rejected")
    ]


def test_demonstrations_too_and_white_space_around_the_prompt_apart(tmp_path: Path) -> None:
    rows = [{"prompt": f" ask {i}?\n", "response": f"ask {i}? Yes."} for i in range(10)]
    table = read_demonstrations(written(tmp_path / "human.jsonl", rows))
    assert set(table["response"]) == {" Yes."}


def test_a_word_that_goes_on_and_an_echo_are_no_repetition(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"prompt": f"cat{i}", "chosen": f"cat{i}s run", "rejected": f"cat{i}"} for i in "abc"]
    table = read_comparisons(written(tmp_path / "human.jsonl", rows))
    assert table.to_dict("records") == rows
    assert capsys.readouterr().out == ""


def test_a_response_that_is_nothing_but_its_prompt_is_refused_by_line(tmp_path: Path) -> None:
    rows = pairs(20, 20)
    rows[6]["chosen"] = rows[6]["prompt"]
    with pytest.raises(UserError, match="'chosen' is nothing but its prompt: line 7. Give"):
        read_comparisons(written(tmp_path / "human.jsonl", rows))
    rows = pairs(20, 20)
    rows[4]["rejected"] = rows[4]["chosen"].removeprefix(rows[4]["prompt"])
    with pytest.raises(UserError, match="both responses are the same text: line 5. Give"):
        read_comparisons(written(tmp_path / "human.jsonl", rows))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "pointer of git-LFS.*`git"),
        (b"<!doctype html>\n<html>\n", "not jsonl but a web page: it was saved in place"),
        (b"BZh91AY", "not jsonl but a bzip2 file: decompress it"),
        (b"\0" * 257 + b"ustar\0", "not jsonl but a tar archive: unpack it"),
        (b"ARROW1\0\0", "not jsonl but an Arrow file: write it with pandas"),
        (b'[\n  {\n    "prompt": "a"\n  }\n]\n', "JSON written over several lines: put each row"),
    ],
)
def test_another_kind_of_file_is_named_once(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "human.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        read_comparisons(path)
    assert "\n" not in str(caught.value)
