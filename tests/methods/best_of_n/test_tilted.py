"""The tilted distribution: the highest proxy score at each KL."""

import numpy as np
import pandas as pd
import pytest

from overopt.config.cells import ProxyRM, Run
from overopt.jobs.job import Job
from overopt.methods.best_of_n.tilted import (
    penalty_at_kl,
    tilted_curve,
    tilted_log_weights,
    tilted_scores,
    weights_kl,
)
from overopt.methods.curves import curve_table
from overopt.theory.kl import best_of_n_kl


@pytest.fixture
def proxy() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(6, 4000))


def test_a_normal_proxy_is_shifted_by_the_tilt(proxy) -> None:
    """For a standard normal score, exp(s / c) shifts its mean by 1 / c, at a KL of 1 / (2 c^2)."""
    for c in (2.0, 1.0):
        log_weights = tilted_log_weights(proxy, c)
        np.testing.assert_allclose(np.exp(log_weights).sum(1), 1)
        mean = (np.exp(log_weights) * proxy).sum(1).mean()
        assert mean == pytest.approx(1 / c, abs=0.05)
        assert weights_kl(log_weights).mean() == pytest.approx(1 / (2 * c**2), abs=0.05)


def test_the_penalty_gives_the_kl_asked_for(proxy) -> None:
    for kl in (0.05, 1.0, 3.0):
        weights = tilted_log_weights(proxy, penalty_at_kl(proxy, kl))
        assert weights_kl(weights).mean() == pytest.approx(kl, rel=1e-6)
    with pytest.raises(ValueError, match="no penalty gives a KL of 9 nats over this pool"):
        penalty_at_kl(proxy, 9)


def test_no_weighting_with_this_kl_has_a_higher_proxy_score(proxy) -> None:
    """Best-of-n is another weighting: at its own KL the tilted one is at least as good."""
    rank = np.argsort(np.argsort(proxy, axis=1), axis=1) + 1
    for n in (2, 8, 32):
        weights = (rank / 4000) ** n - ((rank - 1) / 4000) ** n
        kl = weights_kl(np.log(weights)).mean()
        assert kl == pytest.approx(best_of_n_kl(n), abs=0.02)
        tilted = tilted_log_weights(proxy, penalty_at_kl(proxy, kl))
        assert (np.exp(tilted) * proxy).sum() > (weights * proxy).sum()


def test_points_begin_at_the_initial_policy_and_rise(proxy) -> None:
    gold = 0.5 * proxy + np.random.default_rng(1).normal(size=proxy.shape)
    points = tilted_scores(proxy, {"proxy": proxy, "gold": gold})
    np.testing.assert_allclose(points["kl"][0], 0, atol=1e-9)
    np.testing.assert_allclose(points["proxy"][0], proxy.mean(1))
    assert (np.diff(points["proxy"].mean(1)) > 0).all()
    np.testing.assert_allclose(
        np.sqrt(points["kl"].mean(1)), 0.2 * np.arange(len(points["kl"])), atol=1e-6
    )
    assert points["gold"][-1].mean() > 0.7


def test_the_job_writes_a_curve_of_its_cell(tmp_path, proxy) -> None:
    num_prompts, num_responses = proxy.shape
    prompt_id = np.repeat(np.arange(num_prompts), num_responses)
    gold = pd.DataFrame({"prompt_id": prompt_id, "gold_score": -proxy.ravel()})
    gold.to_parquet(tmp_path / "gold")
    scores = pd.DataFrame({"prompt_id": prompt_id, "proxy_score": proxy.ravel()})
    scores.to_parquet(tmp_path / "proxy")
    run = Run(
        method="best_of_n",
        policy_size="small",
        proxy_rm=ProxyRM(proxy_size="s1", num_comparisons=10, num_epochs=1, seed=3),
    )
    measured = {name: np.zeros((2, num_prompts)) for name in ("kl", "proxy_score", "gold_score")}
    curve_table(run, 256, [1, 4], measured).to_parquet(tmp_path / "curve")
    paths = [tmp_path / name for name in ("gold", "proxy", "curve", "tilted")]
    tilted_curve(Job("x"), *paths)
    table, cell = pd.read_parquet(paths[-1]), pd.read_parquet(tmp_path / "curve")
    assert table.columns.tolist() == cell.columns.tolist()
    assert (table.dtypes == cell.dtypes).all()
    assert set(table["method"]) == {"tilted"} and set(table["seed"]) == {3}
    assert table["n"].isna().all() and not table.duplicated(["step", "prompt_id"]).any()
    np.testing.assert_allclose(table["gold_score"], -table["proxy_score"])
    first = table[table["step"] == 0]
    np.testing.assert_allclose(first["proxy_score"], proxy.mean(1))
