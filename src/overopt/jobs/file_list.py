"""Many paths on a command line, by way of a file.

A rule's command is one argument of a shell, and Linux allows it 128 kB: some 1,300 curves. So a
rule that reads every cell writes `--curve {CURVES}`, which becomes `--curve @FILE`; the frame of
the scripts (`overopt.jobs.job`) puts the paths of FILE in its place.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from overopt.errors import UserError

FOLDER = Path(".snakemake", "lists")


class FileList:
    """Paths that a command line names by a file, which is written when the command is.

    The file is named after its content: equal lists share one, and none is ever wrong.
    """

    def __init__(self, paths: Callable[[], Iterable[str]]) -> None:
        self._paths = paths

    def __str__(self) -> str:
        """Write the file, where it is not there yet; `@` and its path."""
        content = "".join(f"{path}\n" for path in self._paths()).encode()
        path = FOLDER / f"{hashlib.sha256(content).hexdigest()[:16]}.txt"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(f".{os.getpid()}")
            unfinished.write_bytes(content)
            os.replace(unfinished, path)
        return f"@{path}"


def with_listed_files(arguments: Sequence[str]) -> list[str]:
    """A command line with `--option @FILE` replaced by `--option PATH` for every line of FILE.

    Raises
    ------
    UserError
        Where FILE cannot be read.
    """
    result: list[str] = []
    for argument in arguments:
        if not argument.startswith("@"):
            result.append(argument)
            continue
        option = result.pop()
        try:
            paths = Path(argument[1:]).read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise UserError(f"{option} {argument}: no list of files ({error.strerror})") from None
        for path in paths:
            result += [option, path]
    return result
