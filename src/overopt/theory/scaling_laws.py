"""
The paper's laws of gold score against KL, and their fits (Gao et al. 2022, sections 1 and 3.1).

With d = sqrt(KL), KL in nats per sequence, every form is `d (alpha - beta b(d))`: linear in alpha
and beta, so least squares is exact and needs no starting point. No intercept: R(0) = 0.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import xlogy

Form = Literal["best_of_n", "rl", "log1p"]
Array = npt.NDArray[np.float64]

NUM_MOMENTS = 8


class Coefficients(NamedTuple):
    """Fit of one form. `r2` is about the mean of the scores, so a bad fit can be below 0."""

    alpha: Array
    beta: Array
    r2: Array


def best_of_n_form(d: npt.ArrayLike, alpha: npt.ArrayLike, beta: npt.ArrayLike) -> Array:
    """Gold score at d = sqrt(KL) under best-of-n: `d (alpha - beta d)` (Gao et al. 2022, s. 1)."""
    d, alpha, beta = (np.asarray(x, dtype=np.float64) for x in (d, alpha, beta))
    return d * (alpha - beta * d)


def rl_form(d: npt.ArrayLike, alpha: npt.ArrayLike, beta: npt.ArrayLike) -> Array:
    """Gold score at d = sqrt(KL) under RL: `d (alpha - beta log d)` (Gao et al. 2022, section 1).

    Its limit 0 at d = 0. The slope there is infinite: the law does not hold near the origin.
    """
    d, alpha, beta = (np.asarray(x, dtype=np.float64) for x in (d, alpha, beta))
    return d * alpha - beta * xlogy(d, d)


def best_of_n_peak(alpha: npt.ArrayLike, beta: npt.ArrayLike) -> tuple[Array, Array]:
    """Location d and height of the peak of `best_of_n_form`: `alpha / 2 beta`, `alpha^2 / 4 beta`.

    NaN where there is no peak at d > 0, that is unless alpha and beta are positive.
    """
    alpha, beta = (np.asarray(x, dtype=np.float64) for x in (alpha, beta))
    has_peak = (alpha > 0) & (beta > 0)
    d = np.where(has_peak, alpha / (2 * np.where(has_peak, beta, 1)), np.nan)
    return d, d * alpha / 2


def rl_peak(alpha: npt.ArrayLike, beta: npt.ArrayLike) -> tuple[Array, Array]:
    """Location d and height of the peak of `rl_form`: `exp(alpha / beta - 1)`, `beta d`.

    NaN where there is no peak, that is unless beta is positive.
    """
    alpha, beta = (np.asarray(x, dtype=np.float64) for x in (alpha, beta))
    has_peak = beta > 0
    d = np.where(has_peak, np.exp(alpha / np.where(has_peak, beta, np.inf) - 1), np.nan)
    return d, beta * d


def fit(form: Form, d: npt.ArrayLike, scores: npt.ArrayLike) -> Coefficients:
    """Least squares of `scores` on `d (alpha - beta b(d))`, exact; points at d = 0 do not enter.

    Parameters
    ----------
    form
        b(d) is d for "best_of_n", log d for "rl", log(1 + d) for "log1p" (appendix B).
    d, scores
        Shape (..., points); every leading index is a fit of its own.

    Returns
    -------
    alpha, beta, r2 of shape (...); NaN where fewer than two distinct points are left.

    """
    d = np.asarray(d, dtype=np.float64)
    return solve(moments(form, d, np.asarray(scores, dtype=np.float64), d > 0))


def fit_shared_alpha(
    form: Form, d: Sequence[npt.ArrayLike], scores: Sequence[npt.ArrayLike]
) -> Coefficients:
    """Least squares with one alpha for all groups and a beta for each (Gao et al. 2022, s. 3.2).

    `d` and `scores` hold one array of shape (points,) per group. Returns alpha of shape (), and
    beta and r2 of shape (groups,).
    """
    groups = [
        moments(form, x, np.asarray(y, dtype=np.float64), x > 0)
        for x, y in zip((np.asarray(x, dtype=np.float64) for x in d), scores, strict=True)
    ]
    return solve_shared_alpha(np.stack(groups))


def moments(form: Form, d: Array, scores: Array, weights: npt.ArrayLike) -> Array:
    """Weighted sums over points that determine a fit; sums of moments pool their points.

    `d`, `scores` and `weights` have shape (..., points); where a weight is 0, `d` and the score
    may be NaN. Returns (..., 8): x1 x1, x1 x2, x2 x2, x1 y, x2 y, y y, y, 1 for x1 = d and
    x2 = -d b(d).
    """
    w = np.asarray(weights, dtype=np.float64)
    d, y = np.where(w > 0, d, 1.0), np.where(w > 0, scores, 0.0)
    x2 = (
        -d * {"best_of_n": lambda: d, "rl": lambda: np.log(d), "log1p": lambda: np.log1p(d)}[form]()
    )
    products = (d * d, d * x2, x2 * x2, d * y, x2 * y, y * y, y, np.ones_like(y))
    return np.stack([(w * product).sum(axis=-1) for product in products], axis=-1)


def solve(sums: Array) -> Coefficients:
    """Coefficients from `moments` of shape (..., 8), by the closed form of two unknowns."""
    s11, s12, s22, s1y, s2y, *_ = np.moveaxis(sums, -1, 0)
    determinant = s11 * s22 - s12**2
    determinant = np.where(determinant > 1e-12 * s11 * s22, determinant, np.nan)
    alpha = (s22 * s1y - s12 * s2y) / determinant
    beta = (s11 * s2y - s12 * s1y) / determinant
    return Coefficients(alpha, beta, _r2(sums, alpha, beta))


def solve_shared_alpha(sums: Array) -> Coefficients:
    """Coefficients of groups with one alpha from `moments` of shape (groups, ..., 8).

    Each beta is eliminated: `beta_g = (x2 y - alpha x1 x2) / x2 x2`. Returns alpha of shape (...),
    beta and r2 of shape (groups, ...).
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


def bin_numbers(d: Array, bin_width: float) -> npt.NDArray[np.int64]:
    """Bin of each d: 0 for the initial policy at d = 0, k for (k - 1) width < d <= k width."""
    return np.ceil(d / bin_width).astype(np.int64)


def bin_means(
    bins: npt.NDArray[np.int64], values: Array, weights: npt.ArrayLike, num_bins: int
) -> Array:
    """Mean of `values` in each bin, row by row; NaN in an empty bin.

    `bins`, `values` and `weights` have shape (rows, points). Returns (rows, num_bins).
    """
    num_rows = bins.shape[0]
    weights = np.broadcast_to(np.asarray(weights, dtype=np.float64), bins.shape).ravel()
    flat = (bins + num_bins * np.arange(num_rows)[:, None]).ravel()
    size = num_rows * num_bins
    counts = np.bincount(flat, weights, minlength=size)
    totals = np.bincount(flat, weights * values.ravel(), minlength=size)
    means = totals / np.where(counts > 0, counts, np.nan)
    return means.reshape(num_rows, num_bins)


def size_sweep(
    table: pd.DataFrame, main_policy: str, excluded_sizes: Sequence[str] = ()
) -> pd.DataFrame:
    """Rows of the paper's sweep over reward-model sizes (Gao et al. 2022, section 3.2).

    Those of the main policy, without KL penalty, with deterministic labels, at the largest number
    of comparisons and the fewest epochs there is at that number; method by method. Without
    `excluded_sizes`, those near chance (footnote 3).
    """
    rows = table[(table["policy_size"] == main_policy) & (table["kl_coef"] == 0)]
    rows = rows[(rows["labels"] == "deterministic") & ~rows["proxy_size"].isin(excluded_sizes)]
    largest = rows.groupby("method")["num_comparisons"].transform("max")
    rows = rows[rows["num_comparisons"] == largest]
    return rows[rows["num_epochs"] == rows.groupby("method")["num_epochs"].transform("min")]
