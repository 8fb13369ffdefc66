"""
The two sides of a comparison: the folder of a study, or a commit whose dvc.lock records one.

Of a commit nothing is checked out: its records are read from DVC's cache.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from overopt.audit import dvc_lock
from overopt.audit.digests import Digests
from overopt.audit.dvc_lock import Cache, LockedOut
from overopt.audit.records import Record
from overopt.audit.study_folder import (
    RECORD_SUFFIX,
    UNFINISHED,
    StudyFolder,
    parse_records,
    read_study_folder,
)
from overopt.errors import UserError

MAX_NAMED = 5


@dataclass(frozen=True)
class Side:
    """One of two studies.

    Attributes
    ----------
    label : what the user called it.
    results : SHA-256 of every file that a job wrote and that is there, by path from the study's
        folder on. Of a folder the bytes as they are, of a commit as its records have them.

    """

    label: str
    study: StudyFolder
    results: dict[str, str]

    def maker(self, result: str) -> Record | None:
        """The job that wrote a result, by its path from the study's folder on."""
        return self.study.maker(f"{self.study.name}/{result}")

    def recorded(self, result: str) -> str | None:
        """SHA-256 that its maker wrote."""
        maker = self.maker(result)
        return maker.written[f"{self.study.name}/{result}"] if maker else None

    def inputs(self, job: Record) -> dict[str, str]:
        """SHA-256 of what a job used; files of the study by their path from its folder on."""
        return {self.study.short(path): digest for path, digest in job.inputs.items()}


def folder_side(folder: Path) -> Side:
    """The study in a folder, its files as they are now."""
    study = read_study_folder(folder)
    if not study.listed_by:
        raise UserError(
            f"{folder}: its records do not list what the jobs wrote; an older version made them"
        )
    digests = Digests()
    digests.read(study.place(path) for path in study.listed_by)
    now = {path: digests.sha256(study.place(path)) for path in study.listed_by}
    results = {study.short(path): digest for path, digest in now.items() if digest}
    return Side(str(folder), study, results)


def commit_side(commit: str, root: Path, name: str) -> Side:
    """The study of this name (`results/default`) as a commit's dvc.lock records it.

    Raises
    ------
    UserError
        Where the commit records no such study, or DVC's cache lacks its records.
    """
    cache = Cache(root)
    outs = locked_study(commit, root, name)
    lacking: list[str] = []
    md5s: dict[str, str] = {}
    for out in outs.values():
        manifest = cache.manifest(out) if out.is_folder else {out.path: out.md5}
        if manifest is None:
            lacking.append(out.path)
        else:
            md5s.update({p: md5 for p, md5 in manifest.items() if p.endswith(RECORD_SUFFIX)})
    contents = {
        path: content for path, md5 in md5s.items() if (content := _content(cache, root, path, md5))
    }
    lacking += sorted(md5s.keys() - contents.keys())
    if lacking:
        raise UserError(
            f"{commit}: DVC's cache lacks {len(lacking)} of its files ({some(lacking)}); "
            "`dvc fetch --all-commits` gets them"
        )
    contents = {p: content for p, content in contents.items() if UNFINISHED not in p}
    records, unreadable = parse_records(contents)
    study = StudyFolder(root / name, name, root, {}, {}, records, unreadable)
    results = {
        study.short(path): makers[-1].written[path] for path, makers in study.listed_by.items()
    }
    return Side(commit, study, results)


def _content(cache: Cache, root: Path, path: str, md5: str) -> bytes | None:
    """Bytes of this MD5 from the cache, or from the file itself where it is still the same."""
    try:
        return cache.place(md5).read_bytes()
    except OSError:
        place = root / path
        return place.read_bytes() if Digests().md5(place) == md5 else None


def locked_study(commit: str, root: Path, name: str) -> dict[str, LockedOut]:
    """The outputs of a study that a commit's dvc.lock records, by their path.

    Raises
    ------
    UserError
        Where it records none.
    """
    listed = git(root, "ls-tree", "-r", "--name-only", commit) or ""
    locks = [
        path
        for path in listed.splitlines()
        if path.rpartition("/")[2] == "dvc.lock" and path.count("/") <= 2
    ]
    outs = {
        out.path: out
        for lock in locks
        for out in dvc_lock.locked_outs(lock, lambda path: git(root, "show", f"{commit}:{path}"))
        if out.path == name or out.path.startswith(f"{name}/")
    }
    if not outs:
        raise UserError(f"{commit}: no dvc.lock of this commit records {name}")
    return outs


def git(root: Path, *arguments: str) -> str | None:
    """What git prints; None where it fails."""
    printed = git_bytes(root, *arguments)
    return None if printed is None else printed.decode(errors="replace")


def git_bytes(root: Path, *arguments: str) -> bytes | None:
    """What git prints, unread; None where it fails."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout


def some(names: list[str]) -> str:
    """The first few of many names."""
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
