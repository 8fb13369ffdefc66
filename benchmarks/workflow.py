"""
The workflow around the science: process starts, imports, Snakemake; and how planning grows.

CPU seconds by stage come from the run records of a finished study. What no job records, Snakemake's
own work and the start and end of processes around each job, is measured by a run of the tiny study,
and counted per job.
"""

import json
import resource
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.materials import ROOT, Materials, Setup
from benchmarks.planning import config_of_jobs, plan
from benchmarks.timing import spread

from overopt.report.run_records import read_records

TARGET_SHARE = 0.20
PLANNING_TARGETS = {1_000: 5.0, 10_000: 60.0}
IMPORTS = (
    "pass",
    "import numpy",
    "import pandas",
    "import scipy.special",
    "import torch",
    "import transformers",
    "import overopt.jobs.job",
    "import overopt.study.study",
    "import overopt.models.loading",
    "import accelerate",
    "import seaborn",
)


def measure(setup: Setup, materials: Materials) -> dict[str, Any]:
    """Process starts, imports, planning, the tiny study, and the stages of a finished one."""
    scripts = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
    if setup.is_quick:
        scripts = [script for script in scripts if script.stem == "best_of_n"]
    repeats = 1 if setup.is_quick else 2
    result: dict[str, Any] = {
        "starts": {
            script.name: spread([child_seconds([str(script), "--help"]) for _ in range(repeats)])
            for script in scripts
        },
        "imports": {
            line.removeprefix("import "): spread(
                [child_seconds(["-c", line]) for _ in range(repeats)]
            )
            for line in (IMPORTS[:2] if setup.is_quick else IMPORTS)
        },
        "planning": _planning((100,) if setup.is_quick else (100, 1_000, 10_000)),
    }
    if not setup.is_quick:
        result["tiny_study"] = tiny_study()
    if setup.study is not None:
        result |= of_records(setup.study, result.get("tiny_study"))
    return result


def child_seconds(arguments: Sequence[str]) -> float:
    """CPU seconds of a Python process, from its start to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def of_records(study: Path, tiny: dict[str, float] | None) -> dict[str, Any]:
    """CPU seconds by stage, and the share that is not science."""
    jobs = read_records(study)
    stages: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for job in jobs:
        stage = stages[job["stage"]]
        stage["jobs"] += 1
        stage["cpu_seconds"] += job["cpu_seconds"]
        stage["startup_cpu_seconds"] += job["startup_cpu_seconds"]
    total = sum(stage["cpu_seconds"] for stage in stages.values())
    starts = sum(stage["startup_cpu_seconds"] for stage in stages.values())
    scheduling = tiny["snakemake_per_job"] * len(jobs) if tiny else 0.0
    unrecorded = tiny["unrecorded_per_job"] * len(jobs) if tiny else 0.0
    outside = starts + scheduling + unrecorded
    rows = [{"stage": name, **values} for name, values in stages.items()]
    return {
        "stages": sorted(rows, key=lambda row: -row["cpu_seconds"]),
        "num_jobs": len(jobs),
        "cpu_seconds": total + scheduling + unrecorded,
        "outside_seconds": outside,
        "scheduling_seconds": scheduling,
        "unrecorded_seconds": unrecorded,
        "share_outside": outside / (total + scheduling + unrecorded),
        "target_share": TARGET_SHARE,
        "commit": jobs[0]["git"]["commit"] if jobs else None,
    }


_RUN_AND_TELL = """
import atexit, json, resource, runpy, sys
def tell():
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    with open(TELL, "w") as file:
        json.dump([usage.ru_utime + usage.ru_stime for usage in spent], file)
atexit.register(tell)
runpy.run_module("snakemake", run_name="__main__")
"""
"""Snakemake in a process that leaves its own CPU seconds and those of its children in a file."""


def tiny_study() -> dict[str, float]:
    """Run config/test.yaml from nothing: CPU seconds a job that its record does not have."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        program = _RUN_AND_TELL.replace("TELL", repr(str(told)))
        arguments = ["-c", program, "--cores", "2", "--snakefile", str(ROOT / "Snakefile")]
        arguments += ["--directory", folder, "--configfile", str(ROOT / "config" / "test.yaml")]
        child_seconds(arguments)
        own, children = json.loads(told.read_text())
        jobs = read_records(Path(folder) / "results")
    recorded = sum(job["cpu_seconds"] for job in jobs)
    return {
        "jobs": len(jobs),
        "snakemake_per_job": own / len(jobs),
        "unrecorded_per_job": (children - recorded) / len(jobs),
    }


def _planning(sizes: Sequence[int]) -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            jobs, cost = plan(config_of_jobs(size), Path(folder))
            rows.append(
                {
                    "asked": size,
                    "jobs": jobs,
                    "wall_seconds": cost.wall,
                    "cpu_seconds": cost.cpu,
                    "target_seconds": PLANNING_TARGETS.get(size),
                }
            )
    return rows
