"""
The lock of a Snakemake that was killed outright is removed; that of one that runs is not.

Snakemake locks its folder while it runs and, killed by SIGKILL or a power loss, leaves the lock:
the next start refuses until somebody types `snakemake --unlock`. Here each start notes its process,
so that the next one knows whether the holder still runs.
"""

import json
import os
import platform
from pathlib import Path

HOLDER = "lock_holder.json"


def clear_stale_lock(folder: Path) -> bool:
    """Remove the lock in Snakemake's folder if its holder has ended; whether there was one.

    Notes this process as the next holder where no lock is left. A lock of another machine, or of a
    holder that nobody noted, stays, and Snakemake then says what to do.
    """
    locks = [path for path in (folder / "locks").glob("*") if path.is_file()]
    is_stale = bool(locks) and _has_ended(folder / HOLDER)
    if is_stale:
        for path in locks:
            path.unlink(missing_ok=True)
    if is_stale or not locks:
        folder.mkdir(exist_ok=True)
        holder = {"machine": platform.node(), "process": os.getpid()}
        (folder / HOLDER).write_text(json.dumps(holder), encoding="utf-8")
    return is_stale


def _has_ended(note: Path) -> bool:
    """Whether the noted process, of this machine, is certainly not a running Snakemake."""
    try:
        holder = json.loads(note.read_text(encoding="utf-8"))
        if holder["machine"] != platform.node():
            return False
        os.kill(holder["process"], 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError, KeyError, TypeError):
        return False
    command = Path(f"/proc/{holder['process']}/cmdline")  # the number may be another's by now
    return command.is_file() and b"snakemake" not in command.read_bytes()
