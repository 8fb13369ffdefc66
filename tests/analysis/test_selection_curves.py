"""Curves of selection rules and ensembles, against a direct computation on the pool."""

import json

import numpy as np
import pandas as pd
import pytest

from overopt.analysis.methods_table import methods_input, methods_table
from overopt.analysis.scored_pool import read_pool
from overopt.analysis.selection_curves import COMBINATIONS, ensembles_of, selection_curves
from overopt.analysis.statistics import study_statistics
from overopt.config.analysis import AnalysisConfig
from overopt.config.cells import CELL_KEYS, GROUP_KEYS
from overopt.config.methods import METHODS
from overopt.theory.best_of_n import best_of_n_scores
from overopt.theory.selection import RULES, weights_chi_squared, weights_kl
from pool_examples import cell_of, pool_of

NS = [1, 2, 8, 32, 100]


@pytest.fixture(scope="module")
def pool():
    return pool_of({"s1": 0.5, "s3": 0.9})


@pytest.fixture(scope="module")
def curves(pool) -> pd.DataFrame:
    return selection_curves(pool, NS)


def test_every_rule_is_a_method(curves) -> None:
    assert {rule.name for rule in RULES} <= set(METHODS)
    assert set(curves["method"]) == {rule.name for rule in RULES} | {"best_of_n"}
    assert not curves.duplicated([*CELL_KEYS, "n", "step", "prompt_id"]).any()


def test_best_of_n_is_that_of_the_pool(pool, curves) -> None:
    rows = curves.query("method == 'best_of_n' and proxy_size == 's3' and seed == 1")
    rows = rows[rows["variant"] == "plain"]
    (proxy,) = (one for one in pool.proxies if one.cell == cell_of("s3", 1))
    expected = best_of_n_scores(proxy.scores, {"gold": pool.gold}, NS)["gold"]
    found = rows.pivot(index="prompt_id", columns="n", values="recalibrated_gold_score")
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_weights_gold_of_the_same_responses(rule, pool, curves) -> None:
    rows = curves[(curves["method"] == rule.name) & (curves["proxy_size"] == "s1")]
    rows = rows[rows["seed"] == 0]
    first = rows[rows["step"] == 1]
    assert (first["kl"] == 0).all() and first["dial"].isna().all()
    np.testing.assert_allclose(first["recalibrated_gold_score"], 0, atol=1e-12)
    third = rows[rows["step"] == 4]
    assert set(third["dial"]) == {rule.values[2]}
    weights = rule.weights(pool.proxies[0].scores, rule.values[2])
    np.testing.assert_allclose(third["recalibrated_gold_score"], (weights * pool.gold).sum(1))
    np.testing.assert_allclose(third["chi_squared"], weights_chi_squared(weights))
    if rule.kl is None:
        np.testing.assert_allclose(third["kl"], weights_kl(weights))
    assert rows.groupby("step")["kl"].mean().max() < np.log(400) - 2.5
    # All proxies have the same points, so that seeds can be averaged.
    of_rule = curves[curves["method"] == rule.name]
    assert of_rule.groupby(CELL_KEYS)["step"].max().nunique() == 1


def test_ensembles_combine_the_scores_of_the_seeds(pool) -> None:
    members = pool.by_size()["s1"]
    found = {str(one.cell["variant"]): one.scores for one in ensembles_of(members)}
    one, other = (member.scores for member in members)
    assert set(found) == {combination.name for combination in COMBINATIONS}
    np.testing.assert_allclose(found["mean_of_seeds"], (one + other) / 2)
    np.testing.assert_allclose(found["worst_of_seeds"], np.minimum(one, other))
    spread = (one - other) ** 2 / 2
    np.testing.assert_allclose(
        found["mean_minus_variance_of_seeds"], (one + other) / 2 - spread / 2
    )
    entropic = -np.log((np.exp(-one) + np.exp(-other)) / 2)
    np.testing.assert_allclose(found["entropic_of_seeds"], entropic)
    assert list(ensembles_of(members[:1])) == []


def statistics_of(curves):
    return study_statistics(curves, AnalysisConfig(num_bootstrap=50), 0)


def test_the_table_pairs_every_method_with_the_plain_cell(curves) -> None:
    ppo = curves[(curves["method"] == "best_of_poisson")].assign(method="ppo", n=pd.NA)
    harsher = ppo.assign(kl_coef=0.1)
    study = pd.concat([ppo, harsher, curves[curves["method"] == "best_of_n"]])
    together = methods_input(curves, study, "small", [])
    statistics = statistics_of(together)
    table = methods_table(statistics)
    keys = [*GROUP_KEYS, "form"]
    assert not table.duplicated(keys).any()
    cell = table.query("method == 'best_of_n' and proxy_size == 's1'").set_index("variant")
    change = cell["final_gold"]["mean_of_seeds"] - cell["final_gold"]["plain"]
    assert change > 0.1, "two independent errors average out"
    assert cell["final_gold_change"]["mean_of_seeds"] == pytest.approx(change)
    assert np.isnan(cell["final_gold_change"]["plain"])
    assert np.isnan(cell["final_gold_change_low"]["mean_of_seeds"]), "one ensemble a size"
    # PPO has another law than best-of-n: only what does not depend on it is compared.
    ppo = table[table["method"] == "ppo"].set_index("proxy_size")
    assert set(ppo["kl_coef"]) == {0.0}
    assert np.isnan(ppo["final_gold_change"]["s1"]), "plain PPO is what RL is compared with"
    rules = table[table["method"] == "quantilizer"]
    assert (rules["alpha_change_low"] < rules["alpha_change"]).all()
    assert (rules["alpha_change"] < rules["alpha_change_high"]).all()


def test_a_pool_is_read_from_the_files_of_a_study(tmp_path) -> None:
    rng = np.random.default_rng(0)
    gold = rng.normal(size=(3, 5))
    prompts = np.repeat(np.arange(3), 5)
    pd.DataFrame({"prompt_id": prompts, "gold_score": gold.ravel()}).to_parquet(tmp_path / "gold")
    (tmp_path / "scale").write_text(json.dumps({"gold_sd_within_prompt": 2.0}))
    cells = [cell_of("s3", 0), cell_of("s1", 1), cell_of("s1", 0) | {"labels": "sampled"}]
    proxies, best_of_n = [], []
    for number, cell in enumerate(cells):
        scores = rng.normal(size=15)
        pd.DataFrame({"prompt_id": prompts, "proxy_score": scores}).to_parquet(
            tmp_path / f"proxy{number}"
        )
        pd.DataFrame([cell]).to_parquet(tmp_path / f"curve{number}")
        proxies.append(tmp_path / f"proxy{number}")
        best_of_n.append(tmp_path / f"curve{number}")
    pool = read_pool(tmp_path / "gold", tmp_path / "scale", proxies, best_of_n, "small", [])
    assert [(one.cell["proxy_size"], one.cell["seed"]) for one in pool.proxies] == [
        ("s1", 1),
        ("s3", 0),
    ]
    np.testing.assert_allclose(pool.gold, (gold - gold.mean(1, keepdims=True)) / 2)
    scores = pd.read_parquet(proxies[1])["proxy_score"].to_numpy().reshape(3, 5)
    centred = scores - scores.mean(1, keepdims=True)
    np.testing.assert_allclose(pool.proxies[0].scores, centred / np.sqrt((centred**2).mean()))
    assert pool.proxies[0].sd == pytest.approx(np.sqrt((centred**2).mean()))
