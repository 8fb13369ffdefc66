"""
Rows of one file of a data set: JSON, CSV, Parquet or Arrow.

JSON by `overopt.data.json_rows`, CSV as text, Parquet and Arrow by the types that the file itself
declares. `datasets` would guess one type for each column of JSON and CSV, from the first rows or
the first file, and rewrite the rest: a date, `007`, or `true` among texts.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from overopt.data.file_kinds import (
    ARROW_FILE,
    ARROW_STREAM,
    BZIP2,
    GZIP,
    NUM_BYTES,
    PARQUET,
    XZ,
    ZSTD,
    FileKind,
    kind_of,
)
from overopt.data.hub.readers import Row, Unusable
from overopt.data.json_rows import (
    MAX_LINE_BYTES,
    RowFault,
    array_entries,
    numbered_lines,
    parse_object,
)
from overopt.errors import UserError

_COMPRESSED = (GZIP, BZIP2, XZ, ZSTD)
_BATCH_ROWS = 1000


def rows_of_file(path: Path, builder: str, separator: str) -> Iterator[Row | Unusable]:
    """The rows of a file in their order; in place of one that cannot be read, why.

    Parameters
    ----------
    builder : what the file's name says: Json, Csv, Parquet or Arrow. Its first bytes overrule it.
    separator : between the cells of CSV.

    Raises
    ------
    UserError
        The file is of another kind, or cut off; names it, and says what to do.
    Exception
        As `csv`, pyarrow and the decompressors raise them.
    """
    with path.open("rb") as file:
        start = file.read(NUM_BYTES)
    kind = kind_of(start)
    if kind == PARQUET:
        yield from _parquet_rows(path)
    elif kind in (ARROW_FILE, ARROW_STREAM):
        yield from _arrow_rows(path, kind == ARROW_FILE)
    elif kind is not None and kind not in _COMPRESSED:
        raise UserError(f"{path.name} is {kind.name}: {kind.remedy}")
    elif builder not in ("Json", "Csv"):
        found = kind.name if kind else "neither" if start.strip() else "empty"
        raise UserError(f"{path.name} should be a file of Parquet or Arrow, and is {found}")
    else:
        yield from _text_rows(path, kind, builder, separator)


def _text_rows(
    path: Path, kind: FileKind | None, builder: str, separator: str
) -> Iterator[Row | Unusable]:
    with _decompressed(path, kind) as opened, io.BufferedReader(cast(Any, opened)) as stream:
        start = stream.peek(NUM_BYTES)[:NUM_BYTES]
        if inner := kind_of(start):
            raise UserError(f"{path.name} holds {inner.name}: {inner.remedy}")
        if builder == "Csv":
            yield from _csv_rows(path, stream, separator)
        elif start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
            yield from _array_rows(path, stream)
        else:
            yield from _line_rows(path, stream)


def _decompressed(path: Path, kind: FileKind | None) -> IO[bytes]:
    if kind == GZIP:
        return cast(IO[bytes], gzip.open(path, "rb"))
    if kind == BZIP2:
        return bz2.open(path, "rb")
    if kind == XZ:
        return lzma.open(path, "rb")
    if kind == ZSTD:
        import pyarrow

        return cast(IO[bytes], pyarrow.input_stream(str(path), compression="zstd"))
    return path.open("rb", buffering=0)


def _line_rows(path: Path, stream: IO[bytes]) -> Iterator[Row | Unusable]:
    """One object a line; blank lines are no rows."""
    for number, line in numbered_lines(stream):
        if not line:
            continue
        try:
            yield parse_object(line)
        except RowFault as fault:
            if _is_cut_off(line):
                raise UserError(
                    f"{path.name}, line {number:,}: the file ends in the middle of this row, so it "
                    "is cut off; fetch it again"
                ) from None
            yield Unusable(f"{path.name} has a line that is {fault}")


def _is_cut_off(line: bytes) -> bool:
    begins, ends = line.lstrip().startswith(b"{"), line.endswith((b"\n", b"}"))
    return begins and not ends and len(line) <= MAX_LINE_BYTES


def _array_rows(path: Path, stream: IO[bytes]) -> Iterator[Row | Unusable]:
    """The objects of one JSON list."""
    try:
        with io.TextIOWrapper(stream, encoding="utf-8-sig") as text:
            for entry in array_entries(text):
                if isinstance(entry, dict):
                    yield cast(dict[str, object], entry)
                else:
                    yield Unusable(f"{path.name} has an entry that is no object")
    except RowFault as fault:
        raise UserError(f"{path.name}: {fault}; mend it, or fetch it again") from None


def _csv_rows(path: Path, stream: IO[bytes], separator: str) -> Iterator[Row | Unusable]:
    """The rows below the header, every cell as its text."""
    csv.field_size_limit(MAX_LINE_BYTES)
    with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
        table = csv.reader(text, delimiter=separator, strict=True)
        header = next(table, [])
        _refuse_repeated_columns(path, header)
        for cells in table:
            if len(cells) == len(header):
                yield dict(zip(header, cells, strict=True))
            elif cells:
                yield Unusable(f"{path.name} has a row with more or fewer cells than its header")


def _parquet_rows(path: Path) -> Iterator[Row]:
    from pyarrow import parquet

    with parquet.ParquetFile(path, pre_buffer=False, buffer_size=2**20) as file:
        yield from _typed_rows(path, file.iter_batches(batch_size=_BATCH_ROWS), file.schema_arrow)


def _arrow_rows(path: Path, is_file: bool) -> Iterator[Row]:
    import pyarrow

    with pyarrow.memory_map(str(path)) as source:
        if is_file:
            file = pyarrow.ipc.open_file(source)
            batches = (file.get_batch(number) for number in range(file.num_record_batches))
            yield from _typed_rows(path, batches, file.schema)
        else:
            reader = pyarrow.ipc.open_stream(source)
            yield from _typed_rows(path, reader, reader.schema)


def _typed_rows(path: Path, batches: Iterable[Any], schema: Any) -> Iterator[Row]:
    """Rows of record batches; a column that is declared as JSON is parsed."""
    _refuse_repeated_columns(path, schema.names)
    of_json = [field.name for field in schema if str(field.type) == "extension<arrow.json>"]
    for batch in batches:
        for start in range(0, len(batch), _BATCH_ROWS):
            for row in batch.slice(start, _BATCH_ROWS).to_pylist():
                for name in of_json:
                    row[name] = None if row[name] is None else json.loads(row[name])
                yield row


def _refuse_repeated_columns(path: Path, names: list[str]) -> None:
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UserError(f"{path.name} has the column {twice[0]!r} twice; keep one")
