"""
A study as it lies on disk: its files, its jobs' records, and which job made which file.

Records name files as the command line did, `results/<name>/...`; the folder may lie elsewhere, or
have been renamed since. Here every path is named as the records name it, and `place` finds it.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from overopt.audit.records import Record, parse_record
from overopt.errors import UserError

RESULTS = "results"
RECORD_SUFFIX = "record.json"
# Written beside the results: by jobs while they run, and by `snakemake --report`.
LOGS = "logs"
UNFINISHED = ".unfinished"
NOT_RESULTS = ("report.html", "report.zip", ".gitignore")


@dataclass(frozen=True)
class StudyFolder:
    """Everything about one study that lies on disk.

    Attributes
    ----------
    folder : where the study lies.
    name : what the records call this folder, `results/<name>`.
    root : the folder that the records' paths start from.
    files : sizes of all its files but logs, by path.
    leftovers : files of unfinished jobs.
    records : by path.
    unreadable : records that cannot be read, with the reason, by path.

    """

    folder: Path
    name: str
    root: Path
    files: dict[str, int]
    leftovers: dict[str, int]
    records: dict[str, Record]
    unreadable: dict[str, str]

    def place(self, path: str) -> Path:
        """Where a path of the records lies."""
        inside = path.removeprefix(f"{self.name}/")
        return self.root / path if inside == path else self.folder / inside

    def is_inside(self, path: str) -> bool:
        """Whether a path of the records is in this study."""
        return path.startswith(f"{self.name}/")

    def short(self, path: str) -> str:
        """A path of the records for a person: from the study's folder on."""
        return path.removeprefix(f"{self.name}/")

    @cached_property
    def listed_by(self) -> dict[str, list[Record]]:
        """The records that list a file among their outputs, the newest last."""
        makers: dict[str, list[Record]] = {}
        for record in sorted(self.records.values(), key=lambda record: record.finished):
            for path in record.written:
                makers.setdefault(path, []).append(record)
        return makers

    def maker(self, path: str) -> Record | None:
        """The job that wrote a file; None for a source, or where no record lists it."""
        return self.listed_by.get(path, [None])[-1]

    @cached_property
    def users(self) -> dict[str, list[Record]]:
        """The jobs that read a file, by its path."""
        users: dict[str, list[Record]] = {}
        for record in self.records.values():
            for path in record.inputs:
                users.setdefault(path, []).append(record)
        return users

    def sources_of(self, records: Iterable[Record]) -> list[Record]:
        """Collect these jobs and all whose results they read, directly or not, each once."""
        found: dict[str, Record] = {}
        unread = list(records)
        while unread:
            record = unread.pop()
            if record.path not in found:
                found[record.path] = record
                unread += [maker for path in record.inputs if (maker := self.maker(path))]
        return list(found.values())


def read_study_folder(folder: Path) -> StudyFolder:
    """List the files of a study and read all its records.

    Raises
    ------
    UserError
        Where the folder is no study.
    """
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder; expected that of a study that has run, {RESULTS}/<name>"
        )
    given, folder = folder, Path(os.path.abspath(folder))
    sizes = dict(_files(folder))
    contents = {path: _content(folder / path) for path in sizes if _is_record(path)}
    records, unreadable = parse_records(contents)
    if not records and not unreadable:
        raise UserError(f"{given}: no job has left a record there; expected the folder of a study")
    name = _name(folder, records.values())
    files = {f"{name}/{path}": size for path, size in sizes.items()}
    return StudyFolder(
        folder=folder,
        name=name,
        root=folder.parents[1] if folder.parent.name == RESULTS else Path.cwd(),
        files={path: size for path, size in files.items() if UNFINISHED not in path},
        leftovers={path: size for path, size in files.items() if UNFINISHED in path},
        records={f"{name}/{p}": replace(r, path=f"{name}/{p}") for p, r in records.items()},
        unreadable={f"{name}/{path}": fault for path, fault in unreadable.items()},
    )


def find_study(artifact: Path) -> Path:
    """The folder of the study that a file belongs to, by its path: `.../results/<name>`.

    Raises
    ------
    UserError
        Where the path is not below such a folder.
    """
    path = Path(os.path.abspath(artifact))
    for parent in path.parents:
        if parent.parent.name == RESULTS:
            return parent
    raise UserError(
        f"{artifact}: not below {RESULTS}/<name>/; name the study with --study if its folder has "
        "been moved"
    )


def in_words(num_bytes: int) -> str:
    """A size for a person: `38 kB`."""
    return f"{num_bytes / 1e3:.0f} kB" if num_bytes < 1e6 else f"{num_bytes / 1e6:.1f} MB"


def parse_records(
    contents: Mapping[str, bytes],
) -> tuple[dict[str, Record], dict[str, str]]:
    """Records by path, and of those that cannot be read what is wrong with them."""
    records: dict[str, Record] = {}
    unreadable: dict[str, str] = {}
    for path, content in contents.items():
        try:
            records[path] = parse_record(path, content)
        except ValueError as error:
            unreadable[path] = str(error)
    return records, unreadable


def _is_record(path: str) -> bool:
    return path.endswith(RECORD_SUFFIX) and UNFINISHED not in path


def _content(path: Path) -> bytes:
    """Bytes of a record; none, which is no record, where it may not be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _files(folder: Path) -> Iterable[tuple[str, int]]:
    """Path from the study's folder, and size, of all files but logs."""
    for parent, folders, names in os.walk(folder):
        if parent == str(folder) and LOGS in folders:
            folders.remove(LOGS)
        for name in names:
            path = os.path.join(parent, name)
            try:
                size = os.lstat(path).st_size
            except FileNotFoundError:  # a job that is running has moved it
                continue
            # A name that is not UTF-8 can be told, though not printed as it is.
            shown = os.fsencode(os.path.relpath(path, folder)).decode(errors="backslashreplace")
            yield shown.replace(os.sep, "/"), size


def _name(folder: Path, records: Iterable[Record]) -> str:
    """What most records call the folder of their study."""
    names = Counter(
        "/".join(PurePosixPath(path).parts[:2])
        for record in records
        for path in (*record.written, *record.inputs)
        if path.startswith(f"{RESULTS}/")
    )
    return names.most_common(1)[0][0] if names else f"{RESULTS}/{folder.name}"
