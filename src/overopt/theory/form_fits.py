"""
Fits of functional forms by least squares, and their peaks (Gao et al. 2022, sections 3.1, 3.2).

Every form is `alpha d - beta bend(d)` with d = sqrt(KL), linear in alpha and beta: so least squares
is exact and needs no starting point. It is solved in closed form from sums over points, the
moments of a fit, an array (..., 8): x1 x1, x1 x2, x2 x2, x1 y, x2 y, y y, y, 1, each summed with
the points' weights, for x1 = d, x2 = -bend(d) and the score y. Sums of moments pool their points.
The forms themselves are in `overopt.theory.forms`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Convert = Callable[[Array, Array, Array], tuple[Array, Array]]

MAX_SQRT_KL = 1000.0  # a million nats: a peak beyond is none


def _unchanged(first: Array, second: Array, gamma: Array) -> tuple[Array, Array]:
    del gamma
    return first, second


@dataclass(frozen=True)
class Form:
    """One functional form: the score is `first * d - second * bend(d, gamma)`.

    Attributes
    ----------
    name
        In tables, such as "rl".
    text
        In sentences, with the words alpha, beta and gamma: "d (alpha - beta log d)".
    bend
        What beta multiplies, from d = sqrt(KL) and gamma, which broadcast; 0 at d = 0. A form
        without an exponent ignores gamma, which is then NaN.
    peak
        Place d of the highest score of a fit, shape (R,); NaN where there is none.
    num_parameters
        1 (the straight line alpha d), 2, or 3 with a gamma, which `search` finds.
    search
        Best gamma of shape (R,) for d, scores and weights of shape (R, K).
    gamma
        Exponent of the power form that this form is: 1 for best_of_n, 0 for rl; NaN for others.
    as_written
        alpha and beta of `text` from first, second and gamma. By default the same.
    in_logs
        Coefficients in the basis that is smooth through gamma = 0,
        `d (log_alpha - log_beta (d^gamma - 1) / gamma)`, from first, second and gamma. By default
        the same.

    """

    name: str
    text: str
    bend: Callable[[Array, Array], Array]
    peak: "Callable[[FormFit], Array]"
    num_parameters: int = 2
    search: Callable[[Array, Array, Array], Array] | None = None
    gamma: float = np.nan
    as_written: Convert = _unchanged
    in_logs: Convert = _unchanged

    @property
    def short_text(self) -> str:
        """`text` with the letters a, b and g for alpha, beta and gamma."""
        return self.text.replace("alpha", "a").replace("beta", "b").replace("gamma", "g")

    def score(self, d: npt.ArrayLike, alpha: npt.ArrayLike, beta: npt.ArrayLike) -> Array:
        """Score at d = sqrt(KL) of a form with two parameters, 0 at d = 0; arguments broadcast.

        Under rl the slope at d = 0 is infinite: the law does not hold near the origin.
        """
        d, alpha, beta = (np.asarray(x, dtype=np.float64) for x in (d, alpha, beta))
        return alpha * d - beta * self.bend(d, np.full_like(d, self.gamma))


class FormFit(NamedTuple):
    """Fit of one form in R replicates, each array of shape (R,).

    `first` and `second` are the coefficients of d and of the form's bend, `gamma` its exponent,
    NaN where it has none.
    """

    form: Form
    first: Array
    second: Array
    gamma: Array

    @property
    def alpha(self) -> Array:
        """Coefficient alpha of the form as it is written."""
        return self.form.as_written(self.first, self.second, self.gamma)[0]

    @property
    def beta(self) -> Array:
        """Coefficient beta; NaN for the linear form, and for the power form at gamma = 0."""
        return self.form.as_written(self.first, self.second, self.gamma)[1]

    @property
    def log_alpha(self) -> Array:
        """First coefficient in the basis that is smooth through gamma = 0 (`Form.in_logs`)."""
        return self.form.in_logs(self.first, self.second, self.gamma)[0]

    @property
    def log_beta(self) -> Array:
        """Second coefficient in the basis that is smooth through gamma = 0."""
        return self.form.in_logs(self.first, self.second, self.gamma)[1]

    def predict(self, d: Array) -> Array:
        """Score at d = sqrt(KL), shape (R, K); d broadcasts against (R, K) and is at least 0."""
        bend = self.form.bend(d, self.gamma[:, None])
        return d * self.first[:, None] - self.second[:, None] * bend


class Coefficients(NamedTuple):
    """Fit of a form with two parameters. `r2` is about the mean: a bad fit can be below 0."""

    alpha: Array
    beta: Array
    r2: Array


def fit(form: Form, d: npt.ArrayLike, scores: npt.ArrayLike) -> Coefficients:
    """Least squares of `scores` on a form with two parameters; points at d = 0 do not enter.

    `d` and `scores` have shape (..., points); every leading index is a fit of its own. Returns
    alpha, beta, r2 of shape (...); NaN where fewer than two distinct points are left.
    """
    d = np.asarray(d, dtype=np.float64)
    return solve(moments(form, d, np.asarray(scores, dtype=np.float64), d > 0))


def fit_form(form: Form, d: Array, scores: Array, weights: npt.ArrayLike) -> FormFit:
    """Least squares of `scores` on any form, in every replicate (Gao et al. 2022, appendix B).

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
    gamma = np.full(len(y), form.gamma)
    if form.search is not None:
        has_enough = (w > 0).sum(axis=1) >= form.num_parameters
        gamma = np.where(has_enough, form.search(d, y, w), np.nan)
    sums = sums_over_points(d, [form.bend(d, gamma[:, None])], y, w)[0]
    alpha, beta, _ = solve_line(sums) if form.num_parameters == 1 else solve(sums)
    return FormFit(form, alpha, beta, gamma)


def form_peak(fit: FormFit) -> tuple[Array, Array]:
    """Place d and height of a form's peak, each of shape (R,) (Gao et al. 2022, section 3.2).

    best_of_n: alpha / 2 beta; rl: exp(alpha / beta - 1); log1p: 1 / W(exp(1 - alpha / beta)) - 1
    with Lambert's W; power: (alpha / (beta (1 + gamma)))^(1 / gamma). NaN where the form has no
    peak with 0 < d < 1,000: it rises for ever, or falls from the start.
    """
    with np.errstate(all="ignore"):  # where there is no peak, or none within reason
        place = fit.form.peak(fit)
        is_peak = (place > 0) & (place < MAX_SQRT_KL)
    height = fit.predict(np.where(is_peak, place, 1.0)[:, None])[:, 0]
    return np.where(is_peak, place, np.nan), np.where(is_peak, height, np.nan)


def moments(form: Form, d: Array, scores: Array, weights: npt.ArrayLike) -> Array:
    """Weighted sums over points that determine a fit; sums of moments pool their points.

    `d`, `scores` and `weights` have shape (..., points); where a weight is 0, `d` and the score
    may be NaN. Returns (..., 8): x1 x1, x1 x2, x2 x2, x1 y, x2 y, y y, y, 1 for x1 = d and
    x2 = -bend(d). Raises ValueError for a form that has not two parameters.
    """
    if form.num_parameters != 2:
        raise ValueError(f"form {form.name!r} has {form.num_parameters} parameters, expected 2")
    w = np.broadcast_to(np.asarray(weights, dtype=np.float64), scores.shape)
    d, y = np.where(w > 0, d, 1.0), np.where(w > 0, scores, 0.0)
    return sums_over_points(d, [form.bend(d, np.full_like(d, form.gamma))], y, w)[0]


def sums_over_points(d: Array, bends: Iterable[Array], y: Array, w: Array) -> Array:
    """Moments of points with each of these bends, shape (bends, ..., 8).

    `d`, every bend, the scores `y` and the weights `w` have shape (..., K), without NaN.
    """

    def total(first: Array, second: Array) -> Array:
        return (first * second).sum(axis=-1)

    wd, wy, ones = w * d, w * y, np.ones_like(w)
    s11, s1y, syy = total(wd, d), total(wd, y), total(wy, y)
    sy, count = total(wy, ones), total(w, ones)
    sums = []
    for bend in bends:
        w_bend = w * bend
        s12, s22, s2y = -total(w_bend, d), total(w_bend, bend), -total(w_bend, y)
        sums.append(np.broadcast_arrays(s11, s12, s22, s1y, s2y, syy, sy, count))
    # Every moment lies together in memory: `solve` takes each as one array.
    return np.moveaxis(np.stack(sums, axis=1), 0, -1)


def solve(sums: Array) -> Coefficients:
    """Coefficients from moments of shape (..., 8), by the closed form of two unknowns."""
    s11, s12, s22, s1y, s2y, *_ = np.moveaxis(sums, -1, 0)
    determinant = s11 * s22 - s12**2
    determinant = np.where(determinant > 1e-12 * s11 * s22, determinant, np.nan)
    alpha = (s22 * s1y - s12 * s2y) / determinant
    beta = (s11 * s2y - s12 * s1y) / determinant
    return Coefficients(alpha, beta, _r2(sums, alpha, beta))


def solve_line(sums: Array) -> Coefficients:
    """Coefficient alpha of the straight line from moments of shape (..., 8); beta is 0."""
    s11, s1y = sums[..., 0], sums[..., 3]
    alpha = s1y / np.where(s11 > 0, s11, np.nan)
    beta = np.zeros_like(alpha)
    return Coefficients(alpha, beta, _r2(sums, alpha, beta))


def solve_shared_alpha(sums: Array) -> Coefficients:
    """Coefficients of groups with one alpha from moments of shape (groups, ..., 8).

    Each beta is eliminated: `beta_g = (x2 y - alpha x1 x2) / x2 x2` (Gao et al. 2022, section
    3.2). Returns alpha of shape (...), beta and r2 of shape (groups, ...).
    """
    s11, s12, s22, s1y, s2y, *_ = np.moveaxis(sums, -1, 0)
    s22 = np.where(s22 > 0, s22, np.nan)
    remaining = (s11 - s12**2 / s22).sum(axis=0)
    remaining = np.where(remaining > 1e-12 * s11.sum(axis=0), remaining, np.nan)
    alpha = (s1y - s12 * s2y / s22).sum(axis=0) / remaining
    beta = (s2y - alpha * s12) / s22
    return Coefficients(alpha, beta, _r2(sums, np.broadcast_to(alpha, beta.shape), beta))


def _r2(sums: Array, alpha: Array, beta: Array) -> Array:
    s11, s12, s22, s1y, s2y, syy, sy, count = np.moveaxis(sums, -1, 0)
    residual = syy - 2 * (alpha * s1y + beta * s2y)
    residual += alpha**2 * s11 + 2 * alpha * beta * s12 + beta**2 * s22
    total = syy - sy**2 / np.where(count > 0, count, np.nan)
    return 1 - residual / np.where(total > 0, total, np.nan)
