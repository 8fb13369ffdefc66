"""The headline of a study: what a person reads at the end of a run."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from curve_examples import GOLD_SD, study_curves, temperatures
from overopt.analysis.recalibration import recalibrate
from overopt.analysis.statistics import study_statistics
from overopt.analysis.tables import coefficients, peaks
from overopt.cli import app
from overopt.config.analysis import AnalysisConfig
from overopt.config.rules import ANALYSIS
from overopt.errors import UserError
from overopt.report.run_records import costs, diverged_runs
from overopt.report.summary import summarize

ROOT = Path(__file__).resolve().parents[2]


def write_record(path: Path, script: str, cpu: float, startup: float) -> None:
    record = {
        "rule_script": script,
        "cpu_seconds": cpu,
        "startup_cpu_seconds": startup,
        "wall_seconds": cpu,
        "peak_memory_mb": 100.0,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    curves = study_curves(np.random.default_rng(0), sizes=("s1", "s4", "s7"), seeds=(0,))
    recalibrated = recalibrate(curves, temperatures(curves), main_policy="small", gold_sd=GOLD_SD)
    config = AnalysisConfig(num_bootstrap=50)
    statistics = study_statistics(recalibrated, config, 1)
    coefficients(statistics).to_csv(folder / "coefficients.csv", index=False)
    peaks(statistics).to_csv(folder / "peaks.csv", index=False)
    write_record(folder / "ppo/a/run_record.json", "ppo.py", 30.0, 4.0)
    write_record(folder / "ppo/b/run_record.json", "ppo.py", 20.0, 4.0)
    write_record(folder / "policies/small/run_record.json", "train_language_model.py", 10.0, 3.0)
    write_record(folder / "backbones/s1/run_record.json", "train_language_model.py", 8.0, 3.0)
    return folder


def test_every_size_stands_under_both_methods_with_its_cost(results: Path) -> None:
    text = summarize(results)
    for size in ("s1", "s4", "s7"):
        assert text.count(f"  {size} ") == 2
    falling = next(line for line in text.splitlines() if line.startswith("  s1"))
    assert "optimizing on cost" in falling
    assert "nan" not in text and "no intervals, as there is one seed" in text
    assert str(results / "figures") in text


def test_costs_add_up_by_stage_and_tell_backbones_from_policies(results: Path) -> None:
    table = costs(results)
    assert table.loc["PPO", ["jobs", "cpu_seconds", "startup_cpu_seconds"]].tolist() == [2, 50, 8]
    assert table.loc["policies", "cpu_seconds"] == 10
    assert table.loc["proxy RMs", "cpu_seconds"] == 8
    assert "14 (21%)" in summarize(results)


def test_what_jobs_have_not_finished_is_left_out(results: Path, tmp_path: Path) -> None:
    """They make and remove hidden folders while the page of the run is made."""
    shutil.copytree(results, tmp_path, dirs_exist_ok=True)
    write_record(tmp_path / "ppo/.unfinished-ppo/run_record.json", "ppo.py", 1e6, 1.0)
    (tmp_path / ".unfinished-forms").mkdir(mode=0)
    assert costs(tmp_path).equals(costs(results))
    for method, ended in {"ppo": "last iteration", "rloo": "diverged in iteration 3"}.items():
        folder = tmp_path / method / "small" / "a"
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(json.dumps({"ended": ended}))
    assert diverged_runs(tmp_path) == {"rloo/small/a": "diverged in iteration 3"}


def test_verdicts_are_counted_and_the_report_is_named(results: Path, tmp_path: Path) -> None:
    assert "Claims" not in summarize(results)
    assert "report.html" not in summarize(results)
    shutil.copytree(results, tmp_path, dirs_exist_ok=True)
    verdicts = ["supported"] * 24 + ["inconclusive"] * 9 + ["not run"] * 15
    pd.DataFrame({"verdict": verdicts}).to_csv(tmp_path / "claims.csv")
    (tmp_path / "report.html").touch()
    lines = summarize(tmp_path).splitlines()
    assert (
        "Claims: 24 supported, 0 contradicted, 9 inconclusive, 0 needs seeds, 15 not run" in lines
    )
    assert lines[-1] == f"Report: {tmp_path}/report.html, one file; open it in a browser"


def test_jobs_are_booked_under_the_stage_of_their_rule(tmp_path: Path) -> None:
    scripts = ("hub_data.py", "published_checkpoint.py", "published_gold_rm.py", "fits.py")
    for script in scripts:
        write_record(tmp_path / f"{script}/run_record.json", script, 5.0, 1.0)
    stages = {"human data", "published checkpoints", "gold RM", ANALYSIS}
    assert set(costs(tmp_path).index) == stages


def test_an_unfinished_study_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no coefficients.csv there.*snakemake --cores all"):
        summarize(tmp_path)
    done = CliRunner().invoke(app, ["summary", str(tmp_path)])
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")


def test_the_command_prints_the_summary(results: Path) -> None:
    done = CliRunner().invoke(app, ["summary", str(results)])
    assert done.exit_code == 0
    assert done.stdout.strip() == summarize(results)


def test_a_run_that_diverged_is_told_with_its_reason(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results, tmp_path / "study")
    assert "Runs that diverged" not in summarize(tmp_path / "study")
    for size, ended in (("s1", "KL limit"), ("s2", "diverged in iteration 7: PPO's loss is nan")):
        folder = tmp_path / "study" / "ppo" / "small" / "kl-0" / size
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(json.dumps({"ended": ended}))
    told = summarize(tmp_path / "study")
    assert "ppo/small/kl-0/s2: diverged in iteration 7: PPO's loss is nan" in told
    assert "kl-0/s1" not in told
