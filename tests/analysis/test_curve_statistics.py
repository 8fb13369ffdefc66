"""Bootstrap of curves: estimates by a second way, coverage, pairing, edge cases."""

import numpy as np
import pandas as pd
import pytest

from cell_examples import in_plain_cells
from curve_examples import GOLD_SD, PROXIES, study_curves, temperatures
from overopt.analysis.curve_statistics import QUANTITIES, CurveStatistics
from overopt.analysis.group_curves import score_at_kl
from overopt.analysis.recalibration import recalibrate
from overopt.analysis.statistics import study_statistics
from overopt.config.analysis import AnalysisConfig
from overopt.config.methods import METHODS, Method
from overopt.errors import UserError
from overopt.theory.form_fits import fit, moments, solve_shared_alpha
from overopt.theory.forms import BEST_OF_N, FORMS, RL

CONFIG = AnalysisConfig(num_bootstrap=100)


def recalibrated(curves: pd.DataFrame) -> pd.DataFrame:
    return recalibrate(curves, temperatures(curves), main_policy="small", gold_sd=GOLD_SD)


def statistics_of(
    curves: pd.DataFrame, config: AnalysisConfig = CONFIG, seed: int = 0
) -> CurveStatistics:
    return study_statistics(recalibrated(curves), config, seed)


def only(curves: pd.DataFrame, method: str) -> pd.DataFrame:
    """One method's rows, and the n = 1 rows of best-of-n that recalibration needs."""
    return curves[(curves["method"] == method) | curves["n"].eq(1).fillna(False)]


def column(statistics: CurveStatistics, method: str, size: str) -> int:
    groups = statistics.groups
    return groups.index[(groups["method"] == method) & (groups["proxy_size"] == size)][0]


@pytest.fixture(scope="module")
def curves() -> pd.DataFrame:
    return study_curves(np.random.default_rng(0), sizes=("s1", "s4", "s7"), num_prompts=20)


@pytest.fixture(scope="module")
def statistics(curves: pd.DataFrame) -> CurveStatistics:
    return statistics_of(curves)


def test_best_of_n_estimate_is_the_fit_of_the_mean_curve(curves, statistics) -> None:
    rows = recalibrated(curves).query("method == 'best_of_n' and proxy_size == 's4'")
    mean = rows.groupby("n")[["kl", "recalibrated_gold_score"]].mean()
    expected = fit(BEST_OF_N, np.sqrt(mean["kl"]), mean["recalibrated_gold_score"])
    group = column(statistics, "best_of_n", "s4")
    for quantity in ("alpha", "beta", "r2"):
        estimate = statistics.values[quantity][0, group]
        assert estimate == pytest.approx(float(getattr(expected, quantity)), rel=1e-9)
    scores = mean["recalibrated_gold_score"]
    assert statistics.values["peak_gold"][0, group] == pytest.approx(scores.max())
    assert statistics.values["kl_at_peak"][0, group] == pytest.approx(mean["kl"][scores.idxmax()])
    assert statistics.values["final_gold"][0, group] == pytest.approx(scores.iloc[-1])
    assert statistics.groups["num_points"][group] == 19
    by_seed = rows.groupby(["seed", "n"])[["kl", "recalibrated_gold_score"]].mean()
    of_runs = [
        float(fit(BEST_OF_N, np.sqrt(run["kl"]), run["recalibrated_gold_score"]).r2)
        for _, run in by_seed.groupby("seed")
    ]
    assert statistics.values["r2_of_runs"][0, group] == pytest.approx(np.mean(of_runs), rel=1e-9)


def ppo_points(curves: pd.DataFrame, size: str) -> pd.DataFrame:
    """Bins of each seed by pandas: a second implementation."""
    rows = recalibrated(curves).query("method == 'ppo' and proxy_size == @size")
    scores = ["kl", "recalibrated_gold_score", "recalibrated_proxy_score"]
    points = rows.groupby(["seed", "step"])[scores].mean()
    points["d"] = np.sqrt(points["kl"])
    points = points[(points["d"] > 0) & (points["kl"] <= 40)]
    points["bin"] = np.ceil(points["d"] / 0.2)
    return points.groupby(["seed", "bin"])[["d", "recalibrated_gold_score"]].mean()


def test_ppo_estimate_is_the_fit_of_pooled_bins(curves, statistics) -> None:
    points = {size: ppo_points(curves, size) for size in ("s1", "s4", "s7")}
    d = [p["d"].to_numpy() for p in points.values()]
    gold = [p["recalibrated_gold_score"].to_numpy() for p in points.values()]
    groups = [moments(RL, x, y, x > 0) for x, y in zip(d, gold, strict=True)]
    shared = solve_shared_alpha(np.stack(groups))
    for index, size in enumerate(points):
        group = column(statistics, "ppo", size)
        free = fit(RL, d[index], gold[index])
        values = {name: statistics.values[name][0, group] for name in QUANTITIES}
        assert values["alpha"] == pytest.approx(float(free.alpha), rel=1e-8)
        assert values["beta"] == pytest.approx(float(free.beta), rel=1e-8)
        assert values["r2"] == pytest.approx(float(free.r2), rel=1e-8)
        assert values["shared_alpha"] == pytest.approx(float(shared.alpha), rel=1e-8)
        assert values["shared_beta"] == pytest.approx(shared.beta[index], rel=1e-8)
        assert values["shared_r2"] == pytest.approx(shared.r2[index], rel=1e-8)
        assert statistics.groups["num_points"][group] == len(d[index])
        runs = [run for _, run in points[size].groupby("seed")]
        of_runs = [float(fit(RL, run["d"], run["recalibrated_gold_score"]).r2) for run in runs]
        assert values["r2_of_runs"] == pytest.approx(np.mean(of_runs), rel=1e-8)


def test_replicate_equals_statistics_of_the_resampled_data(curves, statistics) -> None:
    """Build one replicate by hand: repeat prompts and seeds as it drew them, and start again."""
    replicate = 3
    counts = np.rint(20 * statistics.resamples.prompt_weights[replicate]).astype(int)
    prompts = np.repeat(np.arange(20), counts)
    parts = []
    for size, rows in curves.groupby("proxy_size"):
        seed_weights = statistics.resamples.seed_weights([0, 1], str(size))[replicate]
        seeds = np.repeat([0, 1], np.rint(2 * seed_weights).astype(int))
        parts += [
            rows[(rows["prompt_id"] == prompt) & (rows["seed"] == seed)].assign(
                prompt_id=new_prompt, seed=new_seed
            )
            for new_prompt, prompt in enumerate(prompts)
            for new_seed, seed in enumerate(seeds)
        ]
    again = statistics_of(pd.concat(parts, ignore_index=True), AnalysisConfig(num_bootstrap=1))
    for name in ("alpha", "beta", "shared_alpha", "shared_beta", "final_gold", "kl_at_peak"):
        expected = again.values[name][0]
        np.testing.assert_allclose(statistics.values[name][replicate], expected, rtol=1e-8)


def test_drop_and_peak_are_at_one_place(statistics) -> None:
    values = statistics.values
    np.testing.assert_allclose(values["drop"], values["peak_gold"] - values["final_gold"])
    assert values["drop"][0, column(statistics, "ppo", "s1")] > 2
    assert (values["drop"][0] >= 0).all()
    np.testing.assert_allclose(values["initial_gold"], 0, atol=1e-12)


def test_same_generator_same_numbers(curves, statistics) -> None:
    again = statistics_of(curves.sample(frac=1, random_state=1))
    for name in QUANTITIES:
        np.testing.assert_allclose(again.values[name], statistics.values[name], rtol=1e-9)


def test_intervals_cover_the_truth_at_about_the_nominal_rate() -> None:
    config = AnalysisConfig(num_bootstrap=150, confidence=0.9)
    hits = []
    for study in range(80):
        rng = np.random.default_rng(study)
        curves = study_curves(rng, sizes=("s4",), seeds=(0, 1), num_prompts=40, seed_noise=0)
        statistics = statistics_of(curves, config, seed=study)
        for method, truth in zip(("best_of_n", "ppo"), PROXIES["s4"][1:3], strict=True):
            group = column(statistics, method, "s4")
            for quantity, value in zip(("alpha", "beta"), truth, strict=True):
                low, high = (bound[group] for bound in statistics.interval(quantity))
                hits.append(low <= value <= high)
    assert 0.8 < np.mean(hits) < 0.97


def test_seeds_widen_the_interval() -> None:
    def width(seed_noise: float) -> float:
        rng = np.random.default_rng(0)
        curves = study_curves(
            rng, sizes=("s4",), seeds=(0, 1, 2, 3), num_prompts=30, seed_noise=seed_noise
        )
        low, high = statistics_of(only(curves, "best_of_n")).interval("alpha")
        return float(high[0] - low[0])

    assert width(0.8) > 1.5 * width(0.0)


def test_gain_counts_from_the_policy_s_own_start(curves) -> None:
    """A policy that starts 0.4 higher and gains the same has the same coefficients."""
    better = curves.assign(policy_size="large", gold_score=curves["gold_score"] + 0.4 * GOLD_SD)
    statistics = statistics_of(pd.concat([curves, better], ignore_index=True))
    large = statistics.groups["policy_size"].to_numpy() == "large"
    for name, shift in (("alpha", 0.0), ("shared_beta", 0.0), ("peak_gold", 0.4)):
        values = statistics.values[name]
        np.testing.assert_allclose(values[:, large], values[:, ~large] + shift, atol=1e-9)
    np.testing.assert_allclose(statistics.values["initial_gold"][:, large], 0.4)


def test_run_that_ends_early_counts_with_its_end(curves) -> None:
    is_late = (curves["seed"] == 1) & (curves["step"] > 30).fillna(False)
    statistics, whole = statistics_of(curves[~is_late]), statistics_of(curves)
    group = column(statistics, "ppo", "s7")
    alone = [statistics_of(curves[~is_late & (curves["seed"] == seed)]) for seed in (0, 1)]
    ends = [one.values["final_gold"][0, group] for one in alone]
    assert statistics.values["final_gold"][0, group] == pytest.approx(np.mean(ends))
    curve, whole_curve = statistics.curves[group], whole.curves[group]
    assert curve.points["num_seeds"].iloc[[0, -1]].tolist() == [2, 1]
    position = curve.points["position"].to_numpy()
    both = position[curve.points["num_seeds"] == 2][:-1]
    gold = curve.scores["gold"][0]
    np.testing.assert_allclose(gold[both], whole_curve.scores["gold"][0, both])
    seed_0 = alone[0].curves[group].scores["gold"][0]
    np.testing.assert_allclose(gold[position[-1]], (seed_0[-1] + ends[1]) / 2)


def test_a_curve_that_still_rises_peaks_where_a_run_has_been(curves) -> None:
    """Replicates may reach bins that the data do not; a peak must not lie in one of these."""
    curves = curves[curves["seed"] < 2].reset_index(drop=True)
    is_ppo = curves["method"] == "ppo"
    prompt = curves["prompt_id"].to_numpy()
    curves.loc[is_ppo, "kl"] *= (0.5 + prompt / prompt.max())[is_ppo]
    curves.loc[is_ppo, "gold_score"] = curves.loc[is_ppo, "step"].astype(float)
    statistics = statistics_of(curves)
    ppo = statistics.groups.index[statistics.groups["method"] == "ppo"]
    assert np.isfinite(statistics.values["kl_at_peak"][:, ppo]).all()
    last = statistics.values["final_kl"][0, ppo]
    np.testing.assert_allclose(statistics.values["kl_at_peak"][0, ppo], last, rtol=0.1)


def test_score_at_kl(statistics) -> None:
    curve = statistics.curves[column(statistics, "best_of_n", "s4")]
    middle = float(curve.sqrt_kl[0, 5] ** 2)
    np.testing.assert_allclose(score_at_kl(curve, "gold", middle), curve.scores["gold"][:, 5])
    assert np.isnan(score_at_kl(curve, "gold", 100.0)).all()


def test_cell_with_too_few_points_has_no_fit() -> None:
    curves = study_curves(np.random.default_rng(0), sizes=("s1",), seeds=(0,), num_prompts=5)
    short = curves[~(curves["step"] > 1).fillna(False)]
    statistics = statistics_of(short)
    group = column(statistics, "ppo", "s1")
    assert np.isnan(statistics.values["alpha"][0, group])
    assert np.isnan(statistics.interval("alpha")[0][group])
    assert np.isfinite(statistics.values["peak_gold"][0, group])


def test_ragged_curves_are_named(curves) -> None:
    rows = recalibrated(curves)
    with pytest.raises(UserError, match="method=best_of_n.*20 evaluation prompts"):
        study_statistics(rows.drop(index=rows.index[3]), CONFIG, 0)
    with pytest.raises(UserError, match="use the same n for both"):
        is_left_out = (rows["seed"] == 1) & rows["n"].eq(1000).fillna(False)
        study_statistics(rows[~is_left_out], CONFIG, 0)
    with pytest.raises(UserError, match="rows without step"):
        study_statistics(rows.assign(step=pd.NA), CONFIG, 0)


@pytest.mark.parametrize("name", ["log1p", "best_of_n", "rl"])
def test_a_method_is_fitted_by_the_law_that_it_names(name, monkeypatch) -> None:
    """Also where it is binned, as every RL method is: not by the law of PPO."""
    monkeypatch.setitem(METHODS, "mine", Method("mine", "mine", name, "step", is_binned=True))
    d = np.repeat(0.1 + 0.2 * np.arange(15), 4)
    table = pd.DataFrame({"step": np.repeat(np.arange(15), 4), "prompt_id": np.tile(range(4), 15)})
    gold = FORMS[name].score(d, 1.1, 0.4)
    table = table.assign(
        method="mine",
        policy_size="small",
        proxy_size="s1",
        num_parameters=257,
        num_comparisons=100,
        seed=0,
        kl=d**2,
        recalibrated_gold_score=gold,
        recalibrated_proxy_score=gold,
        initial_gold_score=0.0,
        initial_proxy_score=0.0,
    )
    statistics = study_statistics(in_plain_cells(table), AnalysisConfig(num_bootstrap=3), 0)
    assert statistics.values["alpha"][0, 0] == pytest.approx(1.1)
    assert statistics.values["beta"][0, 0] == pytest.approx(0.4)
