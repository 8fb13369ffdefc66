"""Forms, fits and bins against numpy and by hand."""

import numpy as np
import pandas as pd
import pytest

from overopt.theory.scaling_laws import (
    best_of_n_form,
    best_of_n_peak,
    bin_means,
    bin_numbers,
    fit,
    fit_shared_alpha,
    rl_form,
    rl_peak,
    size_sweep,
)

D = np.linspace(0.1, 6, 25)


@pytest.mark.parametrize(("form", "function"), [("best_of_n", best_of_n_form), ("rl", rl_form)])
def test_fit_recovers_known_coefficients(form, function) -> None:
    result = fit(form, np.append(0, D), function(np.append(0, D), 0.7, 0.21))
    np.testing.assert_allclose([result.alpha, result.beta, result.r2], [0.7, 0.21, 1], rtol=1e-10)


@pytest.mark.parametrize(
    ("form", "basis"), [("best_of_n", lambda d: d), ("rl", np.log), ("log1p", np.log1p)]
)
def test_fit_equals_lstsq(form, basis) -> None:
    y = np.random.default_rng(0).normal(size=25)
    expected, residual, *_ = np.linalg.lstsq(np.stack([D, -D * basis(D)], axis=1), y)
    result = fit(form, D, y)
    np.testing.assert_allclose([result.alpha, result.beta], expected, rtol=1e-9)
    assert result.r2 == pytest.approx(1 - residual[0] / ((y - y.mean()) ** 2).sum())


def test_fits_of_many_rows_at_once() -> None:
    y = np.random.default_rng(0).normal(size=(3, 4, 25))
    many = fit("rl", np.broadcast_to(D, y.shape), y)
    assert many.alpha.shape == (3, 4)
    assert many.beta[2, 1] == pytest.approx(fit("rl", D, y[2, 1]).beta)


def test_too_few_points_give_nan() -> None:
    assert np.isnan(fit("rl", [0, 1.5], [0, 1]).alpha)
    assert np.isnan(fit("rl", [1.5, 1.5], [1, 2]).beta)


def test_r2_is_about_the_mean() -> None:
    assert fit("best_of_n", D, np.full(25, 3.0) + 1e-3 * np.sin(9 * D)).r2 < 0


def test_shared_alpha_equals_stacked_lstsq() -> None:
    rng = np.random.default_rng(0)
    d = [np.sort(rng.uniform(0.1, 6, size)) for size in (10, 20, 15)]
    y = [
        rl_form(x, 0.5, beta) + rng.normal(0, 0.1, len(x))
        for x, beta in zip(d, (0.4, 0.3, 0.1), strict=True)
    ]
    design = np.zeros((45, 4))
    design[:, 0] = np.concatenate(d)
    for group, rows in enumerate(np.split(np.arange(45), [10, 30])):
        design[rows, 1 + group] = -d[group] * np.log(d[group])
    expected, *_ = np.linalg.lstsq(design, np.concatenate(y))
    result = fit_shared_alpha("rl", d, y)
    np.testing.assert_allclose(np.append(result.alpha, result.beta), expected, rtol=1e-9)
    residual = y[1] - rl_form(d[1], expected[0], expected[2])
    r2 = 1 - (residual**2).sum() / ((y[1] - y[1].mean()) ** 2).sum()
    assert result.r2[1] == pytest.approx(r2)


@pytest.mark.parametrize(
    ("function", "peak"), [(best_of_n_form, best_of_n_peak), (rl_form, rl_peak)]
)
def test_peaks_are_maxima(function, peak) -> None:
    d = np.linspace(0, 20, 200_001)
    y = function(d, 0.9, 0.3)
    location, height = peak(0.9, 0.3)
    assert location == pytest.approx(d[y.argmax()], abs=1e-4)
    assert height == pytest.approx(y.max())
    assert np.isnan(peak(0.9, [-0.1, 0.0])).all()


def test_rl_form_starts_at_zero() -> None:
    assert rl_form(0, 0.5, 0.2) == 0


def test_bins_by_hand() -> None:
    d = np.array([[0.0, 0.05, 0.2, 0.21, 0.9]])
    bins = bin_numbers(d, 0.2)
    np.testing.assert_array_equal(bins, [[0, 1, 1, 2, 5]])
    means = bin_means(bins, np.array([[0.0, 1.0, 3.0, 5.0, 7.0]]), 1, 7)
    np.testing.assert_allclose(means, [[0, 2, 5, np.nan, np.nan, 7, np.nan]])
    without = bin_means(bins, np.array([[0.0, 1.0, 3.0, 5.0, 7.0]]), [[0, 0, 1, 1, 0]], 7)
    np.testing.assert_allclose(without, [[np.nan, 3, 5] + [np.nan] * 4])


def test_bins_of_rows_do_not_mix() -> None:
    bins = np.array([[0, 1], [1, 1]])
    means = bin_means(bins, np.array([[1.0, 2.0], [3.0, 5.0]]), 1, 2)
    np.testing.assert_allclose(means, [[1, 2], [np.nan, 4]])


def test_size_sweep_is_the_unpenalized_main_policy_at_most_data() -> None:
    columns = ["method", "policy_size", "proxy_size", "labels", "kl_coef"]
    columns += ["num_comparisons", "num_epochs", "is_in"]
    rows = [
        ("best_of_n", "small", "s1", "deterministic", 0.0, 100, 1, True),
        ("best_of_n", "small", "s1", "deterministic", 0.0, 100, 4, False),
        ("best_of_n", "small", "s1", "deterministic", 0.0, 10, 1, False),
        ("best_of_n", "small", "s1", "sampled", 0.0, 100, 1, False),
        ("best_of_n", "small", "x1", "deterministic", 0.0, 100, 1, False),
        ("best_of_n", "large", "s1", "deterministic", 0.0, 100, 1, False),
        ("ppo", "small", "s1", "deterministic", 0.0, 50, 1, True),
        ("ppo", "small", "s1", "deterministic", 0.1, 50, 1, False),
    ]
    table = pd.DataFrame(rows, columns=columns)
    expected = table.index[table["is_in"]].tolist()
    assert size_sweep(table, "small", ["x1"]).index.tolist() == expected
