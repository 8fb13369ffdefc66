"""Selection rules against enumeration of every draw from a small pool."""

from itertools import product
from math import exp

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import poisson

from overopt.theory.best_of_n import best_of_n_scores
from overopt.theory.kl import best_of_n_kl
from overopt.theory.selection import (
    RULES,
    best_of_n_chi_squared,
    best_of_poisson_kl,
    best_of_poisson_weights,
    hedged_n,
    initial_slope_by_prompt,
    pessimistic_weights,
    quantilizer_kl,
    quantilizer_weights,
    soft_best_of_n_weights,
    tilted_weights,
    weights_chi_squared,
    weights_kl,
)

POOL = np.array([[0.3, -1.2, 2.0, 0.9], [0.5, 0.5, -0.4, 1.1]])


def soft_by_enumeration(scores: np.ndarray, n: int, sharpness: float) -> np.ndarray:
    weights = np.zeros(len(scores))
    for draws in product(range(len(scores)), repeat=n):
        odds = np.exp(sharpness * scores[list(draws)])
        np.add.at(weights, list(draws), odds / odds.sum() / len(scores) ** n)
    return weights


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("sharpness", [0.0, 0.7, 3.0, 20.0])
def test_soft_best_of_n_is_the_mean_over_all_draws(n: int, sharpness: float) -> None:
    expected = [soft_by_enumeration(scores, n, sharpness) for scores in POOL]
    np.testing.assert_allclose(soft_best_of_n_weights(POOL, n, sharpness), expected, atol=1e-9)


def test_soft_best_of_n_has_best_of_n_and_the_tilt_as_limits() -> None:
    rng = np.random.default_rng(0)
    pool = rng.normal(size=(1, 400))
    soft = (soft_best_of_n_weights(pool, 20, 500.0) * pool).sum()
    draws = rng.choice(pool[0], size=(200_000, 20)).max(axis=1)
    assert soft == pytest.approx(draws.mean(), abs=4 * draws.std() / np.sqrt(len(draws)))
    tilt = tilted_weights(pool, 0.8)
    np.testing.assert_allclose(soft_best_of_n_weights(pool, 100_000, 0.8), tilt, rtol=2e-4)


def best_by_enumeration(scores: np.ndarray, n: int) -> np.ndarray:
    weights = np.zeros(len(scores))
    for draws in product(range(len(scores)), repeat=n):
        best = np.flatnonzero(scores == scores[list(draws)].max())  # ties share
        weights[best] += 1 / len(best) / len(scores) ** n
    return weights


def test_best_of_poisson_is_the_mixture_of_best_of_n() -> None:
    mu = 0.6
    for scores, found in zip(POOL, best_of_poisson_weights(POOL, mu), strict=True):
        expected = sum(poisson.pmf(k, mu) * best_by_enumeration(scores, k + 1) for k in range(8))
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("mu", [0.0, 0.3, 3.0, 40.0, 1000.0])
def test_kl_of_best_of_poisson_is_its_integral(mu: float) -> None:
    def integrand(v: float) -> float:  # u = 1 - exp(-v) resolves the end
        u = 1 - exp(-v)
        density = (1 + mu * u) * exp(mu * (u - 1))
        return density * np.log(density) * exp(-v) if density else 0.0

    expected, _ = quad(integrand, 0, 40, limit=500, points=[np.log1p(mu), np.log1p(mu) + 3])
    assert best_of_poisson_kl(mu) == pytest.approx(expected, abs=1e-8)


def test_best_of_poisson_is_within_a_thousandth_of_the_tilt() -> None:
    """At most 6.6e-4 nats above the tilt with the same mean quantile, at mu = 3."""
    u = (np.arange(200_000) + 0.5) / 200_000
    weights = best_of_poisson_weights(u[None], 3.0)
    mean = (weights * u).sum()
    low, high, s = 0.0, 50.0, 0.0
    for _ in range(60):
        s = (low + high) / 2
        low, high = (s, high) if (tilted_weights(u[None], s) * u).sum() < mean else (low, s)
    excess = best_of_poisson_kl(3.0) - weights_kl(tilted_weights(u[None], s))[0]
    assert 5e-4 < excess < 8e-4


def test_a_quantilizer_takes_the_best_share() -> None:
    np.testing.assert_allclose(quantilizer_weights(POOL[:1], 0.5), [[0, 0, 0.5, 0.5]])
    np.testing.assert_allclose(quantilizer_weights(POOL[:1], 0.375), [[0, 0, 2 / 3, 1 / 3]])
    # The best, then the two that tie share what is left.
    np.testing.assert_allclose(quantilizer_weights(POOL[1:], 0.5), [[0.25, 0.25, 0, 0.5]])
    assert quantilizer_kl(0.25) == pytest.approx(weights_kl(quantilizer_weights(POOL[:1], 0.25))[0])
    assert weights_chi_squared(quantilizer_weights(POOL[:1], 0.25))[0] == pytest.approx(
        1 / 0.25 - 1
    )


@pytest.mark.parametrize("b", [0.05, 0.4, 2.0, 30.0])
def test_pessimistic_weights_maximize_proxy_minus_chi_squared(b: float) -> None:
    for scores, found in zip(POOL, pessimistic_weights(POOL, b), strict=True):
        size = len(scores)

        def loss(weights: np.ndarray, scores: np.ndarray = scores, size: int = size) -> float:
            return -(weights @ scores) + b / 2 * (size * (weights**2).sum() - 1)

        best = minimize(
            loss,
            np.full(size, 1 / size),
            bounds=[(0, 1)] * size,
            constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
            options={"ftol": 1e-14, "maxiter": 1000},
        )
        assert loss(found) <= best.fun + 1e-9
        np.testing.assert_allclose(found, best.x, atol=1e-5)


def test_weights_of_every_rule_are_distributions_that_move_outwards() -> None:
    pool = np.random.default_rng(1).normal(size=(3, 600))
    for rule in RULES:
        kls = []
        for value in rule.values:
            weights = rule.weights(pool, value)
            assert (weights >= 0).all()
            np.testing.assert_allclose(weights.sum(axis=1), 1)
            kls.append(weights_kl(weights).mean())
        assert np.all(np.diff(kls) > 0), rule.name


def test_chi_squared_of_best_of_n() -> None:
    n = 6
    u = (np.arange(100_000) + 0.5) / 100_000
    weights = n * u ** (n - 1) / len(u)
    assert weights_chi_squared(weights[None])[0] == pytest.approx(
        best_of_n_chi_squared(n), rel=1e-4
    )
    assert weights_kl(weights[None])[0] == pytest.approx(best_of_n_kl(n), rel=1e-4)


def test_hedged_n_is_where_best_of_n_peaks() -> None:
    rng = np.random.default_rng(2)
    proxy = rng.normal(size=(60, 2000))
    gold = 0.8 * proxy - 0.25 * (proxy**2 - 1)
    ns = np.arange(2, 200)
    curve = best_of_n_scores(proxy, {"gold": gold}, ns.tolist())["gold"].mean(axis=0)
    assert hedged_n(proxy, gold, 1000) == pytest.approx(ns[curve.argmax()], rel=0.05)
    assert hedged_n(proxy, proxy, 1000) == np.inf
    assert hedged_n(proxy, -proxy, 1000) == 1


def test_the_initial_slope_is_that_of_the_curve() -> None:
    rng = np.random.default_rng(3)
    proxy = rng.normal(size=(200, 4000))
    gold = 0.6 * proxy + 0.8 * rng.normal(size=proxy.shape)
    assert initial_slope_by_prompt(proxy, gold).mean() == pytest.approx(1.277 * 0.6, abs=0.01)


def test_dials_out_of_range_are_refused() -> None:
    for call in (
        lambda: soft_best_of_n_weights(POOL, 0, 1),
        lambda: soft_best_of_n_weights(POOL, 2, -1),
        lambda: best_of_poisson_weights(POOL, -1),
        lambda: quantilizer_weights(POOL, 0),
        lambda: pessimistic_weights(POOL, 0),
    ):
        with pytest.raises(ValueError, match="not|need"):
            call()
