"""Fabricated results of a study: curves of the right schema with the right files beside them.

What the analysis and the audit read of a cell, and nothing else: for measuring how they grow with
the grid. The curves follow the paper's laws with noise; nothing in them is a result.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from overopt.config.cells import Run
from overopt.jobs.provenance import file_sha256, sealed, write_json
from overopt.methods.curves import curve_table
from overopt.study import paths
from overopt.study.study import Study

NS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1000]
STEPS = list(range(0, 101, 5))
RECORD = {
    "rule_script": "stub.py",
    "code": "0" * 64,
    "inputs": {},
    "git": {"commit": "0" * 40, "dirty": False},
    "versions": {},
    "device": "cpu",
    "machine": "stub",
    "finished": "2026-01-01T00:00:00+00:00",
    "wall_seconds": 1.0,
    "cpu_seconds": 1.0,
    "startup_cpu_seconds": 0.5,
    "peak_memory_mb": 100.0,
}


def _recorded(path: Path) -> str:
    """As records name a file: from the folder of all results on."""
    return path.as_posix()[path.as_posix().index("results/") :]


def write_curve(path: Path, run: Run, num_parameters: int, rank: float) -> None:
    """A curve of the method's law with noise, and its record."""
    rng = np.random.default_rng(zlib.crc32(run.model_dump_json().encode()))
    points = STEPS if run.method == "ppo" else NS
    num_prompts = 64
    if run.method == "ppo":
        d = np.sqrt(np.linspace(0, 40, len(points)))
        gain = d * (0.6 - (0.35 - 0.2 * rank) * np.log(np.maximum(d, 1e-9)))
    else:
        n = np.array(points)
        d = np.sqrt(np.maximum(np.log(n) - (n - 1) / n, 0))
        gain = d * (1.2 - (0.3 - 0.05 * rank) * d)
    noise = 0.1 * rng.standard_normal((3, len(points), num_prompts))
    kl = np.broadcast_to((d**2)[:, None], noise[0].shape)
    measured = {
        "kl": kl,
        "kl_estimate": kl,
        "proxy_score": 1.2 * d[:, None] + noise[0],
        "gold_score": gain[:, None] + noise[1],
        "human_score": gain[:, None] + noise[2],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    curve_table(run, num_parameters, points, measured).to_parquet(path, index=False)
    outputs = {_recorded(path): file_sha256(path)}
    config = json.dumps({"run": json.loads(run.model_dump_json())}, sort_keys=True)
    record = sealed({**RECORD, "config": config, "outputs": outputs})
    write_json(path.with_name("run_record.json"), record)


def write_tilted_curve(path: Path) -> None:
    """The same shape as best-of-n, above it by a tenth, under the method's other name."""
    source = pd.read_parquet(path.with_name("curve.parquet"))
    better = source.assign(method="tilted", gold_score=1.1 * source["gold_score"])
    better.to_parquet(path, index=False)
    outputs = {_recorded(path): file_sha256(path)}
    record = sealed({**RECORD, "config": "{}", "outputs": outputs})
    write_json(path.with_name("tilted_record.json"), record)


def write_results(study: Study, folder: Path) -> None:
    """Everything that `fits` reads of a study, fabricated."""
    sizes = list(study.proxy_sizes)
    num_parameters = {size: 12 * (4 + index) ** 4 for index, size in enumerate(sizes)}
    for run in study.curves():
        size = run.proxy_rm.proxy_size
        rank = sizes.index(size) / len(sizes)
        write_curve(folder / paths.curve(run), run, num_parameters[size], rank)
    for run in study.tilted_runs():
        write_tilted_curve(folder / paths.curve(run))
    for rm in study.proxy_rms():
        rank = sizes.index(rm.proxy_size) / len(sizes)
        loss = 0.6 - 0.3 * rank - 0.02 * np.log10(rm.num_comparisons)
        write_json(
            folder / paths.proxy_rm_folder(rm) / "metrics.json",
            {
                **rm.model_dump(mode="json"),
                "num_parameters": num_parameters[rm.proxy_size],
                "num_validation": 2000,
                "temperature": 3.0,
                "training_loss": float(loss),
                "validation_loss": float(loss),
                "validation_accuracy": float(1 - loss / 2),
                "soft_label_loss": 0.7,
                "recalibrated_soft_label_loss": 0.55,
            },
        )
    write_json(
        folder / "gold_rm" / "metrics.json", {"validation_accuracy": 0.8, "validation_loss": 0.4}
    )
    scale = {"gold_sd_within_prompt": 1.2, "human_sd_within_prompt": 1.2}
    write_json(folder / "best_of_n" / study.main_policy / "gold_scale.json", scale)
