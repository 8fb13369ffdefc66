"""Claims on RL against best-of-n: supported where they hold, contradicted where they do not."""

import numpy as np
import pytest

from form_examples import PPO_STEPS, CellLaws, cell_curves, claims_of, evidence_of, verdicts
from overopt.claims import methods
from overopt.claims.curve_readings import gold_by_proxy, on_grid
from overopt.theory.forms import BEST_OF_N, RL


def _verdicts(best_of_n: CellLaws, ppo: CellLaws) -> dict[str, str]:
    rng = np.random.default_rng(0)
    return verdicts(claims_of(methods), evidence_of(cell_curves([best_of_n, ppo], rng)))


def test_the_papers_picture_supports_the_claims():
    # gold depends on the proxy alone, but that RL starts lower and peaks higher
    def gold(proxy):
        return proxy - 0.35 * proxy**2

    best_of_n = CellLaws(
        "best_of_n",
        lambda d: gold(BEST_OF_N.score(d, 0.9, 0.1)),
        lambda d: BEST_OF_N.score(d, 0.9, 0.1),
    )
    ppo = CellLaws("ppo", lambda d: gold(0.4 * d) + 0.15 * (0.4 * d - 0.8), lambda d: 0.4 * d)
    assert _verdicts(best_of_n, ppo) == {
        "C37": "supported",
        "C38": "supported",
        "C39": "supported",
        "C40": "supported",
        "C41": "supported",
        "C42": "supported",
    }


def test_the_opposite_contradicts_them():
    best_of_n = CellLaws("best_of_n", lambda d: BEST_OF_N.score(d, 1.0, 0.22), lambda d: 0.5 * d)
    # RL is best-of-n's law at each KL but for a shifted proxy, peaks at lower KL and lower gold
    wobble = 3 + 2.5 * np.sin(PPO_STEPS / 6)
    sqrt_kl = np.where(PPO_STEPS > 0, wobble, 0.0)
    ppo = CellLaws(
        "ppo",
        lambda d: np.where(d < 2, BEST_OF_N.score(d, 1.0, 0.27), 0.92 - 0.2 * (d - 2)),
        lambda d: 0.25 * d,
        sqrt_kl,
    )
    found = _verdicts(best_of_n, ppo)
    assert found == {
        "C37": "contradicted",
        "C38": "contradicted",
        "C39": "contradicted",
        "C40": "contradicted",
        "C41": "contradicted",
        "C42": "contradicted",
    }


@pytest.mark.parametrize("method", ["best_of_n", "ppo"])
def test_one_method_alone_says_not_run(method: str):
    laws = CellLaws(method, lambda d: RL.score(d, 0.5, 0.25), lambda d: 0.3 * d)
    found = verdicts(claims_of(methods), evidence_of(cell_curves([laws], np.random.default_rng(0))))
    expected = {"C37", "C40", "C41", "C42"} | ({"C38", "C39"} if method == "best_of_n" else set())
    assert {claim for claim, verdict in found.items() if verdict == "not run"} == expected


def test_readings_of_a_curve_without_noise():
    laws = CellLaws("best_of_n", lambda d: d**2, lambda d: 2 * np.minimum(d, 1.5), None, {}, 0, 0)
    curves = cell_curves([laws], np.random.default_rng(0), ["s1"])
    curves["recalibrated_gold_score"] = curves["kl"]
    curves["recalibrated_proxy_score"] = 2 * np.minimum(np.sqrt(curves["kl"]), 1.5)
    curve = evidence_of(curves).statistics.curves[0]
    # linear between points of the curve, which are at most 0.3 apart in sqrt(KL)
    np.testing.assert_allclose(on_grid(curve, "gold", np.array([1.0, 2.0]))[0], [1, 4], atol=0.02)
    # gold where the proxy first gets there, not on its level part
    np.testing.assert_allclose(gold_by_proxy(curve, np.array([2.0]))[0], [1], atol=0.02)
    assert gold_by_proxy(curve, np.array([3.0]))[0, 0] < 2.6
