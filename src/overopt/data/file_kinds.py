"""What a file is, by its first bytes: files of another kind that are often given by mistake."""

import codecs
from dataclasses import dataclass

NUM_BYTES = 512
"""What `kind_of` wants to see of a file."""


@dataclass(frozen=True)
class FileKind:
    """A kind of file, as `a zip file`, and what to do where text was expected."""

    name: str
    remedy: str


GZIP = FileKind("a gzip file", "decompress it")
BZIP2 = FileKind("a bzip2 file", "decompress it")
XZ = FileKind("an xz file", "decompress it")
ZSTD = FileKind("a zstd file", "decompress it")
PARQUET = FileKind(
    "a Parquet file", "write it with pandas.DataFrame.to_json(orient='records', lines=True)"
)
ARROW_FILE = FileKind("an Arrow file", PARQUET.remedy)
ARROW_STREAM = FileKind("an Arrow stream", PARQUET.remedy)
_LFS_POINTER = FileKind(
    "a pointer of git-LFS, which stands for a file that was not fetched",
    "run `git lfs pull` in its repository, or fetch it with `hf download`",
)
_WEB_PAGE = FileKind(
    "a web page",
    "it was saved in place of the file: download that, logged in if need be",
)
_XML = FileKind("an XML document, perhaps what a server said", _WEB_PAGE.remedy)
_TAR = FileKind("a tar archive", "unpack it")
_UTF16 = FileKind("UTF-16 text", "save it as UTF-8")

_SIGNATURES = {
    b"\x1f\x8b": GZIP,
    b"BZh": BZIP2,
    b"\xfd7zXZ\0": XZ,
    b"\x28\xb5\x2f\xfd": ZSTD,
    b"PK\x03\x04": FileKind("a zip file", "unpack it"),
    b"7z\xbc\xaf\x27\x1c": FileKind("a 7z archive", "unpack it"),
    b"PAR1": PARQUET,
    b"ARROW1": ARROW_FILE,
    b"\xff\xff\xff\xff": ARROW_STREAM,
    b"SQLite format 3\0": FileKind("a SQLite database", "write its rows as JSON lines"),
    b"\x93NUMPY": FileKind("a NumPy array", "write its texts as JSON lines"),
    b"%PDF": FileKind("a PDF", "write its texts as JSON lines"),
    b"version https://git-lfs": _LFS_POINTER,
    codecs.BOM_UTF16_LE: _UTF16,
    codecs.BOM_UTF16_BE: _UTF16,
}
_TAR_MAGIC, _TAR_OFFSET = b"ustar", 257


def kind_of(start: bytes) -> FileKind | None:
    """The kind of a file by its first NUM_BYTES bytes; None where they may be of a text."""
    for signature, kind in _SIGNATURES.items():
        if start.startswith(signature):
            return kind
    if start[_TAR_OFFSET:].startswith(_TAR_MAGIC):
        return _TAR
    text = start.removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return _WEB_PAGE
    return _XML if text.startswith(b"<?xml") else None
