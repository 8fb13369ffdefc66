"""What a person sees who starts Snakemake on a faulty config."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("Snakefile", "workflow", "config", "envs", "src")

pytestmark = pytest.mark.slow


def started(folder: Path, *arguments: str, **variables: str) -> str:
    """What Snakemake says that is started on a copy of the repository, and fails."""
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        if not (folder / name).exists():
            copy(ROOT / name, folder / name)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--workflow-profile", "none", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src"), **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_number_that_yaml_reads_otherwise_stops_with_its_line(tmp_path: Path) -> None:
    text = (ROOT / "config/test.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(text.replace("seed: 0\n", "seed: 010\n", 1))
    seen = started(tmp_path, "-n", "--configfile", "mine.yaml")
    assert "YAML reads 010 as an octal number (8)" in seen


def test_a_config_given_beside_another_is_told(tmp_path: Path) -> None:
    (tmp_path / "part.yaml").write_text("name: other\n")
    seen = started(tmp_path, "-n", "--configfile", "config/test.yaml", "--configfile", "part.yaml")
    assert "--configfile stands 2 times on the command line, and only the last counts" in seen


@pytest.mark.parametrize("link", ["results", "results/test"])
def test_results_behind_a_symbolic_link_are_refused_before_any_job(
    link: str, tmp_path: Path
) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / "scratch")
    seen = started(tmp_path, "--cores", "1", "data", "--configfile", "config/test.yaml")
    assert f"{link} is a symbolic link, which DVC and git do not follow" in seen
    assert not list((tmp_path / "scratch").iterdir())


def test_a_faulty_config_stops_before_any_job_and_lists_all_faults(tmp_path: Path) -> None:
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    config = tmp_path / "config" / "test.yaml"
    config.write_text(
        config.read_text(encoding="utf-8").replace("max_n: 64", "max_n: 1e9"), encoding="utf-8"
    )
    command = [sys.executable, "-m", "snakemake", "-n", "--workflow-profile", "none"]
    done = subprocess.run(
        # A section on the command line changes the keys it has (to text) and leaves the others.
        [*command, "--configfile", "config/test.yaml", "--config", "ppo={lam: 7}", "ggrid=1"]
        + ["main_policy=huge", "name=../../elsewhere"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    seen = done.stdout + done.stderr
    assert "Traceback" not in seen
    assert [line.strip() for line in seen.splitlines() if line.strip().startswith("- ")] == [
        "- ggrid: unknown key; did you mean grid?",
        "- name: found '../../elsewhere'; expected letters, digits, - and _, with a letter or "
        "digit first",
        "- best_of_n.max_n: found '1e9'; expected a whole number; write 1000000000",
        "- ppo.lam: found '7'; expected at most 1",
        "- main_policy: 'huge' is not defined; use one of small, large or add it to policies",
    ]
    assert "the config has 5 faults; nothing was run:" in seen
    assert "rule " not in seen
    assert not (tmp_path / "results").exists()
