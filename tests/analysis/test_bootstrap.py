"""Resampling: weights, sharing of seeds, intervals."""

import numpy as np
import pytest

from overopt.analysis.bootstrap import draw_resamples


def test_row_0_is_the_data_and_weights_sum_to_one() -> None:
    resamples = draw_resamples(10, [3, 1, 1], 50, np.random.default_rng(0))
    assert resamples.prompt_weights.shape == (51, 10)
    np.testing.assert_allclose(resamples.prompt_weights[0], 0.1)
    np.testing.assert_allclose(resamples.prompt_weights.sum(axis=1), 1)
    weights = resamples.seed_weights([1, 3])
    np.testing.assert_allclose(weights[0], 0.5)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert set(weights[1:, 0]) == {0, 1}  # one draw of two seeds


@pytest.mark.parametrize("num_seeds", [2, 3, 5])
def test_seeds_show_all_of_their_variance(num_seeds: int) -> None:
    """The bootstrap variance of a mean over k seeds is s^2 / k, with s^2 the unbiased variance."""
    rng = np.random.default_rng(0)
    resamples = draw_resamples(4, list(range(num_seeds)), 40_000, rng)
    y = rng.normal(size=num_seeds)
    means = resamples.seed_weights(range(num_seeds)) @ y
    assert means[0] == pytest.approx(y.mean())
    assert means[1:].var() == pytest.approx(y.var(ddof=1) / num_seeds, rel=0.03)
    assert means[1:].mean() == pytest.approx(y.mean(), abs=0.02)


def test_groups_share_the_draws_of_shared_seeds() -> None:
    resamples = draw_resamples(10, [0, 1, 2, 3], 4000, np.random.default_rng(0))
    all_seeds, some = resamples.seed_weights([0, 1, 2]), resamples.seed_weights([1, 2])
    np.testing.assert_array_equal(all_seeds, resamples.seed_weights([0, 1, 2]))
    np.testing.assert_allclose(all_seeds.mean(axis=0), 1 / 3, atol=0.02)
    np.testing.assert_allclose(some.mean(axis=0), 1 / 2, atol=0.03)
    assert np.corrcoef(all_seeds[1:, 1] - all_seeds[1:, 2], some[1:, 0])[0, 1] > 0.6
    np.testing.assert_allclose(resamples.seed_weights([2]), 1)


def test_same_generator_same_resamples() -> None:
    first, second = (draw_resamples(5, [0, 1], 9, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first.prompt_weights, second.prompt_weights)
    np.testing.assert_array_equal(first.seed_draws("s1"), second.seed_draws("s1"))


def test_sizes_draw_by_themselves_and_whatever_other_sizes_there_are() -> None:
    one, other = (
        draw_resamples(5, [0, 1, 2], 4000, np.random.default_rng(7), sizes)
        for sizes in (["s1", "s2"], ["s2"])
    )
    np.testing.assert_array_equal(one.seed_draws("s2"), other.seed_draws("s2"))
    weights = [one.seed_weights([0, 1, 2], size)[1:, 0] for size in ("s1", "s2")]
    assert abs(np.corrcoef(*weights)[0, 1]) < 0.05
