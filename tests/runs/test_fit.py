"""Fits of other people's runs: known laws are found, units and peaks are told as they are."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from overopt.cli import app
from overopt.errors import UserError
from overopt.runs.curves import curve_of_samples
from overopt.runs.fit import fit_run
from overopt.runs.fit_text import describe_peak
from overopt.runs.reading import read_run
from overopt.runs.record import KLSource, RunCurve
from overopt.theory.best_of_n import best_of_n_scores
from overopt.theory.kl import best_of_n_kl, default_ns


def run_of(d: np.ndarray, gold: np.ndarray, point: str = "step", **more: object) -> RunCurve:
    """A run with this gold at KL d^2, and a proxy that rises along d."""
    steps = np.arange(len(d), dtype=float)
    source = KLSource("kl", "sequence", "exact")
    return RunCurve("run", "made up", point, steps, d, d**2, source, gold, **more)


def test_the_law_of_rl_is_found_with_its_peak():
    d = np.linspace(0, 6, 61)
    gold = d * 0.8 - 0.5 * np.where(d > 0, d * np.log(np.where(d > 0, d, 1)), 0)
    fit = fit_run(run_of(d, gold))[0]
    assert fit.own_form == "rl"
    assert fit.own.alpha.estimate == pytest.approx(0.8, abs=0.02)
    assert fit.own.beta.estimate == pytest.approx(0.5, abs=0.02)
    assert fit.own.peak_kl.estimate == pytest.approx(np.exp(0.8 / 0.5 - 1) ** 2, rel=0.05)
    assert fit.is_peak_reached
    assert fit.drop.estimate > 0


def test_a_peak_beyond_the_data_is_not_reached():
    d = np.linspace(0, 1, 41)
    fit = fit_run(run_of(d, d * (1 - 0.2 * d)))[0]
    assert not fit.is_peak_reached
    assert "not reached" in describe_peak(fit)
    rising = fit_run(run_of(d, d * (1 + 0.2 * d)))[0]
    assert describe_peak(rising) == "not reached: still rising at 1 nats"


def test_intervals_over_residuals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    d = np.linspace(0, 4, 50)
    law = d * 1.0 - 0.4 * np.where(d > 0, d * np.log(np.where(d > 0, d, 1)), 0)
    hits = 0
    for number in range(40):
        noise = rng.normal(size=50) * 0.1
        noise[0] = 0
        own = fit_run(run_of(d, law + noise), seed=number)[0].own
        hits += own.beta.low <= 0.4 <= own.beta.high
    assert 32 <= hits <= 40


def test_a_run_without_kl_is_not_fitted():
    curve = run_of(np.linspace(0, 2, 9), np.linspace(0, 1, 9))
    curve.kl, curve.missing = None, ["KL: GRPO logs none at its default beta of 0"]
    with pytest.raises(UserError, match="GRPO logs none"):
        fit_run(curve)


def test_too_few_points_are_not_fitted():
    with pytest.raises(UserError, match="at least 4"):
        fit_run(run_of(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 1.5])))


def pool_rows(num_prompts: int = 12, num: int = 64, seed: int = 0) -> list[dict]:
    rng = np.random.default_rng(seed)
    rows = []
    for prompt in range(num_prompts):
        gold = rng.normal(size=num)
        proxy = gold + 0.7 * rng.normal(size=num)
        rows += [
            {
                "prompt": f"p{prompt}",
                "response": f"{prompt} {i}",
                "proxy": float(p),
                "gold": float(g),
            }
            for i, (p, g) in enumerate(zip(proxy, gold, strict=True))
        ]
    return rows


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_pool_gives_the_curve_of_the_unbiased_estimator(tmp_path):
    rows = pool_rows()
    (samples,) = read_run(write(tmp_path / "pool.jsonl", rows))
    curve = curve_of_samples(samples)
    ns = default_ns(16)
    assert curve.points.tolist() == ns
    proxy = np.array([row["proxy"] for row in rows]).reshape(12, 64)
    gold = np.array([row["gold"] for row in rows]).reshape(12, 64)
    expected = best_of_n_scores(proxy, {"gold": gold}, ns)["gold"].mean(axis=0)
    unit = np.sqrt(gold.var(axis=1, ddof=1).mean())
    np.testing.assert_allclose(curve.gold, (expected - expected[0]) / unit)
    np.testing.assert_allclose(curve.kl, best_of_n_kl(ns))
    fit = fit_run(curve)[0]
    assert (fit.basis, fit.num_basis) == ("prompts", 12)
    assert fit.own_form == "best_of_n"


def test_repeats_lower_the_kl_of_best_of_n(tmp_path):
    rows = pool_rows()
    for number, row in enumerate(rows):
        row["response"] = str(number % 4)
        row["proxy"] = float(number % 4)
    (samples,) = read_run(write(tmp_path / "pool.jsonl", rows))
    curve = curve_of_samples(samples)
    assert curve.kl is not None and curve.kl_source is not None
    assert curve.kl.max() < np.log(4) + 1e-9 < best_of_n_kl(16)
    assert "distinct" in curve.kl_source.doubts[0]


def test_a_small_pool_is_refused(tmp_path):
    (samples,) = read_run(write(tmp_path / "pool.jsonl", pool_rows(3, 4)))
    with pytest.raises(UserError, match="at least 8 responses"):
        curve_of_samples(samples)


def test_checkpoints_give_a_curve_over_steps_with_intervals_over_prompts(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for step in range(8):
        for prompt in range(10):
            for i in range(4):
                d = 0.5 * step
                gold = d * (1 - 0.15 * d) + 0.1 * rng.normal()
                ratio = {"logprob": -10.0 + d**2, "ref_logprob": -10.0}
                row = {"prompt": f"p{prompt}", "response": f"{i}", "step": step, "gold": gold}
                rows.append(row | {"proxy": d + 0.1 * rng.normal()} | ratio)
    (samples,) = read_run(write(tmp_path / "checkpoints.jsonl", rows))
    curve = curve_of_samples(samples)
    assert curve.kl is not None
    np.testing.assert_allclose(curve.kl, (0.5 * np.arange(8)) ** 2, atol=1e-12)
    fit = fit_run(curve)[0]
    assert (fit.basis, fit.num_basis) == ("prompts", 10)


# The command.


def test_fit_prints_writes_and_draws(tmp_path):
    path = write(tmp_path / "pool.jsonl", pool_rows())
    out = tmp_path / "fits.csv"
    arguments = ["fit", str(path), "--csv", str(out), "--plot", str(tmp_path / "plots")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "12 prompts x 64 responses" in done.output
    assert "alpha" in done.output and "peak:" in done.output
    assert out.read_text().startswith("run,format,score,unit,form")
    assert {p.suffix for p in (tmp_path / "plots").iterdir()} == {".png", ".svg"}


def test_json_is_json_even_where_peaks_are_infinite(tmp_path):
    path = tmp_path / "bon.json"
    ns = [1, 2, 4, 8, 16, 32]
    path.write_text(json.dumps([{"n": n, "proxy_score": n, "gold_score": float(n)} for n in ns]))
    done = CliRunner().invoke(app, ["fit", str(path), "--json"])
    fits = json.loads(done.stdout)["fits"]
    assert {row["form"] for row in fits} >= {"best_of_n", "rl", "linear"}
    assert any(row["peak_kl"] is None for row in fits)


def test_a_run_that_cannot_be_fitted_has_its_own_exit_code(tmp_path):
    rows = [{"step": i, "data": {"critic/score/mean": 0.1 * i}} for i in range(8)]
    done = CliRunner().invoke(app, ["fit", str(write(tmp_path / "log.jsonl", rows))])
    assert done.exit_code == 3
    assert "not fitted" in done.output
