"""Every command and job prints in a terminal that is not UTF-8: what it lacks is escaped."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = Path(__file__).resolve().parents[1] / "config" / "test.yaml"
JOB = """
from overopt.jobs.job import Job, Output, run


def main(job: Job, result: Output) -> None:
    print("prompt: \u6570")
    result.write_text("done")


if __name__ == "__main__":
    run(main)
"""


def printed(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        encoding="ascii",
    )


def test_a_job_prints_any_text(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(JOB, encoding="utf-8")
    done = printed(tmp_path, "script.py", "--result", "result.txt", "--record", "record.json")
    assert (done.returncode, done.stdout) == (0, "prompt: \\u6570\n")
    assert (tmp_path / "result.txt").exists()


@pytest.mark.parametrize("name", ["größe.yaml", "数.yaml"])
def test_a_config_of_any_name_is_checked(tmp_path: Path, name: str) -> None:
    shutil.copy(CONFIG, tmp_path / name)
    done = printed(tmp_path, "-m", "overopt.study.config_file", name)
    shown = name.encode("ascii", "backslashreplace").decode()
    assert (done.returncode, done.stdout) == (0, f"{shown}: no faults\n")
