"""Do the results agree with dvc.lock?"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from overopt.audit import dvc_lock
from overopt.audit.digests import Digests
from overopt.audit.dvc_lock import Cache, LockedOut
from overopt.audit.findings import LOCK_UNREADABLE, NOT_AS_LOCKED, Finding
from overopt.audit.study_folder import UNFINISHED, StudyFolder
from overopt.errors import UserError


@dataclass(frozen=True)
class Locked:
    """What dvc.lock says of a study.

    Attributes
    ----------
    files : MD5 of every file of which it is known, with the output that covers it.
    folders : outputs whose manifest is not in the cache; only their own MD5 is known.
    faults : files of DVC that cannot be read.

    """

    files: dict[str, tuple[str, LockedOut]]
    folders: list[LockedOut]
    faults: dict[str, str]

    def covers(self, path: str) -> bool:
        """Whether dvc.lock says anything of this file."""
        return path in self.files or any(path.startswith(f"{out.path}/") for out in self.folders)


def locked_files(study: StudyFolder) -> Locked:
    """What every dvc.lock of the repository says of this study."""
    locked = Locked({}, [], {})
    cache = Cache(study.root)
    for lock in dvc_lock.lock_files(study.root):
        try:
            outs = dvc_lock.locked_outs(lock, lambda path: read_text(study.root / path))
        except UserError as error:
            locked.faults[lock] = str(error)
            continue
        for out in outs:
            if out.path != study.name and not study.is_inside(out.path):
                continue
            manifest = cache.manifest(out) if out.is_folder else {out.path: out.md5}
            if manifest is None:
                locked.folders.append(out)
            else:
                locked.files.update({path: (md5, out) for path, md5 in manifest.items()})
    return locked


def read_text(path: Path) -> str | None:
    """Text of a file; None where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def check_lock(
    study: StudyFolder, locked: Locked, digests: Digests, only: set[str] | None = None
) -> Iterator[Finding]:
    """Files and folders that differ from dvc.lock; `only` of these files where given."""
    for lock, fault in locked.faults.items():
        yield Finding(LOCK_UNREADABLE, lock, fault)
    covered = {out.path for _, out in locked.files.values() if out.is_folder}
    added = [
        path
        for path in study.files
        if path not in locked.files and any(path.startswith(f"{out}/") for out in covered)
    ]
    wanted = [path for path in locked.files if only is None or path in only]
    digests.read([], with_md5=[study.place(path) for path in wanted])
    for path in sorted(wanted):
        md5, out = locked.files[path]
        now = digests.md5(study.place(path))
        if now is None:
            yield Finding(NOT_AS_LOCKED, path, f"gone; stage {out.stage} has it")
        elif now != md5:
            detail = f"its MD5 is {now[:12]}, stage {out.stage} has {md5[:12]}"
            yield Finding(NOT_AS_LOCKED, path, detail + _why(study, path, digests))
    for path in sorted(path for path in added if only is None or path in only):
        yield Finding(NOT_AS_LOCKED, path, "not in the folder that was recorded")
    if only is None:
        for out in locked.folders:
            yield from _check_folder(study, out, digests)


def _why(study: StudyFolder, path: str, digests: Digests) -> str:
    """Whether the file or the lock is the newer."""
    maker = study.maker(path)
    if maker is None:
        return ""
    if maker.written[path] == digests.sha256(study.place(path)):
        return f"; made since, on {maker.finished:%Y-%m-%d %H:%M}, and not recorded"
    return "; its own record has other bytes, too"


def _check_folder(study: StudyFolder, out: LockedOut, digests: Digests) -> Iterator[Finding]:
    folder = study.place(out.path)
    ignored = [*dvc_lock.ignored_patterns(study.root), f"{UNFINISHED}*"]
    paths = dvc_lock.files_of_folder(folder, ignored)
    digests.read([], with_md5=[folder / path for path in paths])
    md5s = {path: digests.md5(folder / path) or "" for path in paths}
    if dvc_lock.folder_md5(md5s) != out.md5:
        detail = (
            f"its {len(paths)} files together are not what stage {out.stage} has; which of them "
            "differ, DVC can tell after `dvc fetch`"
        )
        yield Finding(NOT_AS_LOCKED, out.path, detail)
