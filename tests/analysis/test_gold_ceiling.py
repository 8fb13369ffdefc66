"""Best-of-n by the gold RM itself, against closed forms."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from overopt.analysis.gold_ceiling import gold_ceiling, gold_ceiling_table
from overopt.config.analysis import AnalysisConfig
from overopt.config.gold_ceiling import GoldCeilingSettings
from overopt.jobs.job import Job
from overopt.theory.form_fits import fit
from overopt.theory.forms import BEST_OF_N
from overopt.theory.kl import best_of_n_kl, default_ns

SETTINGS = GoldCeilingSettings(max_n=64, analysis=AnalysisConfig(num_bootstrap=100), seed=0)


def test_uniform_scores_give_the_expected_maximum_of_n() -> None:
    """Of n uniform draws the highest is n / (n + 1) on average."""
    scores = np.random.default_rng(0).uniform(size=(50, 2000))
    sd = 1 / np.sqrt(12)
    row = gold_ceiling_table(scores, sd, SETTINGS).iloc[0]
    assert row["final_gold"] == pytest.approx((64 / 65 - 0.5) / sd, abs=0.02)
    ns = np.array(default_ns(64)[1:])
    exact = fit(BEST_OF_N, np.sqrt(best_of_n_kl(ns)), (ns / (ns + 1) - 0.5) / sd)
    assert row["alpha"] == pytest.approx(float(exact.alpha), abs=0.02)
    assert row["beta"] == pytest.approx(float(exact.beta), abs=0.02)
    assert row["beta"] > 0.3
    assert row["beta_low"] < row["beta"] < row["beta_high"]
    assert abs(row["skewness"]) < 0.05


def test_normal_scores_have_no_ceiling_and_offsets_of_prompts_do_not_count() -> None:
    scores = np.random.default_rng(1).normal(size=(30, 4000))
    row = gold_ceiling_table(scores, 1.0, SETTINGS).iloc[0]
    assert row["beta"] < 0
    assert row["final_gold"] == pytest.approx(
        np.mean(np.max(norm.ppf(np.random.default_rng(2).uniform(size=(20000, 64))), axis=1)),
        abs=0.05,
    )
    shifted = gold_ceiling_table(scores + np.arange(30)[:, None], 1.0, SETTINGS).iloc[0]
    assert shifted["alpha"] == pytest.approx(row["alpha"])
    assert shifted["skewness"] == pytest.approx(row["skewness"], abs=1e-9)


def test_job_reads_the_pool_and_its_unit(tmp_path: Path) -> None:
    scores = np.random.default_rng(3).normal(size=(6, 256))
    rows = {"prompt_id": np.repeat(np.arange(6), 256), "gold_score": scores.ravel()}
    pd.DataFrame(rows).to_parquet(tmp_path / "scores")
    (tmp_path / "scale").write_text(json.dumps({"gold_sd_within_prompt": 2.0}))
    gold_ceiling(Job("x"), SETTINGS, tmp_path / "scores", tmp_path / "scale", tmp_path / "out")
    written = pd.read_csv(tmp_path / "out")
    expected = gold_ceiling_table(scores, 2.0, SETTINGS)
    pd.testing.assert_frame_equal(written, expected, rtol=1e-8)
