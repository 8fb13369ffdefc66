"""
The study on a SLURM cluster, through the project's own profile; the cluster is a real one.

The whole tiny study takes minutes there, since each job starts two Snakemakes of its own, and so
does a part of it by `dvc repro`. So the suite runs a smaller part; OVEROPT_SLURM_WHOLE=1 runs all.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from slurm_cluster import Cluster, missing, running_cluster
from survival import differences
from version_example import as_git_repository, run
from workflow_example import ROOT, copy_of_repository, environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
]

MINUTES = pytest.mark.skipif(
    "OVEROPT_SLURM_WHOLE" not in os.environ, reason="OVEROPT_SLURM_WHOLE=1 runs it"
)
TEST_CONFIG = "config/test.yaml"
CONFIGURED = ("--configfile", TEST_CONFIG)
CELL = "s1/deterministic-labels/2000-comparisons/1-epochs/seed-0"
# Only how often Snakemake looks: the plugin waits 10 s longer after each look that shows no news.
OVERRIDES = {"slurm-init-seconds-before-status-checks": 5, "latency-wait": 2}


def profile_in(folder: Path) -> Path:
    """The project's profile with these overrides, in a folder of its own."""
    settings = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text(encoding="utf-8"))
    profile = folder / "profiles" / "slurm_test"
    profile.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(settings | OVERRIDES)
    (profile / "config.yaml").write_text(text, encoding="utf-8")
    return profile


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start Snakemake with the profile; what it says goes to the file `said`."""
    with (folder / "said").open("ab") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--profile", str(profile_in(folder)), *arguments],
            cwd=folder,
            env=environment(folder),
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until(happens: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def stop_processes(name: str) -> bool:
    """Stop, without ending them, the processes with this in their command line; whether any is."""
    stopped = False
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended in the meantime
            if name.encode() in path.read_bytes():
                os.kill(int(path.parent.name), signal.SIGSTOP)
                stopped = True
    return stopped


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose commands are the ones that are found."""
    with (
        running_cluster(tmp_path_factory.mktemp("cluster")) as cluster,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("PATH", os.pathsep.join([str(cluster.folder / "bin"), os.environ["PATH"]]))
        yield cluster


# A job that runs out of time, and one that runs out of memory. The first attempt of each is killed
# by SLURM itself, and the second asks for more. A minute is the shortest time that SLURM limits,
# and it looks twice a minute: so this runs beside the other tests, asleep, and its test is last.

HUNGRY = """
rule all:
    input:
        "out_of_time",
        "out_of_memory",


rule out_of_time:
    output:
        "out_of_time",
    resources:
        runtime=lambda wildcards, attempt: attempt,
        mem_mb=1000,
    shell:
        "if [ -e was_killed ]; then touch {output}; else touch was_killed; sleep 1000; fi"


rule out_of_memory:
    output:
        "out_of_memory",
    resources:
        runtime=5,
        mem_mb=lambda wildcards, attempt: 700 * attempt,
    shell:
        "python -c 'import time; held = bytearray(800_000_000); time.sleep(3)' && touch {output}"
"""


@pytest.fixture(scope="module", autouse=True)
def hungry(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    folder = tmp_path_factory.mktemp("hungry")
    (folder / "Snakefile").write_text(HUNGRY)
    process = start(folder)
    yield folder, process
    process.kill()
    process.wait()


# Ctrl-C.

SLEEPERS = """
rule all:
    input:
        expand("{kind}_{number}", kind=["single", "best_of_n"], number=range(4)),


rule single:
    output:
        "single_{number}",
    shell:
        "sleep 1000; touch {output}"


rule best_of_n:
    output:
        "best_of_n_{number}",
    shell:
        "sleep 1000; touch {output}"
"""


def test_nothing_is_left_in_the_queue_after_ctrl_c(cluster: Cluster, tmp_path: Path) -> None:
    """Running and waiting jobs, single ones and an array."""
    (tmp_path / "Snakefile").write_text(SLEEPERS)
    process = start(tmp_path)
    wait_until(lambda: len(cluster.queue(tmp_path)) == 8)
    assert any("_" in job for job in cluster.queue(tmp_path)), "an array"
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) != 0
    wait_until(lambda: not cluster.queue(tmp_path), seconds=20)


# A part of the tiny study, as `dvc repro` makes it: an array and both groups.

MADE_ON_THE_CLUSTER = (
    f"best_of_n/small/{CELL}/curve.parquet",
    f"best_of_n/small/{CELL.replace('s1', 's3')}/curve.parquet",
    "feature_correlations.csv",
    "figures/table_01.csv",
    "figures/table_02.csv",
    "claims.csv",
    "report/claims.html",
    "report/run.html",
)


@MINUTES
def test_a_part_made_by_dvc_repro_on_the_cluster_has_the_same_bytes(
    cluster: Cluster, finished_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dvc.yaml is as ever; a variable names the profile."""
    folder = tmp_path / "study"
    shutil.copytree(finished_study, folder, copy_function=shutil.copy2)
    results = folder / "results" / "test"
    for name in MADE_ON_THE_CLUSTER:
        (results / name).unlink()
    as_git_repository(folder, TEST_CONFIG)
    monkeypatch.setenv("SNAKEMAKE_PROFILE", str(profile_in(folder)))
    said = run(folder, "dvc", "repro")
    assert said.count("Nothing to be done") == 4, "data, policies, gold and proxy RMs"
    assert said.count("Submitted array job") == 1
    groups = re.findall(r"has been submitted with SLURM .*/slurm_logs/group_([a-z]+)_", said)
    assert sorted(groups) == ["analysis", "tables"]
    assert differences(finished_study, folder) == []
    assert "are up to date" in run(folder, "dvc", "status")
    run(folder, "python", "-m", "overopt.cli", "audit", "--study", "test")


@MINUTES
def test_the_whole_tiny_study_has_the_same_bytes(
    cluster: Cluster, finished_study: Path, tmp_path: Path
) -> None:
    folder = copy_of_repository(tmp_path / "study")
    assert start(folder, *CONFIGURED).wait(timeout=1800) == 0
    assert differences(finished_study, folder) == []


# Snakemake is killed outright, and its jobs live on.


def test_a_killed_controller_is_survived(
    cluster: Cluster, finished_study: Path, tmp_path: Path
) -> None:
    """One of its jobs ends in the meantime, one still runs; a job of the user's own lives on."""
    folder = tmp_path / "study"
    shutil.copytree(finished_study, folder, copy_function=shutil.copy2)

    def kill_while_making(path: str, begun: Callable[[], bool]) -> None:
        (folder / path).unlink()
        noted = folder / ".snakemake" / "metadata" / urlsafe_b64encode(path.encode()).decode()
        noted.unlink()
        snakemake = start(folder, path, *CONFIGURED)
        wait_until(lambda: begun() or snakemake.poll() is not None)
        assert snakemake.poll() is None, (folder / "said").read_text()
        snakemake.kill()
        snakemake.wait()

    tilted = f"results/test/best_of_n/small/{CELL.replace('s1', 's2')}/tilted_curve.parquet"
    # It writes its file within a moment: what can be caught is that it is in the queue.
    kill_while_making(tilted, begun=lambda: bool(cluster.queue(folder)))
    wait_until(lambda: not cluster.queue(folder))
    found = run(folder, "python", "-m", "overopt.cli", "audit", "--study", "test", check=False)
    assert f"{tilted}: tilted.py wrote it" in found
    run(folder, "snakemake", "--cores", "1", "--touch", "--force", tilted, *CONFIGURED)

    def is_held() -> bool:
        """Whether PPO has begun to write; it takes a second or two, so it is stopped at once."""
        has_begun = any((folder / curve).parent.glob(".unfinished-*"))
        return has_begun and stop_processes(f"{folder}/workflow/scripts/ppo.py")

    curve = f"results/test/ppo/small/kl-0/{CELL}/curve.parquet"
    kill_while_making(curve, begun=is_held)
    cluster.run("sbatch", f"--chdir={folder}", "--mem=50", "--output=/dev/null", "--wrap=sleep 300")
    assert start(folder, curve, *CONFIGURED).wait(timeout=120) == 0, (folder / "said").read_text()
    assert "Cancelled SLURM job" in (folder / "said").read_text()
    assert len(cluster.queue(folder)) == 1
    assert differences(finished_study, folder) == []
    run(folder, "python", "-m", "overopt.cli", "audit", "--study", "test")


def test_a_job_out_of_time_or_memory_is_started_again_with_more(
    cluster: Cluster, hungry: tuple[Path, subprocess.Popen[bytes]]
) -> None:
    """SLURM ends a job at its time limit itself, and here also one that holds too much memory."""
    folder, process = hungry
    assert process.wait(timeout=200) == 0, (folder / "said").read_text()
    ended = [job for job in cluster.finished_jobs() if job["WorkDir"] == str(folder)]
    asked = [(job["JobState"], job["TimeLimit"], job["Tres"].split(",")[1]) for job in ended]
    assert sorted(asked) == [
        ("COMPLETED", "2", "mem=1000M"),
        ("COMPLETED", "5", "mem=1400M"),
        ("FAILED", "5", "mem=700M"),
        ("TIMEOUT", "1", "mem=1000M"),
    ]
