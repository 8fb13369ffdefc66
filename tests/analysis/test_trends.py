"""Trends over sizes against numpy and scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress, spearmanr

from cell_examples import of_plain_rms
from curve_examples import GOLD_SD, PROXIES, study_curves, temperatures
from overopt.analysis.curve_statistics import CurveStatistics
from overopt.analysis.recalibration import recalibrate
from overopt.analysis.statistics import study_statistics
from overopt.analysis.tables import coefficients, peaks
from overopt.analysis.trends import trend_lines, trends
from overopt.config.analysis import AnalysisConfig

SIZES = ("s1", "s3", "s5", "s7")


def statistics_of(curves: pd.DataFrame) -> CurveStatistics:
    rows = recalibrate(curves, temperatures(curves), main_policy="small", gold_sd=GOLD_SD)
    return study_statistics(rows, AnalysisConfig(num_bootstrap=200), 0)


@pytest.fixture(scope="module")
def statistics() -> CurveStatistics:
    rng = np.random.default_rng(0)
    data = (1000, 8000, 64_000)
    return statistics_of(study_curves(rng, sizes=SIZES, num_prompts=20, num_comparisons=data))


@pytest.fixture(scope="module")
def metrics() -> pd.DataFrame:
    rows = [
        (size, PROXIES[size][0], data, 1, seed, 0.7 - 0.02 * i - 0.03 * j + 0.01 * seed * (-1) ** i)
        for i, size in enumerate(SIZES)
        for j, data in enumerate((1000, 8000, 64_000))
        for seed in (0, 1)
    ]
    columns = ["proxy_size", "num_parameters", "num_comparisons", "num_epochs", "seed"]
    return of_plain_rms(pd.DataFrame(rows, columns=[*columns, "validation_loss"]))


def test_size_trend_equals_scipy(statistics) -> None:
    table = trends(statistics, "small").set_index(["axis", "form", "quantity"]).sort_index()
    fits = coefficients(statistics).query("num_comparisons == 64_000")
    for form, quantity in (("best_of_n", "alpha"), ("rl", "beta"), ("rl_shared_alpha", "beta")):
        points = fits[fits["form"] == form]
        line = linregress(np.log10(points["num_parameters"]), points[quantity])
        row = table.loc[("num_parameters", form, quantity)]
        assert row["slope"] == pytest.approx(line.slope)
        assert row["intercept"] == pytest.approx(line.intercept)
        assert row["r2"] == pytest.approx(line.rvalue**2)
        rank = spearmanr(points["num_parameters"], points[quantity]).statistic
        assert row["spearman"] == pytest.approx(rank)
        assert row["slope_low"] < row["slope"] < row["slope_high"]
        is_constant = np.isnan(row["spearman_low"])  # the same order in all replicates
        assert is_constant or row["spearman_low"] <= row["spearman"] <= row["spearman_high"]
        assert row["num_comparisons"] == 64_000 and row["num_sizes"] == 4


def test_data_trend_is_per_proxy_size(statistics) -> None:
    table = trends(statistics, "small").query("axis == 'num_comparisons'")
    assert set(table["proxy_size"]) == set(SIZES)
    row = table.query("method == 'best_of_n' and proxy_size == 's3' and quantity == 'peak_gold'")
    points = peaks(statistics).query("method == 'best_of_n' and proxy_size == 's3'")
    line = linregress(np.log10(points["num_comparisons"]), points["peak_gold"])
    assert row["slope"].item() == pytest.approx(line.slope)
    assert row["spearman"].item() == 1


def test_validation_loss_trend_covers_seeds_only(statistics, metrics) -> None:
    table = trends(statistics, "small", metrics).query("quantity == 'validation_loss'")
    assert table.groupby("axis").size().to_dict() == {"num_parameters": 1, "num_comparisons": 4}
    row = table[table["axis"] == "num_parameters"].iloc[0]
    points = metrics.query("num_comparisons == 64_000").groupby("num_parameters")
    mean = points["validation_loss"].mean()
    assert row["slope"] == pytest.approx(linregress(np.log10(mean.index), mean).slope)
    assert row["slope_low"] < row["slope"] < row["slope_high"]
    one_seed = trends(statistics, "small", metrics.query("seed == 0"))
    row = one_seed.query("quantity == 'validation_loss'").iloc[0]
    assert row["spearman"] == -1 and np.isnan(row["slope_low"]) and np.isnan(row["spearman_high"])


def test_lines_are_those_of_the_trends(statistics) -> None:
    lines = trend_lines(statistics, "small")
    table = trends(statistics, "small").query("axis == 'num_parameters'")
    for (form, quantity), line in lines.dropna(subset=["form"]).groupby(["form", "quantity"]):
        row = table[(table["form"] == form) & (table["quantity"] == quantity)].iloc[0]
        expected = row["intercept"] + row["slope"] * np.log10(line["num_parameters"])
        np.testing.assert_allclose(line["fitted"], expected)
        assert (line["low"] < line["high"]).all()


def test_two_sizes_make_no_trend() -> None:
    curves = study_curves(np.random.default_rng(0), sizes=("s1", "s7"), num_prompts=5)
    statistics = statistics_of(curves)
    assert trends(statistics, "small").empty
    lines = trend_lines(statistics, "small")
    assert lines.empty and "fitted" in lines.columns
