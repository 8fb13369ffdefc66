"""A copy of the repository in which tests run Snakemake, as in a user's clone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("Snakefile", "workflow", "config", "envs", "profiles", "src")


def copy_of_repository(folder: Path) -> Path:
    """What a user's clone holds of the workflow, without results."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SOURCES:
        source = ROOT / name
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignore)
        else:
            shutil.copy(source, folder / name)
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Variables under which the workflow of this copy runs: its own package, this Python."""
    return {
        **os.environ,
        "PYTHONPATH": str(folder / "src"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }


def snakemake(
    folder: Path, *arguments: str, config: str = "config/test.yaml", check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a copy of the repository; its output on failure."""
    command = [sys.executable, "-m", "snakemake", *arguments, "--configfile", config]
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=900
    )
    if check and done.returncode:
        pytest.fail(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done
