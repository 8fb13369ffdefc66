"""
How a job's outputs come into being: all at once, under their own names only when they are whole.

A job writes into a folder `.unfinished-<script>` beside each output; when it is done, every file
in there moves to its place, each in one step. So no reader ever sees half a file, and what a killed
job leaves behind is never mistaken for a result. A training state stays in that folder: the next
start of the job goes on from it (`overopt.models.training.state`).

A Snakemake that is killed outright leaves its jobs running. Started again, it starts the same job a
second time; the second waits until the first has ended. Where a file system keeps no locks (some
mounts of NFS and Lustre), the job goes on without, and says so.
"""

import errno
import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import TextIO

from overopt.errors import UserError
from overopt.jobs.processes import Processes
from overopt.jobs.provenance import file_sha256

STATE_FILE = "training_state.safetensors"
LOCK_FILE = "lock"
KEPT = (STATE_FILE, LOCK_FILE)
# Where the record of an output lies: beside it, or, of the tables of a whole study, in analysis/.
RECORD_FOLDERS = (".", "analysis")
NO_ROOM = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "the folder or file may not be written or read",
    errno.EPERM: "the folder or file may not be written or read",
}


# What `flock` answers where a file system has no locks.
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


class Outputs:
    """The unfinished folders of one job.

    Parameters
    ----------
    script
        Name of the job's script, without a suffix: the folders are named after it.
    processes
        Those of the job; the main one holds the folders and publishes.

    """

    def __init__(self, script: str, processes: Processes | None = None) -> None:
        self._name = f".unfinished-{script}"
        self._is_held_here = processes is None or processes.is_main
        self._folders: list[Path] = []
        self._locks: list[TextIO] = []

    def place(self, output: Path) -> Path:
        """Where to write this output until the job is done; leftovers of an earlier start go."""
        folder = output.parent / self._name
        if self._is_held_here and folder not in self._folders:
            self._locks.append(_locked(folder, is_first=not self._locks))
            _clear(folder)
            self._folders.append(folder)
        return folder / output.name

    def publish(self) -> dict[str, str]:
        """Move every file that the job wrote to its place; SHA-256 by path."""
        digests: dict[str, str] = {}
        for folder in self._folders:
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            for file in (path for path in files if path.name not in KEPT):
                target = folder.parent / file.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                digests[target.as_posix()] = file_sha256(file)
                os.replace(file, target)
            shutil.rmtree(folder)
        for lock in self._locks:
            lock.close()
        return digests


def _locked(folder: Path, *, is_first: bool) -> TextIO:
    """Wait until no other process writes into this folder, and keep others out while open.

    Where that cannot be, say so at the first folder of a job and go on.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK_FILE).open("w", encoding="utf-8")
        try:
            _lock(lock, folder)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                lock.close()
                raise
            if is_first:
                print(
                    f"the file system of {folder.parent} keeps no locks ({error.strerror}): going "
                    "on without. Start no second Snakemake here while jobs of a first still run",
                    flush=True,
                )
            return lock
        # The other one removes the folder when it is done, and the lock with it.
        try:
            if os.path.samestat(os.fstat(lock.fileno()), os.stat(folder / LOCK_FILE)):
                return lock
        except FileNotFoundError:
            pass
        lock.close()


def _lock(lock: TextIO, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"another process is making {folder.parent}; waiting for it to end", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)


def _clear(folder: Path) -> None:
    """Remove all but the training state and the lock."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in KEPT:
            path.unlink()


def check_inputs(digests: dict[str, str]) -> None:
    """Refuse an input that is not what its job wrote: edited, cut short, or damaged.

    `digests` are SHA-256 by path, of the files as they are. An input without a record of its making
    (a user's own file) passes.

    Raises
    ------
    UserError
        Naming every such file.
    """
    damaged = [
        path for path, digest in digests.items() if _recorded_digest(path) not in (None, digest)
    ]
    if damaged:
        raise UserError(
            "not what the job that made it wrote (edited, cut short or damaged): "
            f"{', '.join(damaged)}. Remove it, or `dvc checkout --force` it; "
            "then run the same command again"
        )


def _recorded_digest(path: str) -> str | None:
    """SHA-256 that the maker of a file recorded; None where no record has the file."""
    for folder in RECORD_FOLDERS:
        for record in (Path(path).parent / folder).glob("*record.json"):
            try:
                outputs = json.loads(record.read_text(encoding="utf-8")).get("outputs", {})
            except (OSError, ValueError):
                continue  # a record that cannot be read is for the audit to find
            if path in outputs:
                return outputs[path]
    return None


def explain(error: Exception, record: Path) -> str | None:
    """A sentence for a fault of the machine; None for a bug, which needs its traceback.

    `record` says where the job writes.
    """
    number = getattr(error, "errno", None)
    text = str(error)
    if number not in NO_ROOM and "No space left on device" in text:  # Rust and C++ writers
        number = errno.ENOSPC
    if number not in NO_ROOM:
        return None
    where = getattr(error, "filename", None) or record.parent
    return (
        f"{NO_ROOM[number]}: {where}. Nothing is lost: put it right and run the same command again"
    )
