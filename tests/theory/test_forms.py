"""Every form against known truth, brute force and numerical search; new forms."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from overopt.errors import UserError
from overopt.theory.form_fits import Form, FormFit, fit, fit_form, form_peak
from overopt.theory.forms import FORMS, POWER, RL, fault_of, register_form

D = np.linspace(0.1, 6.0, 30)[None]
TRUTH: dict[str, np.ndarray] = {
    "linear": 0.4 * D,
    "best_of_n": D * (0.5 - 0.06 * D),
    "rl": D * (0.5 - 0.2 * np.log(D)),
    "log1p": D * (0.6 - 0.25 * np.log1p(D)),
    "power": D * (0.7 - 0.2 * D**0.6),
}
COEFFICIENTS = {
    "linear": (0.4, np.nan),
    "best_of_n": (0.5, 0.06),
    "rl": (0.5, 0.2),
    "log1p": (0.6, 0.25),
    "power": (0.7, 0.2),
}


def _fitted(form: str, scores: np.ndarray) -> FormFit:
    return fit_form(FORMS[form], np.broadcast_to(D, scores.shape), scores, 1.0)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_recovers_its_own_coefficients(form: str):
    found = _fitted(form, TRUTH[form])
    tolerance = 2e-3 if form == "power" else 1e-9  # gamma is searched, the rest is exact
    np.testing.assert_allclose(found.alpha[0], COEFFICIENTS[form][0], rtol=tolerance)
    np.testing.assert_allclose(found.beta[0], COEFFICIENTS[form][1], rtol=tolerance)
    np.testing.assert_allclose(found.predict(D), TRUTH[form], atol=2e-4)
    assert found.predict(np.zeros((1, 1)))[0, 0] == 0


@pytest.mark.parametrize("form", ["best_of_n", "rl", "log1p"])
def test_fits_agree_with_those_of_two_parameters(form: str):
    rng = np.random.default_rng(0)
    scores = TRUTH["power"] + rng.normal(0, 0.05, (7, D.shape[1]))
    mine = _fitted(form, scores)
    theirs = fit(FORMS[form], np.broadcast_to(D, scores.shape), scores)
    np.testing.assert_allclose(mine.alpha, theirs.alpha)
    np.testing.assert_allclose(mine.beta, theirs.beta)


def test_power_form_contains_both_laws():
    assert _fitted("power", TRUTH["best_of_n"]).gamma[0] == pytest.approx(1, abs=5e-3)
    limit = _fitted("power", TRUTH["rl"])
    assert limit.gamma[0] == pytest.approx(0, abs=5e-3)
    assert limit.log_alpha[0] == pytest.approx(0.5, abs=2e-3)
    assert limit.log_beta[0] == pytest.approx(0.2, abs=2e-3)


def test_gamma_is_the_best_of_a_fine_search():
    rng = np.random.default_rng(1)
    scores = TRUTH["rl"] + rng.normal(0, 0.05, (5, D.shape[1]))
    # distances that differ between replicates take the general path
    d = D * np.linspace(0.9, 1.1, 5)[:, None]
    found = fit_form(POWER, d, scores, 1.0)
    for row in range(5):

        def squares(gamma: float, row: int = row) -> float:
            columns = np.stack([d[row], d[row] ** (1 + gamma)], axis=1)
            return float(np.linalg.lstsq(columns, scores[row])[1][0])

        fine = np.append(np.arange(-0.8975, 4, 0.005), found.gamma[row])
        assert squares(found.gamma[row]) <= min(squares(g) for g in fine) * 1.001


@pytest.mark.parametrize("form", list(FORMS)[1:])
def test_peaks_are_where_a_search_finds_them(form: str):
    found = _fitted(form, TRUTH[form])
    place, height = form_peak(found)
    search = minimize_scalar(
        lambda d: -float(found.predict(np.array([[d]]))[0, 0]), bounds=(0.01, 40), method="bounded"
    )
    assert place[0] == pytest.approx(search.x, rel=1e-3)
    assert height[0] == pytest.approx(-search.fun, rel=1e-5)


def test_a_rising_curve_has_no_peak():
    rising = D * (0.3 + 0.05 * D)
    for form in ("linear", "best_of_n", "log1p", "power"):
        place, height = form_peak(_fitted(form, rising))
        assert np.isnan([place[0], height[0]]).all(), form


def test_power_peak_is_smooth_through_gamma_zero():
    places = [
        form_peak(FormFit(POWER, np.array([0.5]), np.array([0.2]), np.array([gamma])))[0][0]
        for gamma in (-1e-4, 0.0, 1e-4)
    ]
    np.testing.assert_allclose(places, np.exp(0.5 / 0.2 - 1), rtol=1e-3)


def test_points_without_weight_do_not_count():
    scores = TRUTH["rl"].copy()
    d, weights = D.copy(), np.ones_like(D)
    d[0, 3], scores[0, 4], weights[0, 3:5] = np.nan, np.nan, 0
    for form in FORMS.values():
        assert np.isfinite(fit_form(form, d, scores, weights).first).all()
    found = fit_form(RL, d, scores, weights)
    assert found.beta[0] == pytest.approx(0.2)
    weights[0, 2:] = 0
    assert np.isnan(fit_form(POWER, d, scores, weights).gamma[0])  # two points, three unknowns


def _root_form(name: str = "root", **changes: object) -> Form:
    """d (alpha - beta sqrt(d)), with its peak at (2 alpha / 3 beta)^2."""
    fields = {
        "text": "d (alpha - beta sqrt(d))",
        "bend": lambda d, gamma: d**1.5,
        "peak": lambda fit: (2 * fit.alpha / (3 * fit.beta)) ** 2,
    }
    return Form(name, **(fields | changes))


@pytest.fixture
def restored_forms():
    """Take forms that a test registers out of FORMS again."""
    before = dict(FORMS)
    yield
    FORMS.clear()
    FORMS.update(before)


@pytest.mark.usefixtures("restored_forms")
def test_a_new_form_is_fitted_like_the_others():
    register_form(_root_form())
    found = _fitted("root", D * (0.6 - 0.2 * np.sqrt(D)))
    np.testing.assert_allclose([found.alpha[0], found.beta[0]], [0.6, 0.2])
    np.testing.assert_allclose([found.log_alpha[0], found.log_beta[0]], [0.6, 0.2])
    assert form_peak(found)[0][0] == pytest.approx(4)
    assert FORMS["root"].short_text == "d (a - b sqrt(d))"


@pytest.mark.usefixtures("restored_forms")
@pytest.mark.parametrize(
    ("form", "message"),
    [
        (_root_form("rl"), "'rl' is there already"),
        (_root_form("last_value"), "'last_value' is there already"),
        (_root_form(num_parameters=4), "4 parameters"),
        (_root_form(num_parameters=3), "brings `search`"),
        (_root_form(bend=lambda d: d**1.5), "fails: TypeError"),
        (_root_form(bend=lambda d, gamma: d + 1), "0 at d = 0"),
        (_root_form(bend=lambda d, gamma: 2 * d), "multiple of d"),
        (_root_form(num_parameters=1), "multiple of d"),
        (_root_form(peak=lambda fit: 3.0), "one place for each replicate"),
    ],
)
def test_a_form_that_cannot_work_is_refused(form: Form, message: str):
    with pytest.raises(UserError, match=message):
        register_form(form)
    assert FORMS.get(form.name) is not form


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_forms_of_the_package_have_no_fault(form: Form):
    assert fault_of(form) == ""
