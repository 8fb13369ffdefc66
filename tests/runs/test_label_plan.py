"""Which responses are judged: winners, each drawn as best-of-n draws them; read back as a curve."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from overopt.cli import app
from overopt.errors import UserError
from overopt.runs.label_plan import levels, plan_labels
from overopt.runs.reading import read_run
from overopt.runs.record import RunCurve


def pool(tmp_path, num_prompts: int = 30, num: int = 64):
    rng = np.random.default_rng(0)
    gold = rng.normal(size=(num_prompts, num))
    proxy = gold + rng.normal(size=gold.shape)
    path = tmp_path / "pool.jsonl"
    with path.open("w") as file:
        for q in range(num_prompts):
            for i in range(num):
                row = {"prompt": f"p{q}", "response": f"{q} {i}", "proxy": float(proxy[q, i])}
                file.write(json.dumps(row) + "\n")
    return path, proxy, gold


def test_levels_end_at_the_largest_n():
    assert levels(16) == [1, 4, 16]
    assert levels(20) == [1, 4, 16, 20]
    assert levels(1) == [1]


def test_winners_are_drawn_as_best_of_n_draws_them(tmp_path):
    path, proxy, _ = pool(tmp_path, num_prompts=8, num=16)
    (samples,) = read_run(path)
    wins = {n: [] for n in (1, 4)}
    for seed in range(200):
        for planned in plan_labels(samples, 16, seed):
            row = planned.row - 16 * planned.prompt_id
            wins[planned.n].append((proxy[planned.prompt_id] > proxy[planned.prompt_id, row]).sum())
    # The rank of the best of n drawn without replacement from N: mean (N + 1) / (n + 1), from 1.
    for n, ranks in wins.items():
        assert np.mean(ranks) + 1 == pytest.approx(17 / (n + 1), rel=0.06)


def test_a_judged_plan_is_read_back_as_a_curve(tmp_path):
    path, proxy, gold = pool(tmp_path)
    out = tmp_path / "plan.jsonl"
    done = CliRunner().invoke(app, ["label-plan", str(path), "--budget", "90", "--out", str(out)])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 90
    assert all(row["gold"] is None for row in rows)
    with pytest.raises(UserError, match="0 of 90 responses are judged"):
        read_run(out)
    for row in rows:
        q, i = map(int, row["response"].split())
        assert row["prompt"] == f"p{q}" and row["proxy"] == proxy[q, i]
        row["gold"] = gold[q, i]
    out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (curve,) = read_run(out)
    assert isinstance(curve, RunCurve) and curve.gold is not None
    assert curve.points.tolist() == [1, 4, 16]
    expected = [np.mean([row["gold"] for row in rows if row["n"] == n]) for n in (1, 4, 16)]
    np.testing.assert_allclose(curve.gold, expected)
    assert curve.gold[2] > curve.gold[0]


def test_a_budget_too_small_is_refused(tmp_path):
    path, _, _ = pool(tmp_path, num_prompts=4)
    done = CliRunner().invoke(app, ["label-plan", str(path), "--budget", "3"])
    assert done.exit_code == 1
    assert "at least 12" in done.output
