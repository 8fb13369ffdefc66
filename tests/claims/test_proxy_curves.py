"""Claims on proxy curves: supported where they hold, contradicted where they do not."""

import numpy as np

from form_examples import CellLaws, cell_curves, claims_of, evidence_of, verdicts
from overopt.claims import proxy_curves
from overopt.theory.forms import BEST_OF_N, RL


def _verdicts(best_of_n_proxy, ppo_proxy) -> dict[str, str]:
    laws = [
        CellLaws("best_of_n", lambda d: BEST_OF_N.score(d, 0.9, 0.2), best_of_n_proxy),
        CellLaws("ppo", lambda d: RL.score(d, 0.45, 0.25), ppo_proxy),
    ]
    return verdicts(
        claims_of(proxy_curves), evidence_of(cell_curves(laws, np.random.default_rng(0)))
    )


def test_a_proxy_that_bends_early_and_then_is_straight_supports_the_claims():
    def bends_early(d):
        return 0.35 * d + 0.3 * (1 - np.exp(-2 * d))

    assert set(_verdicts(bends_early, bends_early).values()) == {"supported"}


def test_a_proxy_that_bends_as_gold_does_contradicts_them():
    found = _verdicts(
        lambda d: BEST_OF_N.score(d, 0.9, 0.18), lambda d: BEST_OF_N.score(d, 0.5, 0.035)
    )
    assert found == {
        "C12": "supported",
        "C13": "contradicted",
        "C14": "contradicted",
        "C15": "contradicted",
    }


def test_a_convex_proxy_contradicts_concavity():
    found = _verdicts(lambda d: 0.4 * d + 0.1 * d**2, lambda d: 0.4 * d)
    assert found["C12"] == "contradicted"
    assert found["C13"] == "supported"
