"""Least squares of forms against numpy."""

import numpy as np
import pytest

from overopt.theory.form_fits import Form, fit, moments, solve_shared_alpha
from overopt.theory.forms import BEST_OF_N, LINEAR, LOG1P, POWER, RL

D = np.linspace(0.1, 6, 25)


@pytest.mark.parametrize("form", [BEST_OF_N, RL])
def test_fit_recovers_known_coefficients(form: Form) -> None:
    result = fit(form, np.append(0, D), form.score(np.append(0, D), 0.7, 0.21))
    np.testing.assert_allclose([result.alpha, result.beta, result.r2], [0.7, 0.21, 1], rtol=1e-10)


@pytest.mark.parametrize(
    ("form", "basis"), [(BEST_OF_N, lambda d: d), (RL, np.log), (LOG1P, np.log1p)]
)
def test_fit_equals_lstsq(form, basis) -> None:
    y = np.random.default_rng(0).normal(size=25)
    expected, residual, *_ = np.linalg.lstsq(np.stack([D, -D * basis(D)], axis=1), y)
    result = fit(form, D, y)
    np.testing.assert_allclose([result.alpha, result.beta], expected, rtol=1e-9)
    assert result.r2 == pytest.approx(1 - residual[0] / ((y - y.mean()) ** 2).sum())


def test_fits_of_many_rows_at_once() -> None:
    y = np.random.default_rng(0).normal(size=(3, 4, 25))
    many = fit(RL, np.broadcast_to(D, y.shape), y)
    assert many.alpha.shape == (3, 4)
    assert many.beta[2, 1] == pytest.approx(fit(RL, D, y[2, 1]).beta)


def test_too_few_points_give_nan() -> None:
    assert np.isnan(fit(RL, [0, 1.5], [0, 1]).alpha)
    assert np.isnan(fit(RL, [1.5, 1.5], [1, 2]).beta)


def test_r2_is_about_the_mean() -> None:
    assert fit(BEST_OF_N, D, np.full(25, 3.0) + 1e-3 * np.sin(9 * D)).r2 < 0


def test_shared_alpha_equals_stacked_lstsq() -> None:
    rng = np.random.default_rng(0)
    d = [np.sort(rng.uniform(0.1, 6, size)) for size in (10, 20, 15)]
    y = [
        RL.score(x, 0.5, beta) + rng.normal(0, 0.1, len(x))
        for x, beta in zip(d, (0.4, 0.3, 0.1), strict=True)
    ]
    design = np.zeros((45, 4))
    design[:, 0] = np.concatenate(d)
    for group, rows in enumerate(np.split(np.arange(45), [10, 30])):
        design[rows, 1 + group] = -d[group] * np.log(d[group])
    expected, *_ = np.linalg.lstsq(design, np.concatenate(y))
    groups = [moments(RL, x, scores, 1) for x, scores in zip(d, y, strict=True)]
    result = solve_shared_alpha(np.stack(groups))
    np.testing.assert_allclose(np.append(result.alpha, result.beta), expected, rtol=1e-9)
    residual = y[1] - RL.score(d[1], expected[0], expected[2])
    r2 = 1 - (residual**2).sum() / ((y[1] - y[1].mean()) ** 2).sum()
    assert result.r2[1] == pytest.approx(r2)


def test_rl_form_starts_at_zero() -> None:
    assert RL.score(0, 0.5, 0.2) == 0


@pytest.mark.parametrize("form", [LINEAR, POWER])
def test_only_forms_with_two_parameters_are_fitted_so(form: Form) -> None:
    with pytest.raises(ValueError, match="expected 2"):
        fit(form, D, D)
