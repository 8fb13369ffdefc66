"""The paper's read-off values: copied without slips, trends as by hand."""

import numpy as np
import pandas as pd
import pytest

from overopt.analysis.paper_values import paper_series, paper_trend, read_paper_values, sign_of
from overopt.theory.forms import BEST_OF_N, RL

SIZES = ["3M", "12M", "25M", "42M", "85M", "300M", "680M", "1.2B", "3B"]


@pytest.fixture(scope="module")
def values() -> pd.DataFrame:
    return read_paper_values()


def column(values: pd.DataFrame, quantity: str, **keys: str) -> np.ndarray:
    rows = values[values["quantity"] == quantity]
    for key, wanted in keys.items():
        rows = rows[rows[key] == wanted]
    return rows.set_index("proxy_size").loc[SIZES, "value"].to_numpy()


def test_every_number_has_an_error_and_a_source_and_stands_once(values: pd.DataFrame) -> None:
    assert len(values) > 250
    assert (values["error"] > 0).all()
    assert values["value"].notna().all()
    assert (values["source"].str.len() > 10).all()
    keys = ["quantity", "method", "form", "version", "policy_size", "proxy_size"]
    assert not values.duplicated([*keys, "num_comparisons", "condition"]).any()


def test_peaks_that_were_noted_follow_from_the_coefficients(values: pd.DataFrame) -> None:
    """A slip in copying a coefficient or a peak would show here."""
    alpha = column(values, "alpha", method="best_of_n", form="best_of_n", version="icml")
    beta = column(values, "beta", method="best_of_n", form="best_of_n", version="icml")
    d = alpha / (2 * beta)
    of_law = {"method": "best_of_n", "form": "best_of_n", "version": "icml"}
    np.testing.assert_allclose(column(values, "peak_sqrt_kl", **of_law), d, atol=0.006)
    np.testing.assert_allclose(column(values, "peak_kl", **of_law), d**2, atol=0.06)
    heights = column(values, "predicted_peak_gold", **of_law)
    np.testing.assert_allclose(heights, BEST_OF_N.score(d, alpha, beta), atol=0.006)


def test_peaks_of_free_rl_fits_follow_from_their_coefficients(values: pd.DataFrame) -> None:
    alpha, beta = (column(values, name, method="ppo", form="rl") for name in ("alpha", "beta"))
    d = np.exp(alpha / beta - 1)
    noted = column(values, "peak_kl", method="ppo", form="rl")
    np.testing.assert_allclose(noted, d**2, rtol=0.05)
    heights = column(values, "predicted_peak_gold", method="ppo", form="rl")
    np.testing.assert_allclose(heights, RL.score(d, alpha, beta), atol=0.02)


def test_the_slopes_of_the_paper_come_out_as_noted() -> None:
    """Slopes per decade that were noted beside the readings: 0.054, -0.016, -0.021."""
    noted = [
        ("alpha", "best_of_n", "best_of_n", "icml", 0.054, "rising"),
        ("alpha", "best_of_n", "best_of_n", "arxiv", 0.064, "rising"),
        ("beta", "best_of_n", "best_of_n", "icml", -0.016, "falling"),
        ("beta", "best_of_n", "best_of_n", "arxiv", -0.011, "falling"),
        ("beta", "ppo", "rl_shared_alpha", "both", -0.021, "falling"),
    ]
    for quantity, method, form, version, slope, sign in noted:
        sizes, values = paper_series(
            quantity, "num_parameters", method=method, form=form, version=version
        )
        trend = paper_trend(sizes, values)
        assert trend is not None
        assert trend.num_sizes == 9
        assert trend.relative_slope * values.mean() == pytest.approx(slope, abs=6e-4)
        assert trend.sign == sign


def test_a_series_over_data_is_a_mean_over_sizes() -> None:
    sizes, values = paper_series(
        "gold", "num_comparisons", method="best_of_n", condition="n = 1000"
    )
    assert sizes.tolist() == [8000, 32000, 90000]
    smallest = [-0.07, 0.01, 0.16, 0.21, 0.21, 0.31, 0.32, 0.41, 0.49]
    assert values[0] == pytest.approx(np.mean(smallest))
    sizes, values = paper_series("alpha", "num_comparisons", method="best_of_n", form="best_of_n")
    assert len(sizes) == 10
    assert (values[0], values[-1]) == (0.10, 0.58)


def test_a_trend_by_hand() -> None:
    trend = paper_trend(np.array([10.0, 100.0, 1000.0]), np.array([4.0, 3.0, 2.0]))
    assert trend is not None
    assert (trend.decades, trend.spearman, trend.ratio) == (2.0, pytest.approx(-1.0), 2.0)
    assert trend.relative_slope == pytest.approx(-1 / 3)
    assert trend.low == pytest.approx(-1 / 3)
    assert paper_trend(np.array([1.0, 2.0]), np.array([1.0, 2.0])) is None


def test_values_of_both_signs_have_no_scale_and_no_ratio() -> None:
    trend = paper_trend(np.array([1.0, 10.0, 100.0]), np.array([-1.0, 0.5, 1.0]))
    assert trend is not None
    assert np.isnan([trend.relative_slope, trend.ratio]).all()
    assert trend.spearman == pytest.approx(1.0)


def test_a_sign_needs_an_interval_that_leaves_zero_out() -> None:
    assert [sign_of(0.1, 0.2), sign_of(-0.2, -0.1), sign_of(-0.1, 0.1)] == [
        *("rising", "falling", "unclear"),
    ]
    assert sign_of(np.nan, np.nan) == "unclear"
