"""
Rivals of the paper's laws, their fits and their peaks (Gao et al. 2022, section 3.1, appendix B).

With d = sqrt(KL), KL in nats per sequence, and no intercept, as R(0) = 0:

    linear      d alpha
    best_of_n   d (alpha - beta d)
    rl          d (alpha - beta log d)
    log1p       d (alpha - beta log(1 + d))
    power       d (alpha - beta d^gamma)

All but the power form are linear in alpha and beta, so least squares is exact. The power form is
fitted in the basis d and d (d^gamma - 1) / gamma, which is smooth through gamma = 0: there it is
the rl form with the coefficients alpha - beta and beta gamma, and at gamma = 1 the best_of_n form.
For a given gamma the fit is exact again, and gamma is searched on a grid.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import lambertw, xlogy

from overopt.theory.scaling_laws import best_of_n_peak, rl_peak, solve

RivalForm = Literal["linear", "best_of_n", "rl", "log1p", "power"]
Array = npt.NDArray[np.float64]

FORMS: tuple[RivalForm, ...] = ("linear", "best_of_n", "rl", "log1p", "power")
NUM_PARAMETERS: dict[RivalForm, int] = {
    "linear": 1,
    "best_of_n": 2,
    "rl": 2,
    "log1p": 2,
    "power": 3,
}
# Below 0 as well: a boundary at 0 would make an interval that excludes 0 impossible to miss.
GAMMA_GRID: Array = np.concatenate([np.arange(-0.9, 1.5, 0.05), np.arange(1.5, 4.01, 0.125)])
SMALL_GAMMA = 1e-6
MAX_SQRT_KL = 1000.0  # a million nats: a peak beyond is none


class FormFit(NamedTuple):
    """Fit of one form in R versions, each of shape (R,).

    `log_alpha` and `log_beta` are coefficients in the basis that is smooth through gamma = 0:
    `d (log_alpha - log_beta (d^gamma - 1) / gamma)`. For the power form they are alpha - beta and
    beta gamma, the rl form's coefficients in the limit of small gamma.
    """

    form: RivalForm
    log_alpha: Array
    log_beta: Array
    gamma: Array

    @property
    def alpha(self) -> Array:
        """Coefficient alpha of the form as it is written in the module's docstring."""
        if self.form in ("linear", "rl", "log1p"):
            return self.log_alpha
        return self.log_alpha + self.beta

    @property
    def beta(self) -> Array:
        """Coefficient beta; NaN for the linear form, and for the power form at gamma = 0."""
        if self.form == "linear":
            return np.full_like(self.log_beta, np.nan)
        if self.form in ("rl", "log1p"):
            return self.log_beta
        return self.log_beta / np.where(np.abs(self.gamma) > SMALL_GAMMA, self.gamma, np.nan)

    def predict(self, d: Array) -> Array:
        """Score at d = sqrt(KL), shape (R, K); d broadcasts against (R, K) and is at least 0."""
        bend = bend_term(self.form, d, self.gamma[:, None])
        return d * self.log_alpha[:, None] - self.log_beta[:, None] * bend


def bend_term(form: RivalForm, d: npt.ArrayLike, gamma: npt.ArrayLike = 0.0) -> Array:
    """Second column of a form's basis: d (d^gamma - 1) / gamma, d log(1 + d), or 0; 0 at d = 0.

    gamma is 1 for best_of_n and 0, the limit d log d, for rl whatever is given.
    """
    d = np.asarray(d, dtype=np.float64)
    if form == "linear":
        return np.zeros_like(d)
    if form == "log1p":
        return d * np.log1p(d)
    if form == "best_of_n":
        return d * (d - 1)
    if form == "rl":
        return xlogy(d, d)
    return _power_bend(d, _log(d), np.asarray(gamma, dtype=np.float64))


def _log(d: Array) -> Array:
    return np.log(np.where(d > 0, d, 1.0))


def _power_bend(d: Array, log_d: Array, gamma: Array) -> Array:
    is_small = np.abs(gamma) < SMALL_GAMMA
    bend = np.expm1(gamma * log_d) / np.where(is_small, 1.0, gamma)
    return d * np.where(is_small, log_d, bend)


def fit_form(form: RivalForm, d: Array, scores: Array, weights: npt.ArrayLike) -> FormFit:
    """Least squares of `scores` on a form, in every version (Gao et al. 2022, appendix B).

    Parameters
    ----------
    form
        One of FORMS.
    d, scores
        sqrt(KL) and the score above that of the initial policy, both of shape (R, K).
    weights
        Broadcasts to (R, K); 0 leaves a point out, and there d and the score may be NaN.

    Returns
    -------
    Coefficients of shape (R,); NaN where there are fewer distinct points than parameters.

    """
    w = np.broadcast_to(np.asarray(weights, dtype=np.float64), scores.shape)
    d, y = np.where(w > 0, d, 1.0), np.where(w > 0, scores, 0.0)
    gamma = np.full(len(y), {"best_of_n": 1.0, "rl": 0.0}.get(form, np.nan))
    if form == "linear":
        total = (w * d * d).sum(axis=1)
        alpha = (w * d * y).sum(axis=1) / np.where(total > 0, total, np.nan)
        return FormFit(form, alpha, np.zeros_like(alpha), gamma)
    if form == "power":
        gamma = np.where((w > 0).sum(axis=1) > 2, _best_gamma(d, y, w), np.nan)
    alpha, beta, _ = solve(_moments(d, [bend_term(form, d, gamma[:, None])], y, w)[0])
    return FormFit(form, alpha, beta, gamma)


def form_peak(fit: FormFit) -> tuple[Array, Array]:
    """Place d and height of a form's peak, each of shape (R,) (Gao et al. 2022, section 3.2).

    best_of_n: alpha / 2 beta; rl: exp(alpha / beta - 1); log1p: 1 / W(exp(1 - alpha / beta)) - 1
    with Lambert's W; power: (alpha / (beta (1 + gamma)))^(1 / gamma). NaN where the form has no
    peak with 0 < d < 1,000: it rises for ever, or falls from the start.
    """
    if fit.form == "linear":
        return np.full_like(fit.log_alpha, np.nan), np.full_like(fit.log_alpha, np.nan)
    with np.errstate(all="ignore"):  # where there is no peak, or none within reason
        if fit.form == "best_of_n":
            place, _ = best_of_n_peak(fit.alpha, fit.beta)
        elif fit.form == "rl":
            place, _ = rl_peak(fit.alpha, fit.beta)
        else:
            place = _log1p_peak(fit) if fit.form == "log1p" else _power_peak(fit)
        is_peak = (place > 0) & (place < MAX_SQRT_KL)
    height = fit.predict(np.where(is_peak, place, 1.0)[:, None])[:, 0]
    return np.where(is_peak, place, np.nan), np.where(is_peak, height, np.nan)


def _log1p_peak(fit: FormFit) -> Array:
    has_peak = (fit.alpha > 0) & (fit.beta > 0)  # slope alpha at 0
    exponent = np.where(has_peak, 1 - fit.alpha / np.where(has_peak, fit.beta, 1), 0.0)
    return np.where(has_peak, 1 / lambertw(np.exp(exponent)).real - 1, np.nan)


def _power_peak(fit: FormFit) -> Array:
    """The slope is log_alpha + log_beta / gamma - log_beta (1 + gamma) / gamma d^gamma."""
    log_d = np.log(fit.alpha / (fit.beta * (1 + fit.gamma))) / fit.gamma
    limit = fit.log_alpha / fit.log_beta - 1  # gamma = 0, the rl form
    log_d = np.where(np.abs(fit.gamma) > SMALL_GAMMA, log_d, limit)
    # the curvature at d is -log_beta (1 + gamma) d^(gamma - 1), so log_beta > 0 makes it a maximum
    return np.where((fit.log_beta > 0) & np.isfinite(log_d), np.exp(log_d), np.nan)


def _best_gamma(d: Array, y: Array, w: Array) -> Array:
    """Gamma with the smallest squared error: on a grid, then at the vertex of a parabola."""
    if np.ptp(d, axis=0).max() == 0 and np.ptp(w, axis=0).max() == 0:
        d, w = d[:1], w[:1]  # the same points in every version, as with best-of-n
    log_d = _log(d)
    r2 = solve(_moments(d, (_power_bend(d, log_d, g) for g in GAMMA_GRID), y, w)).r2
    best = np.argmax(np.where(np.isnan(r2), -np.inf, r2), axis=0)
    middle = np.clip(best, 1, len(GAMMA_GRID) - 2)
    x0, x1, x2 = (GAMMA_GRID[middle + step] for step in (-1, 0, 1))
    y0, y1, y2 = (np.take_along_axis(r2, middle[None] + step, 0)[0] for step in (-1, 0, 1))
    numerator = (x1 - x0) ** 2 * (y1 - y2) - (x1 - x2) ** 2 * (y1 - y0)
    denominator = (x1 - x0) * (y1 - y2) - (x1 - x2) * (y1 - y0)
    vertex = x1 - numerator / (2 * np.where(denominator > 0, denominator, np.inf))
    is_inside = (best == middle) & (denominator > 0)
    return np.where(is_inside, np.clip(vertex, x0, x2), GAMMA_GRID[best])


def _moments(d: Array, bends: Iterable[Array], y: Array, w: Array) -> Array:
    """Moments for `scaling_laws.solve` with the columns d and -bend, shape (bends, R, 8)."""

    def total(first: Array, second: Array) -> Array:
        return np.einsum("rk,rk->r", first, second)

    wd, wy, ones = w * d, w * y, np.ones_like(w)
    s11, s1y, syy, sy, count = (
        *(total(wd, d), total(wd, y), total(wy, y), total(wy, ones), total(w, ones)),
    )
    sums = []
    for bend in bends:
        w_bend = w * bend
        s12, s22, s2y = -total(w_bend, d), total(w_bend, bend), -total(w_bend, y)
        sums.append(np.broadcast_arrays(s11, s12, s22, s1y, s2y, syy, sy, count))
    # Every moment lies together in memory: `solve` takes each as one array.
    return np.moveaxis(np.stack(sums, axis=1), 0, -1)
