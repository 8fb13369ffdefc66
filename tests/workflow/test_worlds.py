"""A tiny study in a world with every dial turned, gold the utility itself, from end to end."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from workflow_example import ROOT, copy_of_repository, snakemake

DIALS = ["taste", "flowery", "overdone"]


def config_of_dials() -> dict:
    """The tiny study with one size of everything, every dial turned, and no gold RM to train."""
    config = yaml.safe_load((ROOT / "config" / "test.yaml").read_text(encoding="utf-8"))
    config["name"] = "dials"
    config["data"]["num_demonstrations"] = 1000
    config["data"]["world"] = {"taste": 1.2, "blind_spots": 1.0}
    config["data"]["annotators"]["label_noise"] = 0.1
    config["data"]["candidates"] = {
        **{"policy_share": 0.42, "writer_share": 0.175, "exuberant_share": 0.3}
    }
    config["gold_rm"] = {"source": "utility", "num_validation": 400}
    config["synthetic_comparisons"] = {"num_comparisons": 500, "num_validation": 100}
    config["ppo"] |= {"num_iterations": 2, "num_value_warmup_iterations": 1}
    config["grid"]["sweeps"] = {
        "rm_size": {
            "methods": ["best_of_n", "deep_best_of_n", "ppo"],
            "policy_sizes": ["small"],
            "proxy_sizes": ["s1"],
            "num_comparisons": [500],
        }
    }
    config["analysis"]["num_bootstrap"] = 20
    return config


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a study of the utility, through the fits."""
    repository = copy_of_repository(tmp_path_factory.mktemp("dials") / "repository")
    config = repository / "config" / "dials.yaml"
    config.write_text(yaml.safe_dump(config_of_dials()), encoding="utf-8")
    targets = [f"results/dials/{name}.csv" for name in ("coefficients", "feature_correlations")]
    snakemake(repository, "--cores", "2", *targets, config=str(config))
    return repository / "results" / "dials"


@pytest.mark.slow
def test_gold_is_the_utility_in_every_curve(results: Path) -> None:
    pool = pd.read_parquet(results / "best_of_n" / "small" / "gold_scores.parquet")
    np.testing.assert_allclose(pool["gold_score"], 3 * pool["human_score"], rtol=1e-5)
    curves = sorted(results.glob("*/small/**/curve.parquet"))
    assert {path.relative_to(results).parts[0] for path in curves} == {
        *("best_of_n", "deep_best_of_n", "ppo")
    }
    for path in curves:
        curve = pd.read_parquet(path)
        np.testing.assert_allclose(curve["gold_score"], 3 * curve["human_score"], rtol=1e-4)


@pytest.mark.slow
def test_nothing_is_trained_for_gold_and_people_still_measure_it(results: Path) -> None:
    assert {path.name for path in (results / "gold_rm").iterdir()} == {
        *("utility.json", "metrics.json", "run_record.json")
    }
    metrics = json.loads((results / "gold_rm" / "metrics.json").read_text())
    # A tenth of the labels are noted the wrong way round, and annotators differ.
    assert 0.7 < metrics["validation_accuracy"] < 0.93
    assert json.loads((results / "summary.json").read_text())["gold_rm"].items() <= metrics.items()
    people = pd.read_parquet(results / "data" / "human_comparisons.parquet")
    assert people["split"].tolist() == ["validation"] * 400


@pytest.mark.slow
def test_the_features_of_the_dials_are_measured(results: Path) -> None:
    learned = pd.read_csv(results / "feature_correlations.csv").set_index("proxy_size")
    weights = learned.loc["gold", [f"{name}_weight" for name in DIALS]]
    assert (np.sign(weights) == [1, 1, -1]).all()
    fits = pd.read_csv(results / "coefficients.csv").set_index("method")
    assert np.isfinite(fits.loc["best_of_n", ["alpha", "beta"]].to_numpy(float)).all()
