"""Checks of other people's runs: each says stop, go on or nothing where it should."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from overopt.cli import app
from overopt.runs.diagnose import Diagnosis, diagnose
from overopt.runs.reading import read_run
from overopt.runs.record import KLSource, RunCurve, ScoredSamples

SOURCE = KLSource("kl", "sequence", "exact")


def run_with(gold: np.ndarray | None, **others: np.ndarray) -> RunCurve:
    d = np.linspace(0, 5, 50)
    steps = np.arange(50.0)
    return RunCurve("run", "made up", "step", steps, d, d**2, SOURCE, gold, others)


def verdicts(diagnosis: Diagnosis) -> dict[str, str]:
    return {check.name: check.verdict for check in diagnosis.checks}


def noise(seed: int = 0) -> np.ndarray:
    return 0.05 * np.random.default_rng(seed).normal(size=50)


def test_gold_that_has_fallen_says_stop():
    d = np.linspace(0, 5, 50)
    found = diagnose(run_with(d * (1.0 - 0.25 * d) + noise()))
    assert found.verdict == "stop"
    assert found.level == "labels"


def test_gold_that_rises_says_go_on():
    d = np.linspace(0, 5, 50)
    assert diagnose(run_with(d * (1.0 + 0.05 * d) + noise())).verdict == "go on"


def test_false_alarms_on_runs_whose_gold_does_not_fall_are_rare():
    """The nominal rate is 2.5%: the interval of what was lost lies above 0 by chance."""
    d = np.linspace(0, 5, 50)
    stops = [
        diagnose(run_with(d * (0.4 - 0.02 * d) + 2 * noise(seed))).verdict == "stop"
        for seed in range(60)
    ]
    assert sum(stops) <= 4


def test_without_gold_nobody_can_tell():
    found = diagnose(run_with(None))
    assert found.verdict == "cannot tell"
    assert verdicts(found)["gold"] == "cannot tell"


def test_series_that_drift_are_watched():
    ramp = np.linspace(0, 1, 50)
    found = diagnose(
        run_with(
            None,
            response_length=50 + 100 * ramp,
            truncated=0.3 * ramp,
            entropy=2.0 * (1 - ramp),
            zero_variance_groups=ramp,
        )
    )
    names = ("length", "truncation", "entropy", "groups")
    assert {verdicts(found)[name] for name in names} == {"watch"}
    steady = {name: np.ones(50) for name in ("response_length", "entropy")}
    calm = verdicts(diagnose(run_with(None, **steady, truncated=np.zeros(50))))
    assert (calm["length"], calm["entropy"], calm["truncation"]) == ("fine",) * 3


def samples_of(tmp_path: Path, proxy: np.ndarray, gold: np.ndarray) -> ScoredSamples:
    path = tmp_path / "samples.jsonl"
    rows = [
        {"prompt": str(q), "response": f"{q} {i}", "proxy": float(p), "gold": float(g)}
        for q, (ps, gs) in enumerate(zip(proxy, gold, strict=True))
        for i, (p, g) in enumerate(zip(ps, gs, strict=True))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (samples,) = read_run(path)
    assert isinstance(samples, ScoredSamples)
    return samples


def test_checks_of_samples_see_ties_tails_and_agreement(tmp_path):
    rng = np.random.default_rng(0)
    gold = rng.normal(size=(20, 64))
    good = verdicts(diagnose(samples_of(tmp_path, gold + rng.normal(size=gold.shape), gold)))
    assert (good["ties"], good["tail"], good["agreement"]) == ("fine",) * 3
    heavy = gold + rng.standard_t(1.5, size=gold.shape)
    assert verdicts(diagnose(samples_of(tmp_path, heavy, gold)))["tail"] == "watch"
    coarse = np.round(gold)
    assert verdicts(diagnose(samples_of(tmp_path, coarse, gold)))["ties"] == "watch"
    unrelated = rng.normal(size=gold.shape)
    assert verdicts(diagnose(samples_of(tmp_path, unrelated, gold)))["agreement"] == "watch"


def test_the_command_tells_stop_by_its_exit_code(tmp_path):
    path = tmp_path / "bon_sampled_results.json"
    ns = 2 ** np.arange(12)
    d = np.sqrt(np.log(ns) - (ns - 1) / ns)
    gold = d * (1.5 - 0.5 * d)
    rows = [
        {"n": int(n), "proxy_score": float(x), "gold_score": float(g)}
        for n, x, g in zip(ns, d, gold, strict=True)
    ]
    path.write_text(json.dumps(rows))
    done = CliRunner().invoke(app, ["diagnose", str(path)])
    assert done.exit_code == 4
    assert "=> stop" in done.output
    as_json = CliRunner().invoke(app, ["diagnose", str(path), "--json"])
    assert json.loads(as_json.stdout)["runs"][0]["verdict"] == "stop"


@pytest.mark.parametrize("log", ["trl_ppo_1.12.0", "trl_rloo_1.16.0", "openrlhf_tensorboard"])
def test_every_log_can_be_diagnosed(log):
    done = CliRunner().invoke(app, ["diagnose", str(Path(__file__).parent / "recorded" / log)])
    assert done.exit_code in (0, 4), done.output
    assert "=> " in done.output
