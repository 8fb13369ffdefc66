"""
Rows of JSON, for the user's files and for the hub: Python's `json` and nothing else.

Every value comes as the text says it: no type is guessed, so a date stays a text and `007` too.
Libraries that read a whole column at once guess one type for it and rewrite what does not fit.
"""

import codecs
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import IO, Any, cast

MAX_LINE_BYTES = 16 * 2**20
"""A longer line, or entry, is of a file of another kind; reading it whole could exhaust memory."""
_CHUNK = 2**20
_BETWEEN = re.compile(r"[\s,]*")
_JSON_TYPES = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}


class RowFault(Exception):
    """What is wrong with one row, and what to do about it."""


def numbered_lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers from 1, without the blank lines that end the file.

    A line longer than MAX_LINE_BYTES comes cut to one byte more than that, a blank one empty.
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


def parse_object(line: bytes) -> dict[str, object]:
    """The object that one line holds; raises RowFault."""
    if len(line) > MAX_LINE_BYTES:
        raise RowFault(f"longer than {MAX_LINE_BYTES // 2**20} MiB: put each row on its own line")
    if not line:
        raise RowFault("blank: remove it")
    try:
        text = line.decode("utf-8").rstrip("\r\n")
        row = json.loads(text, object_pairs_hook=_object_without_repeats)
    except UnicodeDecodeError as error:
        byte = f"byte 0x{line[error.start]:02x} at position {error.start + 1}"
        raise RowFault(f"not UTF-8 ({byte}): save the file as UTF-8") from error
    except json.JSONDecodeError as error:
        # An error at the very end: the row goes on below, as in JSON that is written with indents.
        remedy = "put the row whole on one line" if error.pos >= len(error.doc) else "mend the row"
        raise RowFault(f"not JSON at column {error.colno} ({error.msg}): {remedy}") from error
    except RecursionError as error:
        raise RowFault("JSON nested too deeply to be read: remove the row") from error
    except ValueError as error:
        raise RowFault("a number with thousands of digits: remove it") from error
    if isinstance(row, list):
        raise RowFault("a list, expected an object: put each row on its own line, without [ ]")
    if not isinstance(row, dict):
        raise RowFault(f"{type_name(row)}, expected an object")
    return cast(dict[str, object], row)


def array_entries(text: IO[str]) -> Iterator[object]:
    """The entries of a JSON list, one after the other: the list is never held whole.

    Raises
    ------
    RowFault
        An entry is no JSON, or the list does not end.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_object_without_repeats)
    buffer, position, number = text.read(_CHUNK), 0, 0
    position = buffer.index("[") + 1
    while True:
        position = cast(re.Match[str], _BETWEEN.match(buffer, position)).end()
        if buffer.startswith("]", position):
            return
        try:
            entry, position = decoder.raw_decode(buffer, position)
        except (json.JSONDecodeError, RecursionError) as error:
            buffer, position = buffer[position:], 0
            more = text.read(max(_CHUNK, len(buffer))) if len(buffer) < MAX_LINE_BYTES else ""
            if not more:
                fault = f"entry {number} of its list is no JSON, or the file is cut off"
                raise RowFault(fault) from error
            buffer += more
            continue
        yield entry
        number += 1


def _object_without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # JSON leaves the meaning of a repeated key open, and json.loads would keep the last in silence.
    row = dict(pairs)
    if len(row) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise RowFault(f"the column {clipped(twice)} comes twice in one row: keep one")
    return row


def type_name(value: Any) -> str:
    """What a value of JSON is, in words: `a number`."""
    return _JSON_TYPES.get(type(value), "a string")


def clipped(name: str) -> str:
    """A name in quotes, cut where it is long."""
    return repr(name if len(name) <= 40 else name[:37] + "...")
