"""
How planning grows with the grid: `snakemake -n` on studies of about 100, 1,000 and 10,000 jobs.

    python benchmarks/planning.py                   100, 1,000 and 10,000 jobs, nothing built
    python benchmarks/planning.py --jobs 10000      one size

Prints a table: jobs, wall and CPU seconds, peak memory of Snakemake. Each study is config/study.yaml
with its grid replaced: every proxy size with several amounts of data and as many seeds as it takes.
Runs in a temporary folder and builds nothing.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
JOBS_PER_SEED = 7 * 7 * 2 + 7 * 3
"""Of `grid_of`: reward models and best-of-n of 7 sizes x 7 amounts; backbone, PPO, tilted."""


def config_of(num_jobs: int) -> dict[str, Any]:
    """The whole study's config with a grid of about so many jobs."""
    config = yaml.safe_load((ROOT / "config" / "study.yaml").read_text())
    sizes = [size for size in config["proxy_sizes"] if size.startswith("s")]
    shared = {"policy_sizes": ["small"], "proxy_sizes": sizes}
    config["name"] = f"planned{num_jobs}"
    config["grid"] = {
        "seeds": list(range(max(1, round(num_jobs / JOBS_PER_SEED)))),
        "sweeps": {
            "rm_data": {
                "methods": ["best_of_n"],
                "num_comparisons": [500, 1000, 2000, 4000, 8000, 20000, 60000],
                **shared,
            },
            "rm_size": {
                "methods": ["ppo"],
                "num_comparisons": [60000],
                "kl_coefs": [0.02],
                **shared,
            },
        },
    }
    return config


def plan(config: dict[str, Any], folder: Path) -> tuple[int, float, float, float]:
    """`snakemake -n`: jobs, wall seconds, CPU seconds, peak memory in MB."""
    configfile = folder / f"{config['name']}.yaml"
    configfile.write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "-n", "-q", "--cores", "2"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(configfile)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    total = next(line for line in done.stdout.splitlines() if line.startswith("total "))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return int(total.split()[1]), wall, cpu, after.ru_maxrss / 1024


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--jobs", type=int, nargs="*", default=[100, 1_000, 10_000])
    sizes = sorted(parser.parse_args().jobs)  # rising: the peak memory is that of the largest child
    print(f"{'jobs':>7} {'wall s':>7} {'CPU s':>7} {'MB':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            jobs, wall, cpu, peak = plan(config_of(size), Path(folder))
            print(f"{jobs:>7,} {wall:>7.1f} {cpu:>7.1f} {peak:>6.0f}", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
