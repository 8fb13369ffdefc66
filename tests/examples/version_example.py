"""Git and DVC in a copy of the repository, as a user runs them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from workflow_example import ROOT, environment

VERSIONED = (".gitignore", ".dvcignore", ".dvc/.gitignore", ".dvc/config", ".dvc/plots/curves.json")


def run(folder: Path, *command: str, check: bool = True) -> str:
    """Output of a command in a copy of the repository; the test fails where the command does."""
    done = subprocess.run(
        command, cwd=folder, env=_environment(folder), capture_output=True, text=True, timeout=600
    )
    if check and done.returncode:
        pytest.fail(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout + done.stderr


def _environment(folder: Path) -> dict[str, str]:
    """Neither git nor DVC sees the settings or the caches of whoever runs the tests."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {
        **variables,
        **environment(folder),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "somebody"),
        **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "somebody@example.org"),
        **{
            f"DVC_{scope}": str(folder / ".dvc/tmp" / scope)
            for scope in ("GLOBAL_CONFIG_DIR", "SYSTEM_CONFIG_DIR", "SITE_CACHE_DIR")
        },
    }


def as_git_repository(copy: Path, *configs: str) -> None:
    """Make a copy of the repository's sources a repository that versions the studies of these."""
    for name in VERSIONED:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    run(copy, "git", "init", "-q", "-b", "main")
    run(copy, "python", "-m", "overopt.audit.dvc_stages", *configs)
    commit(copy, "Sources")


def commit(folder: Path, message: str) -> None:
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-q", "-m", message)


def clone(repository: Path, folder: Path) -> Path:
    run(repository, "git", "clone", "-q", str(repository), str(folder))
    return folder
