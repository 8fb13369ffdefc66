"""KL of best-of-n by enumeration of small discrete policies."""

import numpy as np
import pytest

from overopt.theory.kl import best_of_n_kl, default_ns, estimated_best_of_n_kl


def exact_kl(probabilities: np.ndarray, scores: np.ndarray, n: int) -> float:
    """KL of best-of-n with an even draw among ties, by its probability mass function."""
    below = np.array([probabilities[scores < s].sum() for s in scores])
    tied = np.array([probabilities[scores == s].sum() for s in scores])
    selected = ((below + tied) ** n - below**n) * probabilities / tied
    assert selected.sum() == pytest.approx(1)
    is_possible = selected > 0
    ratio = selected[is_possible] / probabilities[is_possible]
    return float(selected[is_possible] @ np.log(ratio))


@pytest.mark.parametrize("n", [1, 2, 5, 30, 1000])
@pytest.mark.parametrize("num_levels", [3, 100])
def test_formula_is_an_upper_bound(n: int, num_levels: int) -> None:
    rng = np.random.default_rng(n)
    for _ in range(20):
        probabilities = rng.dirichlet(np.ones(12))
        scores = rng.integers(0, num_levels, 12)
        assert exact_kl(probabilities, scores, n) <= best_of_n_kl(n) + 1e-12


def test_formula_is_exact_for_a_continuous_score() -> None:
    many = 200_000  # each response has probability 1 / many
    cumulative = np.arange(1, many + 1) / many
    n = 16
    selected = cumulative**n - (cumulative - 1 / many) ** n
    kl = selected @ np.log(np.maximum(selected * many, 1e-300))
    assert best_of_n_kl(n) == pytest.approx(kl, abs=1e-3)


def test_formula_by_hand() -> None:
    np.testing.assert_allclose(
        best_of_n_kl([1, 2, 1000]), [0, np.log(2) - 0.5, 5.908755], atol=1e-6
    )


@pytest.mark.parametrize(("num_outputs", "n"), [(10, 64), (100, 1000), (10_000, 100)])
def test_estimate_accounts_for_repeated_responses(num_outputs: int, n: int) -> None:
    uniform = np.full(num_outputs, 1 / num_outputs)
    exact = exact_kl(uniform, np.arange(num_outputs), n)
    assert estimated_best_of_n_kl(n, -np.log(num_outputs)) == pytest.approx(exact, abs=2e-3)
    assert exact <= np.log(num_outputs)


def test_estimate_at_its_limits() -> None:
    assert estimated_best_of_n_kl(100, -1000.0) == pytest.approx(best_of_n_kl(100))
    assert estimated_best_of_n_kl(100, 0.0) == pytest.approx(0)
    with pytest.raises(ValueError, match="above 0"):
        estimated_best_of_n_kl(4, 0.1)


def test_ladder_of_ns() -> None:
    ladder = default_ns(1000)
    assert ladder[:7] == [1, 2, 3, 4, 6, 8, 12] and ladder[-2:] == [768, 1000]
    assert len(ladder) == 20
    assert default_ns(1) == [1]
    assert default_ns(100) == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 100]


def test_deep_ladder_contains_the_shallow_one() -> None:
    deep = default_ns(60_000)
    assert deep[:20] == default_ns(1000)
    assert deep[20:24] == [1500, 2000, 3000, 4000] and deep[-1] == 60_000
    with pytest.raises(ValueError, match="max_n is 0"):
        default_ns(0)
