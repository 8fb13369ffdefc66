"""
The workflow around the science: process starts, imports, Snakemake; and how planning grows.

CPU seconds by stage come from the run records of a finished study. Snakemake's own are measured on
a study of jobs that do nothing, under the project's profile: what a run costs, and each job of it.
"""

import json
import resource
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.materials import ROOT, Materials, Setup
from benchmarks.planning import config_of, plan
from benchmarks.timing import spread

TARGET_SHARE = 0.20
PLANNING_TARGETS = {1_000: 5.0, 10_000: 60.0}
EMPTY_JOBS = (1, 60)
IMPORTS = (
    "pass",
    "import numpy",
    "import pandas",
    "import scipy.special",
    "import torch",
    "import transformers",
    "import overopt.job",
    "import overopt.study",
    "import overopt.models",
    "import accelerate",
    "import seaborn",
)
STAGES = {
    "train_language_model.py": "fine-tuning, backbones",
    "embedded_demonstrations.py": "demonstrations",
    "embedded_comparisons.py": "human comparisons",
    "train_gold_rm.py": "gold RM",
    "synthetic_responses.py": "synthetic responses",
    "synthetic_comparisons.py": "synthetic labels",
    "train_proxy_rm.py": "proxy RMs",
    "pool.py": "pools",
    "pool_gold_scores.py": "gold scores of pools",
    "best_of_n.py": "best-of-n",
    "deep_pool.py": "deep best-of-n",
    "deep_best_of_n.py": "deep best-of-n",
    "ppo.py": "PPO",
}
"""Stage of each script; the others are analysis."""


def measure(setup: Setup, materials: Materials) -> dict[str, Any]:
    """Stages of a finished study, process starts, Snakemake's own CPU seconds, planning."""
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
        result["snakemake"] = _empty_jobs(repeats)
    if setup.study is not None:
        result |= of_records(setup.study, result.get("snakemake"))
    return result


def child_seconds(arguments: Sequence[str]) -> float:
    """CPU seconds of a Python process, from its start to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def of_records(study: Path, snakemake: dict[str, float] | None) -> dict[str, Any]:
    """CPU seconds by stage, and the share that is not science."""
    records = [json.loads(path.read_text()) for path in study.rglob("*record.json")]
    jobs = [record for record in records if "startup_cpu_seconds" in record]
    stages: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for job in jobs:
        stage = stages[STAGES.get(job["rule_script"], "analysis and report")]
        stage["jobs"] += 1
        stage["cpu_seconds"] += job["cpu_seconds"]
        stage["startup_cpu_seconds"] += job["startup_cpu_seconds"]
    total = sum(stage["cpu_seconds"] for stage in stages.values())
    starts = sum(stage["startup_cpu_seconds"] for stage in stages.values())
    scheduling = snakemake["run"] + len(jobs) * snakemake["job"] if snakemake else 0.0
    rows = [{"stage": name, **values} for name, values in stages.items()]
    return {
        "stages": sorted(rows, key=lambda row: -row["cpu_seconds"]),
        "num_jobs": len(jobs),
        "cpu_seconds": total + scheduling,
        "start_seconds": starts,
        "scheduling_seconds": scheduling,
        "share_outside": (starts + scheduling) / (total + scheduling),
        "target_share": TARGET_SHARE,
        "commit": jobs[0]["git"]["commit"] if jobs else None,
    }


def _empty_jobs(repeats: int) -> dict[str, float]:
    """CPU seconds of Snakemake for a run, and for each job: by runs of one and of many `true`."""
    seconds = {
        number: median([_snakemake_seconds(number) for _ in range(repeats)])
        for number in EMPTY_JOBS
    }
    few, many = EMPTY_JOBS
    per_job = (seconds[many] - seconds[few]) / (many - few)
    return {"run": seconds[few] - few * per_job, "job": per_job}


def _snakemake_seconds(number: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        snakefile = Path(folder) / "Snakefile"
        snakefile.write_text(
            f"rule all:\n    input: [f'{{i}}.txt' for i in range({number})]\n"
            "rule one:\n    output: '{i}.txt'\n    params: config='{}', code='0'\n"
            "    shell: 'touch {output}'\n"
        )
        arguments = ["-m", "snakemake", "--cores", "2", "--snakefile", str(snakefile)]
        arguments += ["--directory", folder, "--workflow-profile", str(ROOT / "profiles/default")]
        return child_seconds(arguments)


def _planning(sizes: Sequence[int]) -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            jobs, wall, cpu, megabytes = plan(config_of(size), Path(folder))
            rows.append(
                {
                    "asked": size,
                    "jobs": jobs,
                    "wall_seconds": wall,
                    "cpu_seconds": cpu,
                    "megabytes": megabytes,
                    "target_seconds": PLANNING_TARGETS.get(size),
                }
            )
    return rows
