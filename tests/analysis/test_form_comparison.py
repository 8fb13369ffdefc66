"""Comparison of forms on curves: splits, errors and null predictors by hand, tables on disk."""

import numpy as np
import pandas as pd
import pytest

from form_examples import CellLaws, cell_curves, evidence_of
from overopt.analysis.curve_statistics import initial_scores
from overopt.analysis.form_comparison import compare_forms
from overopt.analysis.form_tables import excess, extrapolation_table, form_table, tabulate_forms
from overopt.analysis.held_out import predictors
from overopt.analysis.kl_comparison import kl_differences
from overopt.config.analysis import AnalysisConfig, AnalysisSettings
from overopt.jobs.job import Job
from overopt.theory.form_fits import fit
from overopt.theory.forms import BEST_OF_N, RL
from overopt.theory.kl import best_of_n_kl, default_ns

SETTINGS = AnalysisSettings(main_policy="small", analysis=AnalysisConfig(num_bootstrap=60), seed=1)
LAWS = [
    CellLaws("best_of_n", lambda d: BEST_OF_N.score(d, 0.9, 0.2), lambda d: 0.6 * d),
    CellLaws("ppo", lambda d: RL.score(d, 0.45, 0.25), lambda d: 0.4 * d),
]


@pytest.fixture(scope="module")
def curves() -> pd.DataFrame:
    return cell_curves(LAWS, np.random.default_rng(0), ["s1", "s2"])


@pytest.fixture(scope="module")
def forms(curves: pd.DataFrame):
    evidence = evidence_of(curves)
    initial = initial_scores(curves, evidence.statistics, "gold")
    return compare_forms(evidence.statistics, "gold", initial, evidence.config)


def _best_of_n_gold(curves: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    rows = curves[(curves["method"] == "best_of_n") & (curves["proxy_size"] == "s1")]
    mean = rows.groupby("n")[["kl", "recalibrated_gold_score"]].mean()
    return np.sqrt(mean["kl"].to_numpy()), mean["recalibrated_gold_score"].to_numpy()


def test_errors_and_nulls_by_hand(curves: pd.DataFrame, forms):
    d, gold = _best_of_n_gold(curves)
    d, gold = d[1:], gold[1:]  # n = 1 does not enter
    whole = fit(BEST_OF_N, d, gold)
    own = predictors().index("best_of_n")
    values = {name: array[0, 0] for name, array in forms.values.items()}
    assert values["alpha"][own] == pytest.approx(whole.alpha)
    residual = gold - BEST_OF_N.score(d, whole.alpha, whole.beta)
    assert values["rmse"][own] == pytest.approx(np.sqrt((residual**2).mean()))
    assert values["r2"][own] == pytest.approx(whole.r2)
    variance = (residual**2).mean()
    assert values["aic"][own] == pytest.approx(len(d) * np.log(variance) + 2 * 3)
    assert values["bic"][own] == pytest.approx(len(d) * np.log(variance) + np.log(len(d)) * 3)

    low = d <= 2 / 3 * d.max()
    part = fit(BEST_OF_N, d[low], gold[low])
    error = gold[~low] - BEST_OF_N.score(d[~low], part.alpha, part.beta)
    assert values["heldout_rmse"][own] == pytest.approx(np.sqrt((error**2).mean()))
    assert values["heldout_error"][own] == pytest.approx(error.mean())
    last = gold[~low] - gold[low][-1]
    assert values["heldout_rmse"][predictors().index("last_value")] == pytest.approx(
        np.sqrt((last**2).mean())
    )
    upper = slice(low.sum() // 2, low.sum())
    line = np.polyval(np.polyfit(d[upper], gold[upper], 1), d[~low])
    assert values["heldout_rmse"][predictors().index("straight_line")] == pytest.approx(
        np.sqrt(((gold[~low] - line) ** 2).mean())
    )
    assert np.isnan(values["beyond_limit_rmse"]).all()  # n ends at 1,000


def test_ppo_is_held_out_above_half_the_kl_and_beyond_the_limit(forms):
    points = extrapolation_table(forms)
    ppo = points[(points["method"] == "ppo") & (points["form"] == "rl")]
    heldout, beyond = (ppo[ppo["split"] == split] for split in ("heldout", "beyond_limit"))
    assert (heldout["fit_max_kl"] <= 0.5 * heldout["sqrt_kl"].max() ** 2).all()
    assert heldout["sqrt_kl"].min() ** 2 > 0.5 * heldout["sqrt_kl"].max() ** 2
    assert (beyond["fit_max_kl"] <= 40).all()
    assert beyond["sqrt_kl"].min() ** 2 > 40
    np.testing.assert_allclose(points["error"], points["actual"] - points["predicted"], atol=1e-12)


def test_excess_is_paired_and_zero_for_the_own_form(forms):
    over = excess(forms, "rmse")
    assert (over[:, 0, predictors().index("best_of_n")] == 0).all()
    assert (over[:, 2, predictors().index("rl")] == 0).all()
    rival, own = predictors().index("best_of_n"), predictors().index("rl")
    rmse = forms.values["rmse"]
    np.testing.assert_array_equal(over[:, 3, rival], rmse[:, 3, rival] - rmse[:, 3, own])
    table = form_table(forms)
    row = table[(table["method"] == "ppo") & (table["form"] == "best_of_n")].iloc[1]
    assert row["rmse_excess"] == over[0, 3, rival]
    assert row["rmse_excess_low"] > 0  # the curves follow the rl form


def test_peaks_stand_beside_the_observed_one(forms):
    table = form_table(forms)
    assert not table.duplicated(["method", "proxy_size", "form"]).any()
    own = table[(table["method"] == "ppo") & (table["form"] == "rl")]
    expected = np.exp(0.45 / 0.25 - 1) ** 2
    np.testing.assert_allclose(own["peak_kl"], expected, rtol=0.35)
    np.testing.assert_allclose(own["observed_peak_kl"], expected, rtol=0.5)
    assert (own["peak_kl_low"] < expected).all()
    assert (own["peak_kl_high"] > expected).all()
    assert (own["peak_share"] == 1).all()
    assert (table[table["form"] == "linear"]["peak_share"] == 0).all()


def test_a_policy_of_its_own_gains_from_its_own_start(curves: pd.DataFrame):
    shifted = curves.assign(
        recalibrated_proxy_score=curves["recalibrated_proxy_score"] + 0.7, initial_proxy_score=0.7
    )
    results = []
    for table in (curves, shifted):
        statistics = evidence_of(table).statistics
        initial = initial_scores(table, statistics, "proxy")
        results.append(compare_forms(statistics, "proxy", initial, SETTINGS.analysis))
    np.testing.assert_allclose(results[0].values["alpha"], results[1].values["alpha"], 1e-3)


def test_estimated_kl_rescales_the_coefficients(curves: pd.DataFrame):
    """The examples' estimate is 0.98 of the formula, so every d shrinks by its root."""
    table = kl_differences(curves, evidence_of(curves).statistics, SETTINGS.analysis)
    assert len(table) == 2
    np.testing.assert_allclose(table["alpha_estimate"] * np.sqrt(0.98), table["alpha"])
    np.testing.assert_allclose(table["beta_estimate"] * 0.98, table["beta"])
    np.testing.assert_allclose(table["beta_difference"], table["beta"] - table["beta_estimate"])
    assert (table["beta_difference_high"] < 0).all()  # paired: far shorter than either interval
    np.testing.assert_allclose(table["max_kl_difference"], 0.02 * best_of_n_kl(1000))


def test_tables_of_a_study_with_deep_curves(curves: pd.DataFrame, tmp_path):
    deep = cell_curves(
        [LAWS[0]._replace(max_n=60_000)], np.random.default_rng(1), ["s1"], num_prompts=8
    )
    paths = {name: tmp_path / f"{name}.csv" for name in ("forms", "extrapolation", "kl")}
    curves.to_parquet(tmp_path / "curves.parquet")
    for name, table in {"deep": deep, "none": deep.iloc[:0]}.items():
        table.to_parquet(tmp_path / f"{name}.parquet")
        tabulate_forms(
            Job("x"),
            SETTINGS,
            tmp_path / "curves.parquet",
            tmp_path / f"{name}.parquet",
            *paths.values(),
        )
        tables = {key: pd.read_csv(path) for key, path in paths.items()}
        assert tables["forms"]["is_deep"].any() == (name == "deep")
        if name == "none":
            continue
        form = tables["forms"]
        assert len(form) == (4 + 1) * 2 * len(predictors())
        own = form[form["is_deep"] & (form["form"] == "best_of_n") & (form["score"] == "gold")]
        assert own["beyond_limit_rmse"].iloc[0] < 0.1
        points = tables["extrapolation"]
        points = points[points["is_deep"] & (points["split"] == "beyond_limit")]
        beyond = [n for n in default_ns(60_000) if n > 1000]
        assert len(points) == len(beyond) * 2 * len(predictors())
        assert points["sqrt_kl"].max() ** 2 == pytest.approx(best_of_n_kl(60_000))
        assert tables["kl"]["max_n"].tolist() == [1000, 1000, 60_000]
