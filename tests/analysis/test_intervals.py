"""Intervals over prompts and seeds, against tests of Student and simulation."""

import numpy as np
import pytest
from scipy import stats

from overopt.analysis.bootstrap import draw_resamples
from overopt.analysis.intervals import Intervals, prompt_columns, without_seeds

NUM_PROMPTS, SEEDS = 64, (0, 1, 2)
SIZES = tuple(f"s{i}" for i in range(7))


def intervals_of(
    rng: np.random.Generator, num: int = 2000, sizes: tuple[str, ...] = ("",), seeds=SEEDS
) -> Intervals:
    return Intervals(draw_resamples(NUM_PROMPTS, seeds, num, rng, sizes), 0.95)


def test_where_only_prompts_vary_it_is_the_t_interval_of_prompts() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(0.3, 1, NUM_PROMPTS)
    intervals = intervals_of(rng, 20_000)
    found = intervals.bounds(intervals.resamples.prompt_weights @ y)
    expected = tuple(stats.ttest_1samp(y, 0).confidence_interval())
    assert tuple(map(float, found)) == pytest.approx(expected, abs=0.01)


def test_where_only_seeds_vary_it_is_the_t_interval_of_seeds() -> None:
    rng = np.random.default_rng(1)
    y = np.array([1.0, 1.2, 1.7])
    intervals = intervals_of(rng, 20_000)
    found = intervals.bounds(intervals.resamples.seed_weights(SEEDS) @ y)
    expected = tuple(stats.ttest_1samp(y, 0).confidence_interval())
    assert tuple(map(float, found)) == pytest.approx(expected, rel=0.03)


def test_of_both_it_has_the_degrees_of_freedom_of_satterthwaite() -> None:
    rng = np.random.default_rng(2)
    intervals = intervals_of(rng, 8000)
    resamples = intervals.resamples
    prompts = resamples.prompt_weights @ rng.normal(0, 1, NUM_PROMPTS)
    seeds = resamples.seed_weights(SEEDS) @ rng.normal(0, 1, 3)
    mixed = prompts / prompts[1:].std() + 0.5 * seeds / seeds[1:].std()
    spread = intervals.spread(np.stack([prompts, seeds, mixed], axis=1))
    expected = [63, 2, 1.25**2 / (1**2 / 63 + 0.25**2 / 2)]
    np.testing.assert_allclose(spread.df, expected, rtol=0.25)
    np.testing.assert_allclose(spread.standard_error[2], np.sqrt(1.25), rtol=0.03)


def test_a_mean_over_sizes_has_the_degrees_of_freedom_of_all_their_seeds() -> None:
    rng = np.random.default_rng(5)
    intervals = intervals_of(rng, 4000, SIZES)
    effects = {size: stats.zscore(rng.normal(size=3)) for size in SIZES}
    by_size = np.stack([intervals.resamples.seed_weights(SEEDS, s) @ effects[s] for s in SIZES])
    statistics = [by_size.mean(axis=0), by_size[3], by_size[0] + 3 * by_size[1]]
    found = intervals.spread(np.stack(statistics, axis=1)).df
    np.testing.assert_allclose(found, [14, 2, 2 * 10**2 / (1 + 81)], rtol=0.06)


def test_shapes_are_those_of_the_statistics_and_gaps_are_left_out() -> None:
    rng = np.random.default_rng(3)
    intervals = intervals_of(rng, 400)
    values = intervals.resamples.prompt_weights @ rng.normal(size=(NUM_PROMPTS, 6))
    low, high = intervals.bounds(values.reshape(401, 2, 3))
    assert low.shape == high.shape == (2, 3)
    expected = intervals.bounds(values)
    np.testing.assert_allclose(low.ravel(), expected[0])
    values[1:21, 0] = np.nan  # a twentieth
    values[1:61, 1] = np.nan  # more than a tenth
    values[0, 2] = np.nan
    values[:, 3] = 5.0
    low, high = intervals.bounds(values)
    assert np.isnan(low).tolist() == [False, True, True, True, False, False]
    alone, _ = intervals.bounds(values[:, 4])
    assert float(alone) == pytest.approx(low[4])
    assert low[0] == pytest.approx(expected[0][0], abs=0.05)


def test_one_seed_has_no_interval() -> None:
    values = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(without_seeds(values, 2), values)
    single = without_seeds(values, 1)
    np.testing.assert_array_equal(single[0], values[0])
    assert np.isnan(single[1:]).all()
    intervals = intervals_of(np.random.default_rng(4), 2)
    assert all(np.isnan(bound).all() for bound in intervals.bounds(single))


def test_columns_name_the_estimate_and_its_bounds() -> None:
    rng = np.random.default_rng(6)
    intervals = intervals_of(rng, 300)
    values = intervals.resamples.prompt_weights @ rng.normal(size=(NUM_PROMPTS, 2))
    columns = intervals.columns("alpha", values)
    assert list(columns) == ["alpha", "alpha_low", "alpha_high"]
    np.testing.assert_array_equal(columns["alpha"], values[0])
    of_prompts = prompt_columns("alpha", values, NUM_PROMPTS, 0.95)
    np.testing.assert_allclose(of_prompts["alpha_low"], columns["alpha_low"], rtol=0.02, atol=0.01)


@pytest.mark.parametrize(
    ("prompts", "seeds"), [(1.0, 0.0), (1.0, 0.2), (0.2, 1.0)], ids=["prompts", "both", "seeds"]
)
def test_intervals_cover_and_percentiles_do_not(prompts: float, seeds: float) -> None:
    """600 studies with three seeds: Monte Carlo error .01; percentiles fail where seeds decide."""
    rng = np.random.default_rng(7)
    intervals = intervals_of(rng, 400)
    resamples = intervals.resamples
    weights = resamples.seed_weights(SEEDS)
    hits, percentile_hits = [], []
    for _ in range(600):
        effects = rng.normal(0, prompts, (NUM_PROMPTS, 1)) + rng.normal(0, seeds, (1, 3))
        effects = effects + rng.normal(0, 0.2, (NUM_PROMPTS, 3))
        values = ((resamples.prompt_weights @ effects) * weights).sum(axis=1)
        low, high = intervals.bounds(values)
        hits.append(low <= 0 <= high)
        low, high = np.quantile(values[1:], [0.025, 0.975])
        percentile_hits.append(low <= 0 <= high)
    assert 0.925 <= np.mean(hits) <= 0.985
    if seeds > prompts:
        assert np.mean(percentile_hits) < 0.88
