"""Means over bins of sqrt(KL), of many rows at once."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


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
