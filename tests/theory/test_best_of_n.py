"""Best-of-n against the average over all subsets of the pool."""

from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest

from overopt.theory.best_of_n import PROMPTS_AT_ONCE, best_of_n_scores, best_of_n_weights

NS = [1, 2, 3, 5, 8]


def brute_force(proxy: np.ndarray, gold: np.ndarray, n: int) -> float:
    """Mean over all subsets of size n of the gold score of the best; ties by an even draw."""
    best = []
    for subset in combinations(range(len(proxy)), n):
        chosen = [i for i in subset if proxy[i] == proxy[list(subset)].max()]
        best.append(gold[chosen].mean())
    return float(np.mean(best))


def scores_of(proxy: np.ndarray, gold: np.ndarray, ns: list[int]) -> np.ndarray:
    return best_of_n_scores(proxy, {"gold": gold}, ns)["gold"]


@pytest.mark.parametrize("num_levels", [1, 2, 3, 4, 1000])
def test_equals_mean_over_all_subsets(num_levels: int) -> None:
    rng = np.random.default_rng(num_levels)
    proxy = rng.integers(0, num_levels, (3, 8)).astype(float)  # few levels: many ties
    gold = rng.normal(size=(3, 8))
    result = best_of_n_scores(proxy, {"gold": gold, "proxy": proxy}, NS)
    for prompt in range(3):
        for column, n in enumerate(NS):
            expected = brute_force(proxy[prompt], gold[prompt], n)
            assert result["gold"][prompt, column] == pytest.approx(expected, abs=1e-12)
            best = brute_force(proxy[prompt], proxy[prompt], n)
            assert result["proxy"][prompt, column] == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("has_ties", [False, True])
def test_ignores_the_order_of_the_pool(has_ties: bool) -> None:
    rng = np.random.default_rng(0)
    proxy, gold = rng.normal(size=(2, 4, 50))
    proxy = proxy.round(1) if has_ties else proxy
    order = rng.permutation(50)
    shuffled = scores_of(proxy[:, order], gold[:, order], [1, 4, 50])
    np.testing.assert_allclose(shuffled, scores_of(proxy, gold, [1, 4, 50]), rtol=1e-12)


def test_ignores_affine_rescaling_of_the_proxy() -> None:
    proxy, gold = np.random.default_rng(0).normal(size=(2, 4, 50))
    rescaled = scores_of(2 * proxy - 7, gold, NS)  # a power of 2 keeps every order exactly
    np.testing.assert_array_equal(rescaled, scores_of(proxy, gold, NS))


def test_constant_proxy_gives_the_mean() -> None:
    gold = np.random.default_rng(0).normal(size=(3, 20))
    result = scores_of(np.ones((3, 20)), gold, [1, 7, 20])
    np.testing.assert_allclose(result, np.repeat(gold.mean(axis=1)[:, None], 3, axis=1))


def test_ends_are_the_mean_and_the_best() -> None:
    proxy, gold = np.random.default_rng(0).normal(size=(2, 3, 30))
    result = scores_of(proxy, gold, [1, 30])
    np.testing.assert_allclose(result[:, 0], gold.mean(axis=1))
    np.testing.assert_allclose(result[:, 1], gold[np.arange(3), proxy.argmax(axis=1)])


def test_is_unbiased_for_independent_draws() -> None:
    rng = np.random.default_rng(0)
    proxy, gold = rng.normal(size=(2, 20_000, 8))
    gold += proxy
    estimate = scores_of(proxy, gold, [4]).mean()
    fresh = rng.normal(size=(200_000, 4)).max(axis=1).mean()  # gold given proxy has its mean
    assert estimate == pytest.approx(fresh, abs=0.02)


def test_weights_are_probabilities_also_for_a_large_pool() -> None:
    weights = best_of_n_weights(12_600, [1, 1000, 12_500, 12_600])
    assert np.isfinite(weights).all() and (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(weights[-1], np.array([1, 1000, 12_500, 12_600]) / 12_600)


@pytest.mark.parametrize("has_ties", [False, True])
def test_leaving_low_ranks_out_is_not_seen(has_ties: bool) -> None:
    """At every n of a pool, against the formula in exact integers."""
    rng, number = np.random.default_rng(0), 400
    proxy, gold = rng.normal(size=(2, number))
    proxy = proxy.round(1) if has_ties else proxy
    result = scores_of(proxy[None], gold[None], list(range(1, number + 1)))[0]
    # Ties share their weight, so their scores can share their mean.
    shared = {p: sum(map(Fraction, gold[proxy == p])) / int((proxy == p).sum()) for p in proxy}
    ranked = [shared[p] for p in np.sort(proxy)]
    for n in range(1, number + 1):
        exact = sum(comb(i, n - 1) * score for i, score in enumerate(ranked)) / comb(number, n)
        assert result[n - 1] == pytest.approx(float(exact), abs=1e-14)


def test_weights_of_a_large_pool_are_exact() -> None:
    number, ns = 12_600, [1, 2, 300, 12_000]
    weights = best_of_n_weights(number, ns)
    for column, n in enumerate(ns):
        for i in (12_600, 12_599, 12_500, 9_000, 301):
            exact = float(Fraction(comb(i - 1, n - 1), comb(number, n)))
            assert weights[i - 1, column] == pytest.approx(exact, rel=1e-12, abs=1e-300)


def test_prompts_and_ns_do_not_depend_on_each_other() -> None:
    rng, ns = np.random.default_rng(0), [1000, 1, 40, 999, 1, 5]
    proxy, gold = rng.normal(size=(2, PROMPTS_AT_ONCE + 3, 1000))
    together = best_of_n_scores(proxy, {"gold": gold, "proxy": proxy}, ns)
    for prompt in (0, PROMPTS_AT_ONCE - 1, PROMPTS_AT_ONCE, PROMPTS_AT_ONCE + 2):
        for column, n in enumerate(ns):
            row = slice(prompt, prompt + 1)
            alone = best_of_n_scores(proxy[row], {"gold": gold[row], "proxy": proxy[row]}, [n])
            for name, values in alone.items():
                assert together[name][prompt, column] == pytest.approx(values.item(), abs=1e-14)


def test_keeps_no_trace_of_single_precision() -> None:
    rng = np.random.default_rng(0)
    proxy = rng.normal(size=(2, 40)).astype(np.float32)
    gold = rng.normal(size=(2, 40)).astype(np.float32)
    result = scores_of(proxy, gold, NS)
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, scores_of(proxy.astype(float), gold.astype(float), NS))


def test_refuses_what_it_cannot_estimate() -> None:
    proxy = np.zeros((2, 10))
    with pytest.raises(ValueError, match="n = 11 cannot be estimated from a pool of 10"):
        scores_of(proxy, proxy, [1, 11])
    with pytest.raises(ValueError, match="n = 0"):
        scores_of(proxy, proxy, [0])
    with pytest.raises(ValueError, match=r"scores\['gold'\] has shape"):
        scores_of(proxy, np.zeros((2, 9)), [1])
    with pytest.raises(ValueError, match="NaN"):
        scores_of(np.full((2, 10), np.nan), proxy, [1])
