"""
How planning and analysis grow with the grid.

    python -m benchmarks.planning                   plans of about 100, 1,000 and 10,000 jobs
    python -m benchmarks.planning --cells 10000     on fabricated results of so many cells: plan,
                                                    audit, fits and what follows them

Prints a table: wall and CPU seconds and peak memory of each command. Studies are config/study.yaml
with another grid. Runs in a temporary folder; the curves are fabricated (stub_results.py), and
nothing in them is a result. 10,000 cells take 1.5 GB of disk and half an hour.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from benchmarks.stub_results import write_results

from overopt.study.study import Study, read_study

ROOT = Path(__file__).resolve().parents[1]
AMOUNTS = [120, 250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000]
JOBS_PER_SEED = 9 * 10 * 2 + 9 * 3
"""Of `config_of_jobs`: reward models and best-of-n; backbones, PPO and tilted curves."""
CELLS_PER_SEED = 9 * 10 * 4 * 2 + 9 * 5
"""Of `config_of_cells`: best-of-n and PPO."""
AFTER_FITS = ("fits", "forms", "claims", "paper_comparison")


def config_of_jobs(num_jobs: int) -> dict[str, Any]:
    """A grid of about so many jobs: 9 sizes, 10 amounts of data, as many seeds as it takes."""
    rm_data = {"methods": ["best_of_n"], "num_comparisons": AMOUNTS}
    rm_size = {"methods": ["ppo"], "num_comparisons": [60_000], "kl_coefs": [0.02]}
    return _config(f"jobs{num_jobs}", num_jobs / JOBS_PER_SEED, rm_data, rm_size)


def config_of_cells(num_cells: int) -> dict[str, Any]:
    """A grid of about so many curves, in 765 groups that differ by more than their seed."""
    labels = ["deterministic", "sampled"]
    rm_data = {"methods": ["best_of_n"], "num_comparisons": AMOUNTS, "labels": labels}
    rm_data["num_epochs"] = [1, 2, 4, 8]
    penalties = [0, 0.01, 0.02, 0.05, 0.1]
    kl_penalty = {"methods": ["ppo"], "num_comparisons": [60_000], "kl_coefs": penalties}
    return _config(f"cells{num_cells}", num_cells / CELLS_PER_SEED, rm_data, kl_penalty)


def _config(name: str, num_seeds: float, *sweeps: dict[str, Any]) -> dict[str, Any]:
    config = yaml.safe_load((ROOT / "config" / "study.yaml").read_text())
    shared = {"policy_sizes": ["small"], "proxy_sizes": list(config["proxy_sizes"])}
    grid = {f"sweep_{number}": {**sweep, **shared} for number, sweep in enumerate(sweeps)}
    config["name"] = name
    config["grid"] = {"seeds": list(range(max(1, round(num_seeds)))), "sweeps": grid}
    return config


class Cost(NamedTuple):
    """What a command said, its wall and CPU seconds, its peak memory in MB."""

    output: str
    wall: float
    cpu: float
    peak: float


def measure(name: str, command: list[str], folder: Path) -> Cost:
    """Run a command and print what it took."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    # A child of its own asks for the peak of this command alone.
    asked = "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]); "
    asked += "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss; "
    asked += "print(f'peak {peak}'); sys.exit(done.returncode)"
    wrapped = [sys.executable, "-c", asked, *command]
    done = subprocess.run(wrapped, capture_output=True, text=True, cwd=folder, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = int(done.stdout.rsplit("peak ", 1)[1]) / 1024
    code = f"  (exit {done.returncode})" if done.returncode else ""
    print(f"{name:<28} {wall:>7.1f} {cpu:>7.1f} {peak:>6.0f}{code}", flush=True)
    return Cost(done.stdout + done.stderr, wall, cpu, peak)


def snakemake(configfile: Path, *arguments: str) -> list[str]:
    """A command of Snakemake, for results in the folder where it runs."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    return [*command, "--snakefile", str(ROOT / "Snakefile"), "--configfile", str(configfile)]


def plan(config: dict[str, Any], folder: Path) -> tuple[int, Cost]:
    """`snakemake -n` of a study of which nothing has been made: its jobs, and what it takes."""
    configfile = folder / f"{config['name']}.yaml"
    configfile.write_text(yaml.safe_dump(config))
    cost = measure("snakemake -n", snakemake(configfile, "-n", "-q"), folder)
    total = next(line for line in cost.output.splitlines() if line.startswith("total "))
    return int(total.split()[1]), cost


def analyze(num_cells: int, folder: Path) -> None:
    """Every command that reads all cells of a study, on fabricated ones."""
    config = config_of_cells(num_cells)
    configfile = folder / f"{config['name']}.yaml"
    configfile.write_text(yaml.safe_dump(config))
    study: Study = read_study(config)
    results = folder / "results" / study.name
    num_curves = len(study.curves())
    print(f"  {num_curves:,} cells, {num_curves + len(study.proxy_rms()):,} jobs of the grid")
    write_results(study, results)
    overopt = [sys.executable, "-m", "overopt.cli"]
    measure("overopt plan", [*overopt, "plan", "--configfile", str(configfile)], folder)
    measure("snakemake -n", snakemake(configfile, "-n", "-q"), folder)
    for rule in AFTER_FITS:
        # Only this rule: what it reads was fabricated, not made.
        arguments = ("--allowed-rules", rule, "--nolock", rule)
        cost = measure(rule, snakemake(configfile, *arguments), folder)
        if not (results / "analysis" / f"{rule}_record.json").exists():
            raise SystemExit(cost.output)
    audit = [*overopt, "audit", "--study", str(results), "--configfile", str(configfile)]
    measure("overopt audit", ["sh", "-c", 'cd "$0" && "$@"', str(folder), *audit], folder)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="How planning and analysis grow with the grid.")
    parser.add_argument("--jobs", type=int, nargs="*", default=[100, 1_000, 10_000])
    parser.add_argument("--cells", type=int, help="fabricate the results of so many cells instead")
    parser.add_argument("--folder", type=Path, help="where; default: a temporary folder")
    arguments = parser.parse_args()
    print(f"{'':<28} {'wall s':>7} {'CPU s':>7} {'MB':>6}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        if arguments.cells:
            analyze(arguments.cells, folder)
            return
        for num_jobs in arguments.jobs:
            print(f"  {plan(config_of_jobs(num_jobs), folder)[0]:,} jobs")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
