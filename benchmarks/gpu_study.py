"""The tiny study on the CPU and on the GPU, with the same seeds: do the curves agree?"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.gpu_measure import Row

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ("kl", "proxy_score", "gold_score")
CURVES = ("best_of_n/*/**/curve.parquet", "ppo/**/curve.parquet")


def compare_studies(device: str, cores: int) -> list[Row]:
    """Seconds of both runs, and for each kind of curve how far they lie apart in standard errors.

    The two runs share no response after the first rounding that differs: points of their curves
    are two measurements of the same thing, each with its standard error over prompts.
    """
    with tempfile.TemporaryDirectory() as folder:
        places = {name: Path(folder) / name for name in ("cpu", device + "-again")}
        rows = [
            Row("study", f"config/test.yaml on {name}, {cores} jobs at once", seconds, "s")
            for name, place in places.items()
            for seconds in [_run(place, name.removesuffix("-again"), cores)]
        ]
        first, second = (place / "results" / "test" for place in places.values())
        return rows + compare_curves(first, second)


def compare_curves(first: Path, second: Path) -> list[Row]:
    """Distances of the curves of two finished studies, in standard errors of the difference."""
    rows: list[Row] = []
    for pattern in CURVES:
        kind = pattern.split("/")[0]
        distances: dict[str, list[float]] = {name: [] for name in MEASURED}
        for path in sorted(first.glob(pattern)):
            ours, theirs = (_points(p) for p in (path, second / path.relative_to(first)))
            for name in MEASURED:
                if name in ours.columns.get_level_values(0):
                    distances[name] += _distances(ours[name], theirs[name])
        for name, found in distances.items():
            if found:
                text = f"{kind}, {name}: points"
                rows.append(Row("study", text, len(found), "points"))
                share = float(np.mean(np.array(found) < 2))
                rows.append(Row("study", f"{kind}, {name}: largest", max(found), "se"))
                rows.append(Row("study", f"{kind}, {name}: below 2 se", 100 * share, "%"))
    return rows


def _run(folder: Path, device: str, cores: int) -> float:
    folder.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if device == "cpu":
        environment |= {"CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true"}
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "-q"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(ROOT / "config" / "test.yaml")]
    command += ["--workflow-profile", str(ROOT / "profiles" / "default")]
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _points(path: Path) -> pd.DataFrame:
    """Mean and standard error over prompts of each point of a curve."""
    table = pd.read_parquet(path)
    step = "n" if "n" in table and table["n"].notna().any() else "step"
    names = [name for name in MEASURED if name in table]
    return table.groupby(step)[names].agg(["mean", "sem"])


def _distances(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[float]:
    both = ours.merge(theirs, left_index=True, right_index=True, suffixes=("_ours", "_theirs"))
    difference = (both["mean_ours"] - both["mean_theirs"]).abs()
    error = np.hypot(both["sem_ours"], both["sem_theirs"])
    # Where both are exact (KL 0 at the start) they have to be equal.
    exact = np.where(difference > 0, np.inf, 0.0)
    return np.where(error > 0, difference / error.where(error > 0, 1.0), exact).tolist()
