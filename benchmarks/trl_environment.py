"""TRL's own environment: made once in the cache, and asked to run a job.

The project does not depend on TRL. One virtual environment holds the packages that both versions
need, at the versions of envs/requirements.txt; each version of TRL lies in a folder of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PPO_VERSION = "1.12.0"
"""The version that the target of PPO was set against; PPO lies under trl.experimental."""
NEWEST_VERSION = "1.16.0"
"""For RLOO and reward modelling."""
COMMON: dict[str, Any] = {
    "bf16": False,
    "use_cpu": True,
    "gradient_checkpointing": False,
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
    "seed": 0,
}
"""Settings of every trainer of TRL: fp32 on the CPU as here, nothing saved, nobody told."""
SHARED = ("torch", "transformers", "accelerate", "datasets")


def default_cache() -> Path:
    """Where environments of benchmarks lie: $XDG_CACHE_HOME/overopt-benchmarks."""
    home = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    return Path(home) / "overopt-benchmarks"


class TRLEnvironment:
    """A Python with TRL in it."""

    def __init__(self, cache: Path) -> None:
        self._folder = cache / "trl"
        self._python = self._folder / "bin" / "python"

    @property
    def exists(self) -> bool:
        """Whether it was made, with both versions of TRL."""
        folders = (self._version(version) for version in (PPO_VERSION, NEWEST_VERSION))
        return self._python.exists() and all((folder / "trl").is_dir() for folder in folders)

    def make(self) -> None:
        """Make it where it is missing: minutes and about 2 GB."""
        if self.exists:
            return
        print(f"Making TRL's environment in {self._folder}, once.", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(self._folder)], check=True)
        install = [str(self._python), "-m", "pip", "install", "--quiet"]
        # torch first: a resolver must not pull another one.
        torch, *others = pinned(SHARED)
        subprocess.run([*install, torch], check=True)
        subprocess.run([*install, *others, "jinja2", "packaging", "pandas", "psutil"], check=True)
        for version in (PPO_VERSION, NEWEST_VERSION):
            target = ["--no-deps", "--target", str(self._version(version)), f"trl=={version}"]
            subprocess.run([*install, *target], check=True)

    def run(self, version: str, job: dict[str, Any]) -> dict[str, Any]:
        """Run one job of `trl_worker` with this version of TRL; what it measured."""
        with tempfile.TemporaryDirectory() as folder:
            asked, answer = Path(folder) / "job.json", Path(folder) / "result.json"
            asked.write_text(json.dumps(job))
            done = subprocess.run(
                [str(self._python), str(ROOT / "benchmarks" / "trl_worker.py"), asked, answer],
                env={**os.environ, **_ONE_THREAD, "PYTHONPATH": str(self._version(version))},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise RuntimeError(f"TRL {version}, {job['kind']}:\n{done.stderr[-3000:]}")
            result = json.loads(answer.read_text())
        if result["versions"]["trl"] != version:
            raise RuntimeError(f"asked for TRL {version}, got {result['versions']['trl']}")
        return result

    def _version(self, version: str) -> Path:
        return self._folder / f"trl-{version}"


_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "CUDA_VISIBLE_DEVICES": "",
}


def pinned(packages: tuple[str, ...]) -> list[str]:
    """Requirements of these packages as envs/requirements.txt pins them."""
    lines = (ROOT / "envs" / "requirements.txt").read_text().splitlines()
    versions = dict(line.split("==", 1) for line in lines if "==" in line)
    return [f"{package}=={versions[package].split()[0]}" for package in packages]
