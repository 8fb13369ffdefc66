"""Digests of many files: each is read once, several at a time."""

import hashlib
import os
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_BLOCK = 1 << 20


class Digests:
    """SHA-256 of files, and MD5 where DVC is asked too, by the path on disk.

    Reading is what costs, so call `read` with all files that will be asked for.
    """

    def __init__(self) -> None:
        self._sha256: dict[Path, str | None] = {}
        self._md5: dict[Path, str] = {}

    def read(self, paths: Iterable[Path], with_md5: Collection[Path] = ()) -> None:
        """Read these files now; those of `with_md5` for both digests."""
        md5 = {path for path in with_md5 if path not in self._md5}
        unread = {path for path in paths if path not in self._sha256} | md5
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing releases the interpreter's lock
            for path, digests in pool.map(lambda path: (path, _digests(path, path in md5)), unread):
                self._sha256[path] = digests[0]
                if digests[1]:
                    self._md5[path] = digests[1]

    def sha256(self, path: Path) -> str | None:
        """Digest of a file; None where there is no such file, or it may not be read."""
        if path not in self._sha256:
            self.read([path])
        return self._sha256[path]

    def md5(self, path: Path) -> str | None:
        """Digest of a file; None where there is no such file, or it may not be read."""
        if path not in self._md5:
            self.read([], with_md5=[path])
        return self._md5.get(path)


def _digests(path: Path, with_md5: bool) -> tuple[str | None, str | None]:
    sha256 = hashlib.sha256()
    md5 = hashlib.md5(usedforsecurity=False) if with_md5 else None
    try:
        with path.open("rb", buffering=0) as file:
            while block := file.read(_BLOCK):
                sha256.update(block)
                if md5:
                    md5.update(block)
    except OSError:
        return None, None
    return sha256.hexdigest(), md5.hexdigest() if md5 else None
