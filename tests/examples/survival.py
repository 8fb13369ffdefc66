"""
Kill the tiny study at random moments, go on with the documented command, compare the bytes.

    python tests/examples/survival.py --kills 50 --seed 0 [--folder SCRATCH]

Killed are: Snakemake and its jobs together by Ctrl-C (SIGINT to the group); Snakemake alone
(SIGKILL: its jobs go on without it); everything at once (SIGKILL to the group, as when a machine
goes down); one job (SIGKILL, as by the kernel when memory is short). After each kill the same
command runs again. `tests/workflow/test_survival.py` does a few of these in every run of the tests.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workflow_example import copy_of_repository, environment

KINDS = ("Ctrl-C", "Snakemake alone", "everything", "one job")
SECONDS_BEFORE = (1.5, 9.0)
MAX_STARTS = 6  # without a kill, until the study must be finished


@dataclass
class Death:
    """One kill: what was killed, after how many seconds, and what Snakemake said in the end."""

    kind: str
    after: float
    output: str


class Study:
    """A study that is started, killed and started again with one and the same command."""

    def __init__(self, folder: Path, cores: int, config: str = "config/test.yaml") -> None:
        self.folder = folder
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores)]
        self._command = [*command, "--configfile", config]
        self._log = folder / "snakemake.out"

    def start(self) -> subprocess.Popen[bytes]:
        """Start the command in a process group of its own, as a shell does."""
        with self._log.open("wb") as log:
            return subprocess.Popen(
                self._command,
                cwd=self.folder,
                env=environment(self.folder) | {"OVEROPT_SECONDS_BETWEEN_SAVES": "0.3"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        """What the last start has said."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def job_pids(self) -> list[int]:
        """Processes that run a script of this folder's workflow."""
        scripts = str(self.folder / "workflow" / "scripts").encode()
        return [pid for pid, line in _command_lines() if scripts in line and b"python" in line[:80]]

    def kill(self, kind: str, snakemake: subprocess.Popen[bytes], rng: random.Random) -> bool:
        """Kill in this way; False where there was nothing to kill."""
        if kind == "Ctrl-C":
            os.killpg(snakemake.pid, signal.SIGINT)
        elif kind == "Snakemake alone":
            snakemake.kill()
        elif kind == "everything":
            jobs = self.job_pids()
            os.killpg(snakemake.pid, signal.SIGKILL)
            _kill(jobs)
        else:
            # Of this start: a job that an earlier one left behind is not Snakemake's any more.
            jobs = [pid for pid in self.job_pids() if _session(pid) == snakemake.pid]
            if not jobs:
                return False
            _kill([rng.choice(jobs)])
        return True

    def finish(self) -> str:
        """Start until the study is done; what the last start said. Fails after MAX_STARTS."""
        for _ in range(MAX_STARTS):
            if self.start().wait(timeout=900) == 0:
                return self.output()
        raise AssertionError(f"not finished after {MAX_STARTS} starts:\n{self.output()}")


def _command_lines() -> Iterator[tuple[int, bytes]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:
                continue  # it has ended


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _kill(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def kill_and_restart(
    study: Study, kinds: list[str], rng: random.Random, longest: float = SECONDS_BEFORE[1]
) -> list[Death]:
    """Kill the study once in each of these ways, then finish it; the deaths.

    Where a start finishes before its kill, the remaining kills do not happen.
    """
    deaths = []
    for kind in kinds:
        snakemake = study.start()
        after = rng.uniform(SECONDS_BEFORE[0], longest)
        end = time.monotonic() + after
        killed = False
        while not killed and snakemake.poll() is None:
            if time.monotonic() >= end:
                killed = study.kill(kind, snakemake, rng)
            time.sleep(0.02)
        snakemake.wait(timeout=900)
        if not killed:
            break
        deaths.append(Death(kind, after, study.output()))
    study.finish()
    return deaths


def result_bytes(folder: Path) -> dict[str, bytes]:
    """Every result of a study by its path; what tells times, machines and commits left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted((folder / "results").rglob("*"))
        if path.is_file()
        and "logs" not in path.parts
        and not path.name.endswith("record.json")
        and not path.match("report/run.html")  # tells the seconds that jobs took
    }


def differences(one: Path, other: Path) -> list[str]:
    """Paths that only one of two studies has, or whose bytes differ."""
    first, second = result_bytes(one), result_bytes(other)
    return sorted(
        path for path in first.keys() | second.keys() if first.get(path) != second.get(path)
    )


def main() -> None:
    """Run a campaign and print what happened."""
    parser = argparse.ArgumentParser(description="Kill the tiny study, go on, compare.")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--kills-per-study", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    scratch = Path(options.folder or tempfile.mkdtemp(prefix="survival-"))
    undisturbed = copy_of_repository(scratch / "undisturbed")
    Study(undisturbed, options.cores).finish()
    counts: Counter[str] = Counter()
    number = 0
    while counts.total() < options.kills:
        number += 1
        folder = copy_of_repository(scratch / f"killed-{number}")
        kinds = [rng.choice(KINDS) for _ in range(options.kills_per_study)]
        deaths = kill_and_restart(Study(folder, options.cores), kinds, rng)
        counts.update(death.kind for death in deaths)
        wrong = differences(undisturbed, folder)
        told = ", ".join(f"{death.kind} after {death.after:.1f} s" for death in deaths)
        print(f"study {number}: {len(deaths)} deaths ({told}); differing results: {wrong}")
        sys.stdout.flush()
        assert not wrong
    print(f"{counts.total()} kills {dict(counts)}; every study finished with the same bytes")


if __name__ == "__main__":
    main()
