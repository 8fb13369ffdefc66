"""A text of a data set arrives as its author wrote it, or its row is refused with the reason."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from overopt.config.hub import HubDatasetConfig
from overopt.data.hub.readers import (
    COMPARISON_READERS,
    DEMONSTRATION_READERS,
    NoPreference,
    Unusable,
    comparison,
    demonstration,
)
from overopt.data.hub.rows import read_rows
from overopt.errors import UserError

ODD_TEXTS = [
    *("1900-03-01", "2001-01-01T00:00:00Z", "007", "1e3", "1_000", "true", "null", "NaN", "None"),
    *("[1, 2]", '{"a": 1}', ' "quoted" ', "a\u2028b\u2029c\u0085d", "tab\t, comma", "\ufeffmark"),
    *("line\nbreak", "carriage\r\nreturn", "\U0001f600 e\u0301 \u00e9", " spaces around ", "'"),
]
ROWS = [{"prompt": f"ask {i}", "chosen": t, "rejected": f"{t}!"} for i, t in enumerate(ODD_TEXTS)]


@pytest.fixture(autouse=True)
def _library_as_it_was() -> Iterator[None]:
    verbosity = datasets.utils.logging.get_verbosity()
    yield
    datasets.utils.logging.set_verbosity(verbosity)
    datasets.enable_progress_bars()


def lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def csv_text(rows: list[dict[str, str]], separator: str = ",") -> bytes:
    import csv
    import io

    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(rows[0]), delimiter=separator)
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


def parquet_bytes(rows: list[Any], schema: pa.Schema | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    return sink.getvalue().to_pybytes()


def arrow_bytes(rows: list[Any], *, stream: bool) -> bytes:
    table, sink = pa.Table.from_pylist(rows), pa.BufferOutputStream()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def read(folder: Path, **files: bytes) -> list[Any]:
    """The rows of a folder with these files, whose names have _ for the dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    return list(read_rows("comparisons", HubDatasetConfig(dataset=str(folder)))[1])


CODED = pa.schema(
    [
        ("prompt", pa.large_string()),
        ("chosen", pa.dictionary(pa.int32(), pa.string())),
        ("rejected", pa.string()),
    ]
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train_jsonl", lines(ROWS)),
        ("train_jsonl", b"\xef\xbb\xbf" + lines(ROWS).replace(b"\n", b"\r\n") + b"\n\n"),
        ("train_jsonl_gz", gzip.compress(lines(ROWS), mtime=0)),
        ("train_jsonl_bz2", bz2.compress(lines(ROWS))),
        ("train_jsonl_xz", lzma.compress(lines(ROWS))),
        ("train_jsonl_zst", pa.compress(lines(ROWS), codec="zstd", asbytes=True)),
        ("train_json", json.dumps(ROWS).encode()),
        ("train_json", json.dumps(ROWS, indent=2, ensure_ascii=False).encode()),
        ("train_csv", csv_text(ROWS)),
        ("train_tsv", csv_text(ROWS, "\t")),
        ("train_parquet", parquet_bytes(ROWS)),
        ("train_parquet", parquet_bytes(ROWS, CODED)),
        ("train_arrow", arrow_bytes(ROWS, stream=True)),
        ("train_arrow", arrow_bytes(ROWS, stream=False)),
    ],
)
def test_every_format_keeps_every_text(name: str, content: bytes, tmp_path: Path) -> None:
    assert read(tmp_path / "set", **{name: content}) == ROWS


def test_a_file_of_dates_beside_others_and_alone(tmp_path: Path) -> None:
    dates = [{"prompt": "when?", "chosen": f"19{i}-03-01", "rejected": "no"} for i in range(10, 20)]
    assert read(tmp_path / "alone", train_jsonl=lines(dates)) == dates
    both = read(tmp_path / "both", **{"train-1_jsonl": lines(ROWS), "train-2_jsonl": lines(dates)})
    assert both == [*ROWS, *dates]


def test_one_boolean_among_texts_is_refused_alone(tmp_path: Path) -> None:
    rows = [*ROWS, {"prompt": "p", "chosen": True, "rejected": '"a"'}]
    *texts, odd = read(tmp_path / "set", train_jsonl=lines(rows))
    assert texts == ROWS
    with pytest.raises(Unusable, match="chosen is a boolean, expected a text"):
        comparison(COMPARISON_READERS["standard"], odd)


def test_columns_need_not_agree_between_rows_files_and_the_card(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    card = "dataset_info:\n  features:\n  - name: chosen\n    dtype: int64\n"
    (folder / "README.md").write_text(f"---\n{card}---\n")
    first = [row | {"note": None} for row in ROWS]
    last = [row | {"note": [{"role": "user"}], "chosen": [{"role": "user"}]} for row in ROWS]
    parts = {"train-1_jsonl": lines(first), "train-2_jsonl": lines(last)}
    assert read(folder, **parts) == [*first, *last]
    parts = {"train-1_parquet": parquet_bytes(first), "train-2_parquet": parquet_bytes(last)}
    assert read(tmp_path / "typed", **parts) == [*first, *last]


def test_what_parquet_declares_as_no_text_is_refused(tmp_path: Path) -> None:
    rows = [{"prompt": "when?", "chosen": date(1900, 3, 1), "rejected": "no"}]
    (row,) = read(tmp_path / "set", train_parquet=parquet_bytes(rows))
    with pytest.raises(Unusable, match="chosen is of the type date, expected a text"):
        comparison(COMPARISON_READERS["standard"], row)


def test_a_column_declared_as_json_is_parsed(tmp_path: Path) -> None:
    features = datasets.Features({"chosen": datasets.Json()})
    rows = [{"chosen": [{"role": "user", "content": "a"}]}, {"chosen": "text"}]
    (tmp_path / "set").mkdir()
    datasets.Dataset.from_list(rows, features=features).to_parquet(tmp_path / "set/train.parquet")
    assert read(tmp_path / "set") == rows


def test_a_folder_with_brackets_in_its_path(tmp_path: Path) -> None:
    assert read(tmp_path / "it's [1] *?" / "set", train_jsonl=lines(ROWS)) == ROWS


def test_a_broken_line_is_refused_alone_and_a_cut_file_whole(tmp_path: Path) -> None:
    broken = lines(ROWS) + b'no json\n{"a": 1, "a": 2}\n[1]\n' + lines(ROWS)
    found = read(tmp_path / "set", train_jsonl=broken)
    assert [str(row) for row in found if isinstance(row, Unusable)] == [
        "train.jsonl has a line that is not JSON at column 1 (Expecting value): mend the row",
        "train.jsonl has a line that is the column 'a' comes twice in one row: keep one",
        "train.jsonl has a line that is a list, expected an object: put each row on its own line, "
        "without [ ]",
    ]
    assert len(found) == 2 * len(ROWS) + 3
    with pytest.raises(UserError, match=r"line 20: the file ends in the middle of this row"):
        read(tmp_path / "cut", train_jsonl=lines(ROWS)[:-20])
    with pytest.raises(UserError, match=r"entry \d+ of its list is no JSON, or the file is cut"):
        read(tmp_path / "list", train_json=json.dumps(ROWS).encode()[:-20])


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("train_jsonl", LFS, "train.jsonl is a pointer of git-LFS.*`git lfs pull`"),
        ("train_parquet", LFS, "train.parquet is a pointer of git-LFS"),
        ("train_jsonl_gz", LFS, "train.jsonl.gz is a pointer of git-LFS"),
        ("train_csv", b"\n<!DOCTYPE html><html>", "is a web page: it was saved in place of"),
        ("train_json", b"<?xml version='1.0'?><Error/>", "is an XML document"),
        ("train_jsonl", b"PK\x03\x04rest", "is a zip file: unpack it"),
        ("train_jsonl", b"\0" * 257 + b"ustar", "is a tar archive: unpack it"),
        ("train_jsonl", "{}".encode("utf-16"), "is UTF-16 text: save it as UTF-8"),
        (
            "train_parquet",
            gzip.compress(b"a", mtime=0),
            "should be a file of Parquet or Arrow, and is a gz",
        ),
        ("train_csv", b"a,a\n1,2\n", "train.csv has the column 'a' twice"),
    ],
)
def test_another_kind_of_file_is_named_once(
    name: str, content: bytes, words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words) as caught:
        read(tmp_path / "set", **{name: content})
    assert "\n" not in str(caught.value)


def test_options_of_a_card_are_served_or_refused(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()

    def card(option: str) -> None:
        config = f"configs:\n- config_name: default\n  data_files: train.csv\n  {option}\n"
        (folder / "README.md").write_text(f"---\n{config}---\n")

    card('sep: ";"')
    assert read(folder, train_csv=csv_text(ROWS, ";")) == ROWS
    card("skiprows: 1")
    with pytest.raises(UserError, match="its card sets skiprows, which is not read here"):
        read(folder)


# Content in parts.


def spoken(content: object) -> dict[str, Any]:
    asked = {"role": "user", "content": "A?"}
    answers = [{"role": "assistant", "content": text} for text in (content, "no")]
    return {"chosen": [asked, answers[0]], "rejected": [asked, answers[1]]}


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "Wa"}, {"type": "text", "text": "ter."}],
        [{"type": "text", "text": "Water.", "image": None}],
        [{"text": "Water."}],
        ["Wa", {"type": "output_text", "text": "ter."}],
    ],
)
def test_parts_of_text_are_joined(content: object) -> None:
    assert comparison(COMPARISON_READERS["standard"], spoken(content))["chosen"] == " Water."


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([{"type": "image", "image": "x.png"}], "a part of type 'image', which is no text"),
        ([{"type": "text", "text": 3}], "chosen has a part whose text is a number"),
        ([3], "a part of chosen is a number, expected an object"),
        ({"a": 1}, "chosen has a message whose content is an object"),
        ([], "chosen is empty"),
    ],
)
def test_other_parts_are_refused_by_name(content: object, words: str) -> None:
    with pytest.raises(Unusable, match=words):
        comparison(COMPARISON_READERS["standard"], spoken(content))


# Whatever a row holds.

KEYS = st.sampled_from(["role", "content", "text", "type", "post", "title", "subreddit"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 1) | st.floats() | st.sampled_from(ODD_TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("name", COMPARISON_READERS)
def test_any_values_are_texts_or_refused_in_words(name: str, data: st.DataObject) -> None:
    reader = COMPARISON_READERS[name]
    columns = ("prompt", "score_chosen", "score_rejected", *reader.columns)
    row = {column: data.draw(VALUES) for column in columns}
    _expect_texts(lambda: comparison(reader, row))


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("reader", DEMONSTRATION_READERS, ids=lambda reader: reader.columns[-1])
def test_any_values_of_demonstrations(reader: Any, data: st.DataObject) -> None:
    row = {column: data.draw(VALUES) for column in reader.columns}
    _expect_texts(lambda: demonstration(reader, row))


def _expect_texts(read_row: Callable[[], dict[str, str]]) -> None:
    try:
        assert all(isinstance(text, str) for text in read_row().values())
    except (Unusable, NoPreference):
        pass
