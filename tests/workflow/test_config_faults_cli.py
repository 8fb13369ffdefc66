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
