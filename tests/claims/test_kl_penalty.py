"""Claims on the KL penalty, and whether it brings PPO nearer to the most efficient policies."""

import numpy as np
import pandas as pd

from form_examples import PPO_STEPS, CellLaws, cell_curves, claims_of, evidence_of, verdicts
from overopt.claims import kl_penalty
from overopt.claims.kl_penalty import gold_at_equal_proxy, penalty_explanation
from overopt.theory.forms import RL

LEVELLED = np.minimum(PPO_STEPS, 30) / 30


def _gold(d: np.ndarray) -> np.ndarray:
    return RL.score(d, 0.5, 0.2)


def _proxy(d: np.ndarray) -> np.ndarray:
    return 0.4 * d


def _curves(gold, proxy, ends: dict[float, float]) -> pd.DataFrame:
    """PPO without a penalty up to 7, and with each coefficient up to a sqrt(KL) where it stays."""
    cells = [CellLaws("ppo", _gold, _proxy, prompt_noise=0.02, seed_noise=0.002)]
    cells += [
        CellLaws(
            "ppo",
            gold,
            proxy,
            end * LEVELLED,
            {"kl_coef": coefficient},
            prompt_noise=0.02,
            seed_noise=0.002,
        )
        for coefficient, end in ends.items()
    ]
    return cell_curves(cells, np.random.default_rng(0), ["s1", "s2"])


def test_the_papers_picture_supports_the_claims():
    curves = _curves(_gold, lambda d: 0.5 * d, {0.01: 5.0, 0.05: 3.0})
    assert set(verdicts(claims_of(kl_penalty), evidence_of(curves)).values()) == {"supported"}


def test_a_penalty_that_raises_gold_and_does_not_stop_contradicts_them():
    cells = [CellLaws("ppo", _gold, _proxy)]
    better = CellLaws(
        "ppo", lambda d: _gold(d) + 0.15 * d, _proxy, 8 * PPO_STEPS / 100, {"kl_coef": 0.05}
    )
    curves = cell_curves([*cells, better], np.random.default_rng(0), ["s1", "s2"])
    found = verdicts(claims_of(kl_penalty), evidence_of(curves))
    assert found == {"C43": "contradicted", "C44": "contradicted", "C45": "contradicted"}


def test_gold_at_equal_proxy_score_by_hand():
    """With half the KL for every proxy score, gold differs at equal KL and not at equal proxy."""
    free = CellLaws("ppo", lambda d: 0.3 * d, lambda d: 0.4 * d, prompt_noise=0, seed_noise=0)
    cheap = CellLaws(
        "ppo",
        lambda d: 0.6 * d,
        lambda d: 0.8 * d,
        3 * LEVELLED,
        {"kl_coef": 0.05},
        prompt_noise=0,
        seed_noise=0,
    )
    better = CellLaws(
        "ppo",
        lambda d: 0.6 * d + 0.25,
        lambda d: 0.8 * d,
        3 * LEVELLED,
        {"kl_coef": 0.1},
        prompt_noise=0,
        seed_noise=0,
    )
    curves = cell_curves([free, cheap, better], np.random.default_rng(0), ["s1"])
    difference = gold_at_equal_proxy(evidence_of(curves))
    np.testing.assert_allclose(difference[0], [0, 0.25], atol=0.02)


def test_without_a_penalty_they_are_not_run():
    curves = cell_curves([CellLaws("ppo", _gold, _proxy)], np.random.default_rng(0))
    evidence = evidence_of(curves)
    assert set(verdicts(claims_of(kl_penalty), evidence).values()) == {"not run"}
    assert len(penalty_explanation(evidence)) == 0


def test_explanation_measures_the_distance_to_both_references():
    """Best-of-n and tilted lie above PPO; the penalty halves the distance to both in gold only."""

    def reference_gold(d):
        return _gold(d) + 0.2 * d

    rng = np.random.default_rng(0)
    curves = _curves(lambda d: _gold(d) + 0.1 * d, _proxy, {0.05: 4.0})
    best_of_n = cell_curves([CellLaws("best_of_n", reference_gold, _proxy)], rng, ["s1"])
    tilted = cell_curves(
        [CellLaws("ppo", reference_gold, _proxy, keys={"method": "tilted"})], rng, ["s1"]
    )
    evidence = evidence_of(pd.concat([curves, best_of_n]), tilted_curves=tilted)
    table = penalty_explanation(evidence)
    assert table["reference"].tolist() == ["best_of_n", "best_of_n", "tilted", "tilted"]
    gold = table[table["score"] == "gold"]
    np.testing.assert_allclose(gold["distance_penalized"] / gold["distance_free"], 0.5, atol=0.15)
    assert (gold["nearer_low"] > 0).all()
    proxy = table[table["score"] == "proxy"]
    assert (proxy["nearer"].abs() < 0.05).all()
    np.testing.assert_allclose(table["max_kl"], [5.909, 5.909, 16, 16], rtol=0.05)
