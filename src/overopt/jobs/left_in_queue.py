"""
Jobs that a killed Snakemake left in the queue of a SLURM cluster are cancelled at the next start.

Nobody follows them any more. Left alone, one that runs would end unknown to Snakemake, and one that
waits would start late, remove outputs that the next Snakemake has made, and make them again.
Cancelling loses nothing: a training goes on from its last state (`overopt.models.training.state`).
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

SECONDS_TO_END = 60  # SLURM lets a job go on for half a minute (KillWait) before it kills it


def cancel_left_in_queue(folder: Path) -> list[str]:
    """Cancel this user's jobs that Snakemake submitted from this folder; their ids.

    To be called only where no Snakemake runs in the folder. Waits until the jobs have ended. Does
    nothing where there is no SLURM, or where it does not answer.
    """
    if not shutil.which("squeue") or not shutil.which("scancel"):
        return []
    left = _in_queue(folder)
    if left:
        subprocess.run(["scancel", *left], check=False, capture_output=True, timeout=60)
    end = time.monotonic() + SECONDS_TO_END
    while _in_queue(folder) and time.monotonic() < end:
        time.sleep(0.5)
    return left


def _in_queue(folder: Path) -> list[str]:
    """Ids of the jobs whose folder is this one and whose comment is of Snakemake's plugin."""
    command = ["squeue", "--me", "--noheader", "--format=%A|%k|%Z"]
    try:
        listed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return []
    jobs = (line.split("|", 2) for line in listed.stdout.splitlines())
    return sorted(
        {
            job
            for job, comment, place in jobs
            if comment.startswith(("rule_", "group_")) and os.path.realpath(place) == str(folder)
        }
    )
