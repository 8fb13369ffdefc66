"""Spearman's rank correlation, version by version."""

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Array = npt.NDArray[np.float64]


def rank_correlations(x: Array, y: Array) -> Array:
    """Rank correlation of each row of `x` with the same row of `y`; both (R, P), result (R,).

    NaN in rows that are constant or hold NaN.
    """
    is_valid = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
    is_valid &= (np.ptp(x, axis=1) > 0) & (np.ptp(y, axis=1) > 0)
    position = np.arange(x.shape[1])
    ranks = [
        rankdata(np.where(is_valid[:, None], values, position), axis=1) - (x.shape[1] + 1) / 2
        for values in (x, y)
    ]
    norm = np.sqrt((ranks[0] ** 2).sum(axis=1) * (ranks[1] ** 2).sum(axis=1))
    return np.where(is_valid, (ranks[0] * ranks[1]).sum(axis=1) / norm, np.nan)
