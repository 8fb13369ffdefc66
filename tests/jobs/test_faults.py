"""A full disk, a read-only folder, a damaged file: told plainly, and nothing is lost."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from survival import differences, result_bytes
from workflow_example import copy_of_repository, snakemake

pytestmark = pytest.mark.slow

AGAIN = "Run the same command again to go on; finished jobs are kept."


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Copy of the repository whose results lie on a disk of 400 kB."""
    folder = copy_of_repository(tmp_path / "small-disk")
    (folder / "results").mkdir()
    done = mount(folder, "size=400k", "-t", "tmpfs", "tmpfs")
    if done.returncode:
        pytest.skip(f"needs the right to mount a tmpfs: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder / "results")], check=True)


def mount(folder: Path, options: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["mount", "-o", options, *arguments, str(folder / "results")]
    try:
        return subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 1, "", "no mount command")


def test_a_full_disk_and_a_read_only_one_lose_nothing(
    small_disk: Path, finished_study: Path
) -> None:
    def policies(check: bool = True) -> str:
        done = snakemake(small_disk, "policies", "--cores", "2", check=check)
        return done.stdout + done.stderr

    text = policies(check=False)
    assert "error: the disk is full: results/test/policies/" in text
    assert AGAIN in text
    assert "Traceback" not in text
    mount(small_disk, "remount,ro,size=100m")
    text = policies(check=False)
    assert "results cannot be written: Read-only file system. Make it writable" in text
    assert "Traceback" not in text
    mount(small_disk, "remount,rw")
    assert "jobs done" in policies()
    whole = result_bytes(finished_study)
    made = result_bytes(small_disk)
    assert {path for path in made if "/policies/" in path} == {
        path for path in whole if "/policies/" in path
    }
    assert {path: whole[path] for path in made} == made


@pytest.mark.parametrize(
    ("damaged", "asked"),
    [
        ("results/test/gold_rm/model.safetensors", "results/test/synthetic_comparisons"),
        ("results/test/data/demonstrations.parquet", "results/test/policies/small"),
    ],
)
def test_a_damaged_file_is_named_and_made_anew(
    damaged: str, asked: str, finished_study: Path, tmp_path: Path
) -> None:
    """Cut short, with a job after it to be done again."""
    folder = tmp_path / "study"
    shutil.copytree(finished_study, folder, copy_function=shutil.copy2)
    path = folder / damaged
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    shutil.rmtree(folder / asked)
    targets = [f"{asked}/comparisons.parquet" if "synthetic" in asked else f"{asked}/config.json"]
    done = snakemake(folder, *targets, "--cores", "2", check=False)
    text = done.stdout + done.stderr
    assert done.returncode == 1
    assert f"not what the job that made it wrote (edited, cut short or damaged): {damaged}" in text
    assert "Remove it, or `dvc checkout --force` it; then run the same command again" in text
    assert "Traceback" not in text
    path.unlink()
    snakemake(folder, *targets, "--cores", "2")
    assert [p for p in differences(finished_study, folder) if p.startswith((damaged, asked))] == []
