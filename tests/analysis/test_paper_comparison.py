"""This run beside the paper: relative slopes and ratios do not depend on units; gaps are told."""

import numpy as np
import pandas as pd
import pytest

from curve_examples import GOLD_SD, PROXIES, study_curves, temperatures
from overopt.analysis.paper_comparison import COLUMNS, COMPARED, compare_with_paper
from overopt.analysis.recalibration import recalibrate
from overopt.config.analysis import AnalysisConfig, AnalysisSettings
from overopt.config.cells import RM_COLUMNS

SIZES = ("s1", "s3", "s4", "s6", "s7")
SETTINGS = AnalysisSettings(
    main_policy="small", excluded_sizes=[], analysis=AnalysisConfig(num_bootstrap=40), seed=1
)


def recalibrated(curves: pd.DataFrame, gold_sd: float = GOLD_SD) -> pd.DataFrame:
    return recalibrate(curves, temperatures(curves), main_policy="small", gold_sd=gold_sd)


def proxy_rms(curves: pd.DataFrame) -> pd.DataFrame:
    table = curves[RM_COLUMNS].drop_duplicates(ignore_index=True)
    loss = 0.8 - 0.1 * np.log10(table["num_parameters"]) + 0.003 * table["seed"]
    return table.assign(validation_loss=loss)


@pytest.fixture(scope="module")
def curves() -> pd.DataFrame:
    return study_curves(
        np.random.default_rng(0),
        sizes=SIZES,
        num_prompts=16,
        num_comparisons=(2_000, 8_000, 60_000),
    )


@pytest.fixture(scope="module")
def table(curves: pd.DataFrame) -> pd.DataFrame:
    return compare_with_paper(recalibrated(curves), proxy_rms(curves), SETTINGS)


def row(table: pd.DataFrame, **keys: str) -> pd.Series:
    for key, value in keys.items():
        table = table[table[key] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_the_known_laws_agree_with_the_paper(table: pd.DataFrame) -> None:
    assert list(table.columns) == COLUMNS
    assert len(table) == len(COMPARED)
    alpha = row(
        table, quantity="alpha", axis="num_parameters", paper_version="icml", form="best_of_n"
    )
    assert alpha["agreement"] == "same sign"
    x = np.log10([PROXIES[size][0] for size in SIZES])
    true = np.array([PROXIES[size][1][0] for size in SIZES])
    slope = np.polyfit(x, true, 1)[0] / true.mean()
    assert alpha["relative_slope_low"] < slope < alpha["relative_slope_high"]
    assert alpha["ratio_low"] < true[0] / true[-1] < alpha["ratio_high"]
    shared = row(table, quantity="beta", form="rl_shared_alpha")
    assert (shared["sign"], shared["paper_sign"]) == ("falling", "falling")


def test_validation_loss_is_bootstrapped_over_seeds(table: pd.DataFrame) -> None:
    loss = row(table, quantity="validation_loss")
    assert loss["sign"] == "falling"
    assert loss["relative_slope_low"] < loss["relative_slope"] < loss["relative_slope_high"]


def test_data_sizes_are_a_mean_over_the_proxy_sizes(table: pd.DataFrame) -> None:
    alpha = row(table, quantity="alpha", axis="num_comparisons")
    assert alpha["num_sizes"] == 3
    assert alpha["decades"] == pytest.approx(np.log10(30))
    assert alpha["sign"] == "rising"
    assert alpha["ratio"] == pytest.approx(0.8**2, abs=0.15)


def test_units_of_gold_cancel(curves: pd.DataFrame, table: pd.DataFrame) -> None:
    scores = curves.assign(gold_score=curves["gold_score"] * 5)
    scaled = compare_with_paper(recalibrated(scores), proxy_rms(curves), SETTINGS)
    pd.testing.assert_frame_equal(scaled, table, rtol=1e-6)


def test_a_study_without_a_method_or_with_few_sizes_says_so(curves: pd.DataFrame) -> None:
    few = curves[curves["proxy_size"].isin(["s1", "s7"]) & (curves["method"] == "best_of_n")]
    few = few[(few["num_comparisons"] == 60_000) & (few["seed"] == 0)]
    table = compare_with_paper(recalibrated(few), proxy_rms(few), SETTINGS)
    assert set(table["agreement"]) == {"not run"}
    assert table["paper_relative_slope"].notna().all()


def test_one_seed_leaves_the_direction_of_the_loss_unclear(curves: pd.DataFrame) -> None:
    one = curves[curves["seed"] == 0]
    loss = row(
        compare_with_paper(recalibrated(one), proxy_rms(one), SETTINGS), quantity="validation_loss"
    )
    assert loss["relative_slope"] < 0
    assert np.isnan(loss["relative_slope_low"])
    assert loss["agreement"] == "unclear"


def test_sizes_near_chance_are_left_out(curves: pd.DataFrame) -> None:
    without = SETTINGS.model_copy(update={"excluded_sizes": ["s1", "s3"]})
    table = compare_with_paper(recalibrated(curves), proxy_rms(curves), without)
    assert set(table.loc[table["axis"] == "num_parameters", "num_sizes"]) == {3}
