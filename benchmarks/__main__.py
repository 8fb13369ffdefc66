"""
Everything of docs/performance.md, measured on one machine in one run.

    make bench                                    all sections: about half an hour
    python -m benchmarks --only sampler ppo       some; the others keep their figures
    python -m benchmarks --quick --out FILE       seconds: whether it runs; the figures mean nothing

Writes benchmarks/results.json, the tables of docs/performance.md and the plot beside it. Policies
and run records of a finished default study are used where there is one (--study). TRL lies in an
environment of its own, made in the cache at the first run; --without-trl leaves it out.
"""

import argparse
import gc
import json
import os
import platform
import tempfile
import time
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAYON_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from benchmarks.growth import draw
from benchmarks.materials import ROOT, Materials, Setup
from benchmarks.page import PAGE, fill
from benchmarks.trl_environment import TRLEnvironment, default_cache
from transformers.utils import logging

from overopt.jobs.job import keep_freed_memory
from overopt.jobs.provenance import git_state, write_json

SECTIONS = (
    "sampler",
    "ppo",
    "reward_model",
    "matmul_share",
    "best_of_n",
    "workflow",
    "growth",
)
RESULTS = ROOT / "benchmarks" / "results.json"


def main() -> None:
    """Measure, write the results, fill in the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--study", type=Path, default=ROOT / "results" / "default")
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--without-trl", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    if asked.quick and asked.out == RESULTS:
        parser.error("--quick needs --out: its figures must not replace measured ones")
    environment = TRLEnvironment(asked.cache)
    if not (asked.quick or asked.without_trl):
        environment.make()
    _prepare_process()
    results: dict[str, Any] = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        setup = Setup(
            is_quick=asked.quick,
            repeats=1 if asked.quick else asked.repeats,
            study=asked.study if (asked.study / "policies").is_dir() else None,
            cache=Path(folder) if asked.without_trl else asked.cache,
            work=Path(folder) / "work",
        )
        materials = Materials(setup)
        for name in asked.only:
            results[name] = measure(name, setup, materials)
            asked.out.parent.mkdir(parents=True, exist_ok=True)
            write_json(asked.out, results)
    if asked.quick:
        return
    if "growth" in asked.only:
        draw(results["growth"])
    PAGE.write_text(fill(PAGE.read_text(), results))


def measure(name: str, setup: Setup, materials: Materials) -> dict[str, Any]:
    """One section's result, with the machine and its load."""
    print(f"{name} ...", flush=True)
    start = time.monotonic()
    machine, before = _machine(), os.getloadavg()[0]
    result = import_module(f"benchmarks.{name}").measure(setup, materials)
    gc.collect()
    load = [round(value, 1) for value in (before, os.getloadavg()[0])]
    print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)
    finished = datetime.now(UTC).isoformat(timespec="minutes")
    return {**result, "measured": {**machine, "finished": finished, "load": load}}


def _machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "transformers": version("transformers"),
        "commit": git_state(ROOT)["commit"],
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _prepare_process() -> None:
    """As in a job of the workflow: one thread, freed memory kept, no progress bars; but silent."""
    torch.set_num_threads(1)
    keep_freed_memory()
    logging.set_verbosity_error()
    logging.disable_progress_bar()


if __name__ == "__main__":
    main()
