"""Figures: they draw what they are given, leave no state, and are saved byte by byte alike."""

import dataclasses
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figure_examples import AMOUNTS, SEEDS, example_tables, tables_of, write_tables
from overopt.analysis.sweeps import over
from overopt.config.cells import ProxyRM, Run
from overopt.errors import UserError
from overopt.figures import drawing
from overopt.figures.catalog import FIGURES
from overopt.figures.drawing import draw_figures
from overopt.figures.inputs import FigureTables, read_tables
from overopt.figures.registry import DRAW
from overopt.figures.style import (
    SquareRootScale,
    category_colors,
    format_count,
    kl_axis,
    kl_axis_upright,
    save_figure,
    size_colors,
)

NUM_PROMPTS = 8
NEEDED_SWEEP = {
    "figure_04b": "rm_data_ppo",
    "figure_07a": "policy_size",
    "figure_07b": "policy_size",
    "figure_09": "kl_penalty",
    "figure_13": "epochs",
    "figure_14": "kl_penalty",
    "figure_15": "policy_size",
    "figure_22": "policy_size",
    "figure_23": "policy_size",
    "figure_24": "policy_size",
}


@pytest.fixture(scope="module")
def tables() -> FigureTables:
    rng = np.random.default_rng(0)
    return example_tables(rng, num_prompts=NUM_PROMPTS, num_bootstrap=20)


@pytest.fixture(scope="module")
def default_tables(tables: FigureTables) -> FigureTables:
    """A study with the sweep over sizes only, and its data sweep at one size."""
    curves = tables.curves
    is_shown = (curves["policy_size"] == "small") & (curves["kl_coef"] == 0)
    is_shown &= (curves["num_epochs"] == 1) & (curves["labels"] == "deterministic")
    is_shown &= curves["proxy_size"].isin(["s1", "s4", "s7"])
    is_shown &= (curves["num_comparisons"] == AMOUNTS[-1]) | (
        (curves["method"] == "best_of_n") & (curves["proxy_size"] == "s4")
    )
    rng = np.random.default_rng(0)
    return tables_of(tables.settings, curves[is_shown], tables.deep_curves[:0], rng)


def drawn(axes: Axes) -> list[np.ndarray]:
    return [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines]


def is_drawn(axes: Axes, values: pd.Series | np.ndarray) -> bool:
    wanted = np.asarray(values, dtype=float)
    return any(len(y) == len(wanted) and np.allclose(y, wanted) for y in drawn(axes))


def legend_labels(figure: Figure, position: int = 0) -> list[str]:
    return [text.get_text() for text in figure.legends[position].get_texts()]


# The style.


def test_square_root_scale_there_and_back() -> None:
    axes = Figure().add_subplot()
    kl_axis(axes, 40.0)
    transform = axes.xaxis.get_transform()
    values = np.array([0.0, 0.01, 1.0, 4.0, 39.0])
    np.testing.assert_allclose(transform.transform(values), np.sqrt(values))
    np.testing.assert_allclose(transform.inverted().transform(np.sqrt(values)), values)
    assert transform.transform(np.array([-1.0])) == [0]
    assert axes.get_xlim() == (0, 40)
    ticks = axes.get_xticks()
    assert ticks[0] == 0 and 4 <= len(ticks) <= 8 and ticks[-1] <= 40
    assert SquareRootScale(axes.xaxis).limit_range_for_scale(-1, 5, 1e-9) == (0, 5)
    kl_axis_upright(axes, 40.0)
    assert axes.get_yticks().tolist() == ticks.tolist() and axes.get_ylim() == (0, 40)


def test_counts_are_written_as_people_do() -> None:
    numbers = (257, 897, 999.9, 6_600, 14_500, 150_100, 999_960, 1.2e9, 3e9)
    written = ["257", "897", "1k", "6.6k", "14.5k", "150k", "1M", "1.2B", "3B"]
    assert [format_count(number) for number in numbers] == written


def test_colors_get_lighter_with_size_and_stay_legible() -> None:
    colors = size_colors([1000, 10, 100, 10])
    lightness = [np.dot(colors[size], (0.2126, 0.7152, 0.0722)) for size in (10, 100, 1000)]
    assert lightness == sorted(lightness) and lightness[-1] < 0.8
    assert len(size_colors([5])) == 1
    assert len(set(category_colors(3))) == 3


# Every figure.


@pytest.mark.parametrize("name", sorted(DRAW))
def test_every_figure_of_the_whole_study_is_drawn(name: str, tables: FigureTables) -> None:
    figure = DRAW[name](tables)
    if name == "figure_02":
        return
    axes = figure.axes[0]
    assert axes.get_xlabel() and axes.get_title(loc="left")
    notes = [ax.get_title(loc="right") for ax in figure.axes]
    assert any(notes), "how many seeds and prompts"
    if name not in ("figure_10", "figure_paper_trends"):
        assert axes.get_ylabel()
        assert axes.lines or axes.containers


def test_a_study_without_a_sweep_says_which_one_a_figure_needs(
    default_tables: FigureTables,
) -> None:
    missing: dict[str, str] = {}
    for name, draw in DRAW.items():
        try:
            draw(default_tables)
        except UserError as error:
            missing[name] = str(error)
    assert set(missing) == set(NEEDED_SWEEP)
    for name, sweep in NEEDED_SWEEP.items():
        assert f"switch on the sweep '{sweep}'" in missing[name]


def test_every_figure_is_written_and_a_note_in_place_of_what_is_missing(
    default_tables: FigureTables,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = [entry for entry in FIGURES if entry.name in ("figure_01b", "figure_02", "figure_09")]
    monkeypatch.setattr(drawing, "FIGURES", shown)
    draw_figures(default_tables, tmp_path)
    for suffix in ("png", "svg"):
        assert {path.stem for path in tmp_path.glob(f"*.{suffix}")} == {e.name for e in shown}
    assert max(path.stat().st_size for path in tmp_path.glob("*.svg")) < 300_000
    printed = capsys.readouterr().out
    assert printed.startswith("figure_09: nothing to draw") and printed.count("\n") == 1


def test_a_study_without_ppo_keeps_its_best_of_n_figures(
    default_tables: FigureTables, tmp_path: Path
) -> None:
    curves = default_tables.curves.query("method == 'best_of_n'")
    only = dataclasses.replace(
        tables_of(default_tables.settings, curves, curves[:0], np.random.default_rng(0)),
        iterations=default_tables.iterations[:0],
    )
    for name in ("figure_01b", "figure_08", "figure_16", "figure_25", "figure_26b"):
        with pytest.raises(UserError, match="'rm_size'"):
            DRAW[name](only)
    for name in ("figure_01a", "figure_12", "figure_26a"):
        assert DRAW[name](only).axes


RUN = ["proxy_size", "num_parameters", "seed"]


def test_tables_read_back_give_the_same_pictures(tables: FigureTables, tmp_path: Path) -> None:
    paths = write_tables(tables, tmp_path)
    logs, run_curves = [], []
    for i, (key, rows) in enumerate(tables.iterations.groupby(RUN)):
        logs.append(tmp_path / f"{i}.csv")
        rows[["step", "clipfrac"]].to_csv(logs[-1], index=False)
        run_curves.append(tmp_path / f"{i}.parquet")
        rm = ProxyRM(proxy_size=key[0], num_comparisons=1, seed=key[2])
        cell = Run(method="ppo", policy_size="small", proxy_rm=rm).columns(key[1])
        pd.DataFrame([cell] * 2).assign(gold_score=0.0).to_parquet(run_curves[-1])
    again = read_tables(tables.settings, paths, run_curves, logs)
    assert set(again.iterations["proxy_size"]) == set(tables.iterations["proxy_size"])
    for name in ("figure_01a", "figure_24", "figure_25", "figure_26a"):
        before, after = (DRAW[name](t).axes[0] for t in (tables, again))
        for one, other in zip(drawn(before), drawn(after), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_saved_bytes_are_equal_and_no_state_stays(tables: FigureTables, tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    written = [
        save_figure(DRAW["figure_01b"](tables), tmp_path / name / "01b")
        for name in ("first", "second")
    ]
    assert [path.name for path in written[0]] == ["01b.png", "01b.svg"]
    for first, second in zip(*written, strict=True):
        assert first.read_bytes() == second.read_bytes()
    assert dict(mpl.rcParams) == before
    assert not pyplot.get_fignums()


# What is drawn.


@pytest.mark.parametrize(("name", "method"), [("figure_01a", "best_of_n"), ("figure_01b", "ppo")])
def test_curves_are_drawn_where_they_are(name: str, method: str, tables: FigureTables) -> None:
    figure = DRAW[name](tables)
    axes = figure.axes[0]
    curves = tables.binned_curves
    sweep = over(
        curves[curves["method"] == method], main_policy="small", excluded_sizes=["x1", "x2"]
    )
    for _, curve in sweep.groupby("proxy_size"):
        curve = curve[curve["num_seeds"] == len(SEEDS)]
        assert is_drawn(axes, curve["gold"]) and is_drawn(axes, curve["proxy"])
    titles = [legend.get_title().get_text() for legend in figure.legends]
    assert titles == ["RM parameters", "Score"]
    assert legend_labels(figure) == ["150k", "85k", "38.2k", "14.5k", "6.6k", "897", "257"]
    assert axes.get_title(loc="right") == f"3 seeds, {NUM_PROMPTS} prompts"


def test_view_is_cut_where_a_curve_collapses(tables: FigureTables) -> None:
    curves = tables.binned_curves.copy()
    curves.loc[curves["proxy_size"] == "s1", "gold"] *= 10
    collapsed = dataclasses.replace(tables, binned_curves=curves)
    axes = DRAW["figure_01b"](collapsed).axes[0]
    assert axes.get_ylim()[0] == -3.5
    assert any("view cut" in text.get_text() for text in axes.texts)
    assert not DRAW["figure_01a"](tables).axes[0].texts


@pytest.mark.parametrize("name", ["figure_03a", "figure_03b", "figure_03c"])
def test_coefficients_are_drawn_with_their_line(name: str, tables: FigureTables) -> None:
    axes = DRAW[name](tables).axes[0]
    form = "rl_shared_alpha" if name == "figure_03c" else "best_of_n"
    quantity = "alpha" if name == "figure_03a" else "beta"
    fits = tables.coefficients[tables.coefficients["form"] == form]
    points = over(fits, main_policy="small", excluded_sizes=["x1", "x2"]).sort_values(
        "num_parameters"
    )
    assert len(points) == 7 and is_drawn(axes, points[quantity])
    assert any(len(y) == 50 for y in drawn(axes))
    assert axes.get_xscale() == "log"
    bare = dataclasses.replace(tables, trend_lines=tables.trend_lines[:0])
    assert all(len(y) != 50 for y in drawn(DRAW[name](bare).axes[0]))


def test_sizes_near_chance_are_in_figures_11_and_12_only(tables: FigureTables) -> None:
    assert len(legend_labels(DRAW["figure_12"](tables))) == 9
    figure = DRAW["figure_11"](tables)
    assert [len(y) for y in drawn(figure.axes[0])[:2]] == [7, 2]
    for name in ("figure_01a", "figure_05", "figure_06", "figure_08", "figure_20", "figure_21"):
        assert "160" not in legend_labels(DRAW[name](tables))


def test_figure_12_has_height_and_place_of_the_forms_peak(tables: FigureTables) -> None:
    heights, places = DRAW["figure_12"](tables).axes
    fits = tables.coefficients[tables.coefficients["form"] == "best_of_n"]
    fits = over(fits, main_policy="small").sort_values("num_parameters")
    alpha, beta = fits["alpha"].to_numpy(), fits["beta"].to_numpy()
    predicted = [float(np.ravel(line.get_xdata())[0]) for line in heights.lines[1:]]
    np.testing.assert_allclose(predicted, alpha**2 / (4 * beta), rtol=1e-6)
    assert is_drawn(places, alpha / (2 * beta))


def test_figure_04_is_of_the_size_that_both_methods_sweep(tables: FigureTables) -> None:
    for name in ("figure_04a", "figure_04b"):
        assert "14.5k RM" in DRAW[name](tables).axes[0].get_title(loc="left")
    assert "150k RM" in DRAW["figure_19"](tables).axes[0].get_title(loc="left")
    assert legend_labels(DRAW["figure_04b"](tables)) == ["60k", "8k", "2k"]


def test_figure_13_averages_sizes_that_have_all_three(tables: FigureTables) -> None:
    figure = DRAW["figure_13"](tables)
    assert legend_labels(figure) == ["1 x 8,000", "4 x 2,000", "1 x 2,000"]
    curves = tables.binned_curves
    rows = curves[(curves["num_epochs"] == 4) & (curves["method"] == "best_of_n")]
    assert is_drawn(figure.axes[0], rows.groupby("n")["gold"].mean())
    assert "mean of 7 RM sizes" in figure.axes[0].get_title(loc="right")


@pytest.mark.parametrize(("name", "quantity"), [("figure_17", "alpha"), ("figure_18", "beta")])
def test_means_over_sizes_are_those_of_the_fits(
    name: str, quantity: str, tables: FigureTables
) -> None:
    fits = tables.coefficients.query(
        "form == 'best_of_n' and policy_size == 'small' and num_epochs == 1 "
        "and labels == 'deterministic' and proxy_size not in ['x1', 'x2']"
    )
    means = fits.groupby("num_comparisons")[quantity].mean()
    assert len(means) == len(AMOUNTS)
    assert is_drawn(DRAW[name](tables).axes[0], means)


def test_gap_is_proxy_minus_gold_and_gain_starts_at_zero(tables: FigureTables) -> None:
    curves = tables.binned_curves
    cell = curves.query(
        "method == 'ppo' and policy_size == 'large' and proxy_size == 's4' and num_seeds == 3"
    )
    assert is_drawn(DRAW["figure_24"](tables).axes[0], cell["proxy"] - cell["gold"])
    initial = tables.curves.query("policy_size == 'large' and proxy_size == 's4'")
    gain = cell["gold"] - initial["initial_gold_score"].mean()
    assert is_drawn(DRAW["figure_23"](tables).axes[0], gain)
    labels = legend_labels(DRAW["figure_24"](tables))
    assert labels == ["large", "small (main)"]


def test_extrapolation_is_the_fit_whose_predictions_are_tabulated(tables: FigureTables) -> None:
    points = tables.extrapolation.query("score == 'gold' and proxy_size == 's4'")
    deep, held_out = points["is_deep"], points["split"] == "heldout"
    chosen = {
        "figure_26a": points[deep & ~held_out & (points["form"] == "best_of_n")],
        "figure_26b": points[~deep & held_out & (points["form"] == "rl")].query("method == 'ppo'"),
    }
    for name, points in chosen.items():
        axes = DRAW[name](tables).axes[0]
        fits = [line for line in axes.lines if len(np.ravel(line.get_xdata())) == 200]
        errors = []
        for line in fits:
            x = np.sqrt(np.asarray(line.get_xdata(), dtype=float))
            inside = points[points["sqrt_kl"] <= x.max()]
            said = np.interp(inside["sqrt_kl"], x, np.asarray(line.get_ydata(), dtype=float))
            errors.append(np.abs(said - inside["predicted"]).max())
        assert min(errors) < 1e-3


def test_without_deep_runs_the_upper_part_is_predicted(default_tables: FigureTables) -> None:
    figure = DRAW["figure_26a"](default_tables)
    assert "2/3" in figure.axes[0].get_title(loc="left")
    assert len(legend_labels(figure)) == 3


def test_kl_in_training_is_the_mean_over_prompts(tables: FigureTables) -> None:
    axes = DRAW["figure_14"](tables).axes[0]
    run = tables.curves.query("kl_coef == 0.05 and seed == 1")
    assert is_drawn(axes, run.groupby("step")["kl"].mean())
    assert legend_labels(DRAW["figure_14"](tables)) == ["0.1", "0.05", "0.02", "0.01", "0"]
    assert axes.get_xlim()[1] > 50


def test_figure_10_has_a_number_for_every_cell(tables: FigureTables) -> None:
    texts = [text.get_text() for text in DRAW["figure_10"](tables).axes[0].texts]
    assert len(texts) == 7 * len(AMOUNTS)
    best = tables.peaks.query(
        "method == 'best_of_n' and proxy_size == 's7' and num_comparisons == 60_000 "
        "and policy_size == 'small'"
    )["peak_gold"].iloc[0]
    assert any(text.startswith(f"{best:.2f}\n") for text in texts)
