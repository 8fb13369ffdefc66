"""
Scalars of TensorBoard event files, read without TensorBoard and its dependencies.

An event file is a sequence of records: length (8 bytes, little-endian), its checksum (4), the
record, its checksum (4). A record is an Event of TensorFlow's event.proto; scalars are in its
summary (summary.proto), as simple_value or as a tensor of one number.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from overopt.errors import UserError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DOUBLE, _FLOAT = 2, 1  # DataType of tensor.proto


def is_event_file(head: bytes) -> bool:
    """Tell whether these first bytes begin an event file: its first event names the version."""
    return len(head) > 24 and b"brain.Event:" in head[12:64]


def read_events(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield step and scalars of each event; a record that is cut off ends the file.

    Raises
    ------
    UserError
        A length that cannot be: the file is damaged.
    """
    content = path.read_bytes()
    position = 0
    while position + 12 <= len(content):
        (length,) = struct.unpack_from("<Q", content, position)
        end = position + 12 + length + 4
        if length > 1 << 30:
            raise UserError(f"{path}: damaged at byte {position:,}: no TensorBoard record there")
        if end > len(content):
            return  # still being written, or cut short
        event = content[position + 12 : end - 4]
        position = end
        step, scalars = _event(event)
        if scalars:
            yield step, scalars


def _event(record: bytes) -> tuple[int, dict[str, float]]:
    step, scalars = 0, dict[str, float]()
    for number, value in _fields(record):
        if number == 2 and isinstance(value, int):
            step = value
        elif number == 5 and isinstance(value, bytes):
            for inner, part in _fields(value):
                if inner == 1 and isinstance(part, bytes):
                    scalars |= _scalar(part)
    return step, scalars


def _scalar(record: bytes) -> dict[str, float]:
    tag, number = "", None
    for field, value in _fields(record):
        if field == 1 and isinstance(value, bytes):
            tag = value.decode("utf-8", "replace")
        elif field == 2 and isinstance(value, bytes):
            (number,) = struct.unpack("<f", value)
        elif field == 8 and isinstance(value, bytes):
            number = _tensor(value)
    return {} if number is None else {tag: float(number)}


def _tensor(record: bytes) -> float | None:
    """The number of a tensor that holds one float or double; None for any other."""
    kind, number = 0, None
    for field, value in _fields(record):
        if field == 1 and isinstance(value, int):
            kind = value
        elif field == 4 and isinstance(value, bytes):
            size, code = (8, "<d") if kind == _DOUBLE else (4, "<f")
            if kind in (_DOUBLE, _FLOAT) and len(value) == size:
                (number,) = struct.unpack(code, value)
        elif field == 5 and isinstance(value, bytes) and len(value) == 4:
            (number,) = struct.unpack("<f", value)
        elif field == 6 and isinstance(value, bytes) and len(value) == 8:
            (number,) = struct.unpack("<d", value)
    return number


def _fields(record: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a protocol-buffer message."""
    position = 0
    while position < len(record):
        key, position = _varint(record, position)
        kind = key & 7
        if kind == _VARINT:
            value, position = _varint(record, position)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, position = _varint(record, position)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(kind, len(record) - position)
        yield key >> 3, record[position : position + size]
        position += size


def _varint(record: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(record):
        byte = record[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    return value, position
