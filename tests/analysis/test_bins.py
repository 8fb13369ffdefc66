"""Means over bins, by hand."""

import numpy as np

from overopt.analysis.bins import bin_means, bin_numbers


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
