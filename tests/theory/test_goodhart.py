"""Theory against simulation: regressional Goodhart and iterated RLHF."""

import numpy as np
import pytest

from overopt.theory.discrete_kl import discrete_best_of_n, discrete_best_of_n_kl
from overopt.theory.forms import BEST_OF_N, RL
from overopt.theory.goodhart import (
    expected_gold,
    expected_gold_given_discrete_noise,
    iterated_best_of_n_form,
    iterated_rl_form,
    regressional_slope,
)
from overopt.theory.kl import best_of_n_kl


def test_expected_gold_under_normal_noise_matches_a_simulation():
    rng = np.random.default_rng(0)
    gold = rng.normal(1.0, 2.0, 400_000)
    proxy = gold + rng.normal(-0.5, 1.5, gold.size)
    for low in (-2.0, 1.0, 4.0):
        inside = (proxy > low) & (proxy < low + 0.2)
        expected = expected_gold(
            low + 0.1, gold_mean=1, gold_variance=4, noise_mean=-0.5, noise_variance=2.25
        )
        assert gold[inside].mean() == pytest.approx(float(expected), abs=0.05)
    assert np.polyfit(proxy, gold, 1)[0] == pytest.approx(regressional_slope(4, 2.25), abs=0.01)


def test_gold_given_discrete_noise_matches_a_simulation():
    rng = np.random.default_rng(1)
    noise, probabilities = np.array([-1.0, 2.0]), np.array([0.7, 0.3])
    gold = rng.normal(0, 1.5, 400_000)
    proxy = gold + rng.choice(noise, gold.size, p=probabilities)
    inside = np.abs(proxy - 1.0) < 0.05
    exact = expected_gold_given_discrete_noise(1.0, 1.5, noise, probabilities)
    assert gold[inside].mean() == pytest.approx(float(exact), abs=0.05)


def test_error_for_bounded_noise_vanishes_faster_than_its_variance():
    shares = []
    for delta in (1.0, 0.5, 0.25, 0.125):
        noise = np.array([-delta, delta])
        exact = expected_gold_given_discrete_noise(1.3, 1.0, noise, np.array([0.5, 0.5]))
        approximate = expected_gold(
            1.3, gold_mean=0, gold_variance=1, noise_mean=0, noise_variance=delta**2
        )
        shares.append(abs(float(exact - approximate)) / delta**2)
    assert all(np.diff(shares) < 0)
    assert shares[-1] < 0.1 * shares[0]


@pytest.mark.parametrize("k", [1, 2, 5])
def test_iterated_form_is_the_sum_of_rounds(k: int):
    d = np.linspace(0.1, 9, 20)
    rounds = sum(RL.score(d / k, 0.5, 0.2) for _ in range(k))
    np.testing.assert_allclose(iterated_rl_form(d, 0.5, 0.2, k), rounds)
    np.testing.assert_allclose(
        iterated_rl_form(d, 0.5, 0.2, k) - RL.score(d, 0.5, 0.2), 0.2 * d * np.log(k), atol=1e-12
    )
    rounds = sum(BEST_OF_N.score(d / k, 0.5, 0.2) for _ in range(k))
    np.testing.assert_allclose(iterated_best_of_n_form(d, 0.5, 0.2, k), rounds)


def test_discrete_best_of_n_matches_drawing_and_the_bound():
    rng = np.random.default_rng(2)
    probabilities = np.array([0.4, 0.1, 0.3, 0.2])
    drawn = rng.choice(4, (200_000, 3), p=probabilities).max(axis=1)
    counted = np.bincount(drawn, minlength=4) / len(drawn)
    np.testing.assert_allclose(discrete_best_of_n(probabilities, 3), counted, atol=0.005)
    # numbers of the uniform policy over L responses, by hand: best-of-64 over 10 saturates
    assert discrete_best_of_n_kl(np.full(10, 0.1), 64) == pytest.approx(2.2935, abs=1e-4)
    assert discrete_best_of_n_kl(np.full(100, 0.01), 1000) == pytest.approx(4.6047, abs=1e-4)
    assert discrete_best_of_n_kl(np.full(10_000, 1e-4), 8) == pytest.approx(
        float(best_of_n_kl(8)), abs=1e-2
    )
    with pytest.raises(ValueError, match="sum to"):
        discrete_best_of_n(np.array([0.5, 0.4]), 2)
