"""Tables: columns, keys, pairing."""

import io

import numpy as np
import pandas as pd
import pytest

from curve_examples import GOLD_SD, study_curves, temperatures
from overopt.analysis.curve_statistics import CurveStatistics
from overopt.analysis.recalibration import recalibrate
from overopt.analysis.statistics import study_statistics
from overopt.analysis.tables import binned_curves, coefficients, differences, peaks
from overopt.config.analysis import AnalysisConfig
from overopt.config.cells import ALIKE_KEYS, GROUP_KEYS

CONFIG = AnalysisConfig(num_bootstrap=200)
CELL = GROUP_KEYS


def statistics_of(curves: pd.DataFrame, human_sd: float | None = None) -> CurveStatistics:
    rows = recalibrate(
        curves, temperatures(curves), main_policy="small", gold_sd=GOLD_SD, human_sd=human_sd
    )
    return study_statistics(rows, CONFIG, 0)


@pytest.fixture(scope="module")
def statistics() -> CurveStatistics:
    rng = np.random.default_rng(0)
    return statistics_of(study_curves(rng, sizes=("s1", "s4", "s7"), num_prompts=30))


def test_coefficients_has_one_row_a_fit(statistics) -> None:
    table = coefficients(statistics)
    assert list(table.columns) == [
        *CELL,
        "form",
        *("alpha", "alpha_low", "alpha_high", "beta", "beta_low", "beta_high"),
        *("r2", "r2_of_runs", "num_seeds", "num_prompts", "num_points"),
    ]
    assert table.groupby("form").size().to_dict() == {
        "best_of_n": 3,
        "rl": 3,
        "rl_shared_alpha": 3,
    }
    assert (table["alpha_low"] < table["alpha"]).all()
    assert (table["alpha"] < table["alpha_high"]).all()
    shared = table[table["form"] == "rl_shared_alpha"]
    assert shared["alpha"].nunique() == 1 and shared["beta"].is_monotonic_decreasing
    assert not table.duplicated([*CELL, "form"]).any()


def test_one_proxy_size_shares_no_alpha() -> None:
    curves = study_curves(np.random.default_rng(0), sizes=("s1",), num_prompts=5)
    assert "rl_shared_alpha" not in set(coefficients(statistics_of(curves))["form"])


def test_peaks_describes_rise_and_fall(statistics) -> None:
    table = peaks(statistics).set_index(["method", "proxy_size"])
    row = table.loc[("ppo", "s1")]
    assert row["drop"] == pytest.approx(row["peak_gold"] - row["final_gold"])
    assert row["drop_low"] > 2 and row["final_kl"] > 40 > row["kl_at_peak"]
    assert row["final_proxy"] > row["proxy_at_peak"]
    assert row["kl_at_peak_low"] <= row["kl_at_peak"] <= row["kl_at_peak_high"]
    expected = {"initial_gold", "peak_gold_low", "final_gold_high", "num_seeds", "num_prompts"}
    assert expected < set(table.columns)


def test_differences_are_paired() -> None:
    statistics = statistics_of(
        study_curves(np.random.default_rng(0), sizes=("s1", "s4", "s7"), prompt_noise=1.0)
    )
    table = differences(statistics)
    assert list(table.columns) == [
        *ALIKE_KEYS,
        "form",
        *("quantity", "larger", "smaller", "difference", "low", "high"),
    ]
    row = table.query(
        "method == 'best_of_n' and quantity == 'alpha' and larger == 's7' and smaller == 's4'"
    ).iloc[0]
    cells = coefficients(statistics).query("form == 'best_of_n'").set_index("proxy_size")
    assert row["difference"] == pytest.approx(cells["alpha"]["s7"] - cells["alpha"]["s4"])
    widths = cells["alpha_high"] - cells["alpha_low"]
    unpaired = np.hypot(widths["s7"], widths["s4"])
    assert row["high"] - row["low"] < 0.6 * unpaired  # most noise is of prompts
    shared = table[table["form"] == "rl_shared_alpha"]
    assert set(shared["quantity"]) == {"beta"} and (shared["high"] < 0).all()
    assert table[table["quantity"] == "drop"]["form"].isna().all()


def test_binned_curves_have_bands(statistics) -> None:
    table = binned_curves(statistics)
    assert list(table.columns[: len(CELL) + 6]) == [
        *CELL,
        *("num_seeds", "n", "step", "kl", "sqrt_kl", "gold"),
    ]
    best_of_n = table[table["method"] == "best_of_n"]
    assert best_of_n["n"].notna().all() and best_of_n["step"].isna().all()
    ppo = table[table["method"] == "ppo"]
    assert ppo["n"].isna().all() and ppo["step"].notna().all()
    moves = table["kl"] > 0  # at the initial policy gold is 0 in all replicates
    assert (table["gold_low"] < table["gold_high"])[moves].all()
    assert table["gold_low"][~moves].isna().all()
    np.testing.assert_allclose(table["kl"], table["sqrt_kl"] ** 2)
    for _, curve in ppo.groupby("proxy_size"):
        assert curve["sqrt_kl"].is_monotonic_increasing
        assert (curve["sqrt_kl"].diff().dropna() < 0.4).all()
    assert not any(name.startswith("human") for name in table)


def test_human_score_is_carried_along() -> None:
    curves = study_curves(np.random.default_rng(0), sizes=("s1",), seeds=(0,), num_prompts=5)
    curves["human_score"] = 2 * curves["gold_score"]
    table = binned_curves(statistics_of(curves, human_sd=2 * GOLD_SD))
    np.testing.assert_allclose(table["human"], table["gold"], atol=1e-9)
    assert {"human_low", "human_high"} < set(table.columns)


def test_tables_survive_csv(statistics) -> None:
    for table in (coefficients(statistics), peaks(statistics), differences(statistics)):
        again = pd.read_csv(io.StringIO(table.to_csv(index=False)))
        pd.testing.assert_frame_equal(again, table, check_dtype=False)
