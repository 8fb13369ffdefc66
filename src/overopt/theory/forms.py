"""
Functional forms of gold score against KL, their fits and peaks (Gao et al. 2022, section 3.1).

With d = sqrt(KL), KL in nats per sequence, every form is `alpha d - beta bend(d)`. It has no
intercept, as R(0) = 0:

    linear      d alpha
    best_of_n   d (alpha - beta d)             the paper's form of best-of-n
    rl          d (alpha - beta log d)         the paper's form of RL
    log1p       d (alpha - beta log(1 + d))    appendix B
    power       d (alpha - beta d^gamma)       appendix B

`FORMS` holds them by name. A form is linear in alpha and beta, so least squares is exact and needs
no starting point. The power form is fitted with the bend d (d^gamma - 1) / gamma, which is smooth
through gamma = 0: there it is the rl form with the coefficients alpha - beta and beta gamma, and
at gamma = 1 the best_of_n form. For a given gamma the fit is exact again, and gamma is searched on
a grid.

To add a form, add it to `FORMS`, or call `register_form` in a plugin.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import lambertw, xlogy

from overopt.errors import UserError
from overopt.theory.form_fits import Form, FormFit, solve, sums_over_points

Array = npt.NDArray[np.float64]

# Below 0 as well: a boundary at 0 would make an interval that excludes 0 impossible to miss.
GAMMA_GRID: Array = np.concatenate([np.arange(-0.9, 1.5, 0.05), np.arange(1.5, 4.01, 0.125)])
SMALL_GAMMA = 1e-6
# Predictors that know no form (overopt.analysis.held_out), in words. No form may have their names.
FORMLESS = {"last_value": "the last fitted value", "straight_line": "a straight line"}


# Linear.


def _no_bend(d: Array, gamma: Array) -> Array:
    del gamma
    return np.zeros_like(d)


def _without_beta(first: Array, second: Array, gamma: Array) -> tuple[Array, Array]:
    del gamma
    return first, np.full_like(second, np.nan)


def _no_peak(fit: FormFit) -> Array:
    return np.full_like(fit.first, np.nan)


# Best-of-n, RL and log1p.


def _best_of_n_peak(fit: FormFit) -> Array:
    has_peak = (fit.first > 0) & (fit.second > 0)
    return np.where(has_peak, fit.first / (2 * np.where(has_peak, fit.second, 1)), np.nan)


def _rl_peak(fit: FormFit) -> Array:
    ratio = fit.first / np.where(fit.second > 0, fit.second, np.nan)
    return np.exp(ratio - 1)


def _log1p_peak(fit: FormFit) -> Array:
    has_peak = (fit.first > 0) & (fit.second > 0)  # slope alpha at 0
    exponent = np.where(has_peak, 1 - fit.first / np.where(has_peak, fit.second, 1), 0.0)
    return np.where(has_peak, 1 / lambertw(np.exp(exponent)).real - 1, np.nan)


# Power.


def _log(d: Array) -> Array:
    return np.log(np.where(d > 0, d, 1.0))


def _power_bend(d: Array, gamma: Array) -> Array:
    return _bend_of_log(d, _log(d), gamma)


def _bend_of_log(d: Array, log_d: Array, gamma: Array) -> Array:
    """Bend d (d^gamma - 1) / gamma, of which d log d is the limit at gamma = 0."""
    is_small = np.abs(gamma) < SMALL_GAMMA
    bend = np.expm1(gamma * log_d) / np.where(is_small, 1.0, gamma)
    return d * np.where(is_small, log_d, bend)


def _power_as_written(first: Array, second: Array, gamma: Array) -> tuple[Array, Array]:
    beta = second / np.where(np.abs(gamma) > SMALL_GAMMA, gamma, np.nan)
    return first + beta, beta


def _power_peak(fit: FormFit) -> Array:
    """The slope is log_alpha + log_beta / gamma - log_beta (1 + gamma) / gamma d^gamma."""
    log_d = np.log(fit.alpha / (fit.beta * (1 + fit.gamma))) / fit.gamma
    limit = fit.first / fit.second - 1  # gamma = 0, the rl form
    log_d = np.where(np.abs(fit.gamma) > SMALL_GAMMA, log_d, limit)
    # the curvature at d is -log_beta (1 + gamma) d^(gamma - 1), so log_beta > 0 makes it a maximum
    return np.where((fit.second > 0) & np.isfinite(log_d), np.exp(log_d), np.nan)


def _best_gamma(d: Array, y: Array, w: Array) -> Array:
    """Gamma with the smallest squared error: on a grid, then at the vertex of a parabola."""
    if np.ptp(d, axis=0).max() == 0 and np.ptp(w, axis=0).max() == 0:
        d, w = d[:1], w[:1]  # the same points in every replicate, as with best-of-n
    log_d = _log(d)
    bends = (_bend_of_log(d, log_d, gamma) for gamma in GAMMA_GRID)
    r2 = solve(sums_over_points(d, bends, y, w)).r2
    best = np.argmax(np.where(np.isnan(r2), -np.inf, r2), axis=0)
    middle = np.clip(best, 1, len(GAMMA_GRID) - 2)
    x0, x1, x2 = (GAMMA_GRID[middle + step] for step in (-1, 0, 1))
    y0, y1, y2 = (np.take_along_axis(r2, middle[None] + step, 0)[0] for step in (-1, 0, 1))
    numerator = (x1 - x0) ** 2 * (y1 - y2) - (x1 - x2) ** 2 * (y1 - y0)
    denominator = (x1 - x0) * (y1 - y2) - (x1 - x2) * (y1 - y0)
    vertex = x1 - numerator / (2 * np.where(denominator > 0, denominator, np.inf))
    is_inside = (best == middle) & (denominator > 0)
    return np.where(is_inside, np.clip(vertex, x0, x2), GAMMA_GRID[best])


LINEAR = Form("linear", "d alpha", _no_bend, _no_peak, 1, as_written=_without_beta)
BEST_OF_N = Form(
    "best_of_n",
    "d (alpha - beta d)",
    lambda d, gamma: d * d,
    _best_of_n_peak,
    gamma=1.0,
    in_logs=lambda first, second, gamma: (first - second, second),
)
RL = Form("rl", "d (alpha - beta log d)", lambda d, gamma: xlogy(d, d), _rl_peak, gamma=0.0)
LOG1P = Form("log1p", "d (alpha - beta log(1 + d))", lambda d, gamma: d * np.log1p(d), _log1p_peak)
POWER = Form(
    "power",
    "d (alpha - beta d^gamma)",
    _power_bend,
    _power_peak,
    3,
    _best_gamma,
    as_written=_power_as_written,
)
FORMS: dict[str, Form] = {form.name: form for form in (LINEAR, BEST_OF_N, RL, LOG1P, POWER)}


def register_form(form: Form) -> None:
    """Add a form to `FORMS`, so that every table and claim compares it with the others.

    Raises UserError if the name is taken, or if the form breaks what `Form` asks for.
    """
    if form.name in FORMS or form.name in FORMLESS:
        taken = ", ".join([*FORMS, *FORMLESS])
        raise UserError(f"form {form.name!r} is there already (of {taken}); choose another name")
    fault = fault_of(form)
    if fault:
        raise UserError(f"form {form.name!r} cannot be used: {fault}")
    FORMS[form.name] = form


def fault_of(form: Form) -> str:
    """What `form` does that no form may, in words; empty if nothing."""
    if form.num_parameters not in (1, 2, 3):
        return f"it has {form.num_parameters} parameters; expected 1, 2, or 3 with a gamma"
    if (form.search is not None) != (form.num_parameters == 3):
        return "a form with 3 parameters brings `search` for gamma, any other does not"
    d, gamma = np.linspace(0, 6, 13)[None], np.full((1, 1), 0.5 if form.search else form.gamma)
    try:
        bend = form.bend(d, gamma)
        place = form.peak(FormFit(form, np.array([0.5]), np.array([0.2]), gamma[0]))
    except Exception as error:
        return f"its bend or its peak fails: {type(error).__name__}: {error}"
    if np.shape(bend) != d.shape or not np.isfinite(bend).all() or bend[0, 0] != 0:
        return "bend(d, gamma) must be finite, of the shape of d, and 0 at d = 0"
    is_straight = np.linalg.matrix_rank(np.concatenate([d, bend])) < 2
    if is_straight != (form.num_parameters == 1):
        return "bend(d, gamma) must not be a multiple of d; of a form with 1 parameter it is 0"
    if np.shape(place) != (1,):
        return f"peak(fit) has the shape {np.shape(place)}; expected one place for each replicate"
    return ""
