"""The job of the fits: which rows its tables hold."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from curve_examples import GOLD_SD, study_curves
from overopt.analysis.fits import fit_curves
from overopt.config.analysis import AnalysisConfig, AnalysisSettings
from overopt.config.cells import CELL_KEYS, RM_COLUMNS
from overopt.config.methods import METHODS, Method
from overopt.jobs.job import Job


def written(curves: pd.DataFrame, folder: Path) -> list[Path]:
    """One file a cell, as jobs write them."""
    paths = []
    for number, (_, rows) in enumerate(curves.groupby(CELL_KEYS)):
        paths.append(folder / f"curve{number}.parquet")
        rows.to_parquet(paths[-1], index=False)
    return paths


def test_tilted_curves_have_a_table_of_their_own_whatever_other_methods_are_called(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setitem(METHODS, "zigzag", Method("zigzag", "zigzag", "rl", "step", is_binned=True))
    curves = study_curves(np.random.default_rng(0), sizes=("s1", "s2"), seeds=(0,), num_prompts=6)
    ppo = curves[curves["method"] == "ppo"]
    (tmp_path / "tilted").mkdir()
    tilted = written(ppo.assign(method="tilted"), tmp_path / "tilted")
    together = pd.concat([curves, ppo.assign(method="zigzag")])
    paths = written(together, tmp_path)
    metrics = []
    for number, cell in enumerate(curves[RM_COLUMNS].drop_duplicates().to_dict("records")):
        metrics.append(tmp_path / f"metrics{number}.json")
        metrics[-1].write_text(json.dumps(cell | {"temperature": 0.8, "validation_loss": 0.5}))
    for name, values in {
        "gold": {"validation_accuracy": 0.7, "validation_loss": 0.5},
        "scale": {"gold_sd_within_prompt": GOLD_SD},
    }.items():
        (tmp_path / name).write_text(json.dumps(values))
    settings = AnalysisSettings(
        main_policy="small", analysis=AnalysisConfig(num_bootstrap=3), seed=0
    )
    fit_curves(
        Job(""),
        settings,
        paths,
        metrics,
        tmp_path / "gold",
        tmp_path / "scale",
        tmp_path,
        tmp_path,
        tilted_curve_files=tilted,
    )
    found = pd.read_parquet(tmp_path / "tilted_curves.parquet")
    assert set(found["method"]) == {"tilted"} and len(found) == len(ppo)
    rest = pd.read_parquet(tmp_path / "curves.parquet")
    assert set(rest["method"]) == {"best_of_n", "ppo", "zigzag"} and len(rest) == len(together)
    assert set(pd.read_csv(tmp_path / "coefficients.csv")["method"]) == set(rest["method"])
