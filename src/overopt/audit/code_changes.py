"""Which files of the code changed between two commits, among those that a script imports."""

import io
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

from overopt.audit.sides import git_bytes
from overopt.jobs.provenance import code_digest, imported_sources

_SCRIPTS = "workflow/scripts"
_SOURCE = "src"
_NOWHERE = Path("/nowhere")  # a file's digest without those of its imports


def changed_files(root: Path, first: str, second: str, scripts: Iterable[str]) -> list[str] | None:
    """Files of which a statement differs, from the repository's root on.

    None where git does not have both commits.
    """
    archives = [git_bytes(root, "archive", commit, _SOURCE, _SCRIPTS) for commit in (first, second)]
    if archives[0] is None or archives[1] is None:
        return None
    with tempfile.TemporaryDirectory() as before, tempfile.TemporaryDirectory() as after:
        imported: set[str] = set()
        for archive, folder in zip(archives, (Path(before), Path(after)), strict=True):
            with tarfile.open(fileobj=io.BytesIO(archive or b"")) as tar:
                # Python 3.11.3 and older know no filter; the archive is git's own.
                tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
                tar.extractall(folder)
            for script in scripts:
                path = folder / _SCRIPTS / script
                if path.is_file():
                    sources = imported_sources(path, folder / _SOURCE)
                    imported |= {source.relative_to(folder).as_posix() for source in sources}
        return sorted(
            path for path in imported if _differs(Path(before) / path, Path(after) / path)
        )


def _differs(first: Path, second: Path) -> bool:
    if first.is_file() != second.is_file():
        return True
    if first.read_bytes() == second.read_bytes():
        return False
    return code_digest(first, _NOWHERE) != code_digest(second, _NOWHERE)
