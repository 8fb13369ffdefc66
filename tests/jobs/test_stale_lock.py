"""Locks of a Snakemake that was killed, of one that runs, and of somebody else's."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from overopt.jobs.stale_lock import HOLDER, clear_stale_lock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "locks").mkdir()
    return tmp_path


def lock(folder: Path) -> Path:
    path = folder / "locks" / "0.input.lock"
    path.write_text("results/test/data/prompts.parquet")
    return path


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def wait_for_name(pid: int) -> None:
    """A process that was just forked still has the name of its parent."""
    while b"snakemake" not in Path(f"/proc/{pid}/cmdline").read_bytes():
        time.sleep(0.01)


def note(folder: Path, **holder: object) -> None:
    (folder / HOLDER).write_text(json.dumps({"machine": os.uname().nodename, **holder}))


def test_the_first_start_notes_itself(tmp_path: Path) -> None:
    assert not clear_stale_lock(tmp_path / ".snakemake")
    holder = json.loads((tmp_path / ".snakemake" / HOLDER).read_text())
    assert holder["process"] == os.getpid()


def test_the_lock_of_a_killed_snakemake_goes(folder: Path) -> None:
    note(folder, process=ended_process())
    path = lock(folder)
    assert clear_stale_lock(folder)
    assert not path.exists()
    assert json.loads((folder / HOLDER).read_text())["process"] == os.getpid()


def test_the_lock_of_a_process_number_used_anew_goes(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        note(folder, process=other.pid)
        lock(folder)
        assert clear_stale_lock(folder)
        other.communicate(b"\n")


@pytest.mark.parametrize("case", ["running", "other machine", "nobody noted", "unreadable"])
def test_any_other_lock_stays(folder: Path, case: str) -> None:
    path = lock(folder)
    command = [sys.executable, "-c", "input()", "snakemake"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as running:
        wait_for_name(running.pid)
        if case == "running":
            note(folder, process=running.pid)
        elif case == "other machine":
            note(folder, process=ended_process(), machine="elsewhere")
        elif case == "unreadable":
            (folder / HOLDER).write_text("{")
        before = (folder / HOLDER).read_text() if (folder / HOLDER).exists() else None
        assert not clear_stale_lock(folder)
        assert path.exists()
        after = (folder / HOLDER).read_text() if (folder / HOLDER).exists() else None
        assert after == before, "a start that is refused does not take the holder's place"
        running.communicate(b"\n")
