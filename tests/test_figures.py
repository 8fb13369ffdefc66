"""Figures: they draw what they are given, leave no state, and are saved byte by byte alike."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from curve_examples import GOLD_SD, study_curves, temperatures
from overopt.analysis_config import AnalysisConfig
from overopt.curve_statistics import curve_statistics
from overopt.errors import UserError
from overopt.figure_style import SquareRootScale, format_count, kl_axis, save_figure, size_colors
from overopt.figures import (
    draw_figures,
    figure_01a,
    figure_01b,
    figure_03a,
    figure_03b,
    figure_03c,
)
from overopt.recalibration import recalibrate
from overopt.tables import binned_curves, coefficients
from overopt.trends import trend_lines


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    curves = study_curves(np.random.default_rng(0), sizes=("s1", "s4", "s7"), num_prompts=10)
    rows = recalibrate(curves, temperatures(curves), main_policy="small", gold_sd=GOLD_SD)
    config = AnalysisConfig(num_bootstrap=50)
    statistics = curve_statistics(rows, config, np.random.default_rng(0))
    return {
        "curves": binned_curves(statistics),
        "fits": coefficients(statistics),
        "lines": trend_lines(statistics, "small"),
    }


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


@pytest.mark.parametrize("build", [figure_01a, figure_01b])
def test_curves_are_drawn_where_they_are(build, tables) -> None:
    figure = build(tables["curves"], tables["fits"], "small")
    axes = figure.axes[0]
    method = "best_of_n" if build is figure_01a else "ppo"
    curves = tables["curves"]
    curve = curves[(curves["method"] == method) & (curves["proxy_size"] == "s4")]
    drawn = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) == len(curve)]
    for column in ("gold", "proxy"):
        assert any(np.array_equal(y, curve[column]) for y in drawn)
    titles = [legend.get_title().get_text() for legend in figure.legends]
    assert titles == ["RM parameters", "Score"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["150k", "14.5k", "257"]
    assert axes.get_xlabel() and axes.get_ylabel() and axes.get_title(loc="left")
    assert axes.get_title(loc="right") == "2 seeds, 10 prompts"


def test_view_is_cut_where_a_curve_collapses(tables) -> None:
    curves = tables["curves"].copy()
    curves.loc[curves["proxy_size"] == "s1", "gold"] *= 10
    axes = figure_01b(curves, tables["fits"], "small").axes[0]
    assert axes.get_ylim()[0] == -3.5
    assert any("view cut" in text.get_text() for text in axes.texts)
    assert not figure_01a(tables["curves"], tables["fits"], "small").axes[0].texts


@pytest.mark.parametrize("build", [figure_03a, figure_03b, figure_03c])
def test_coefficients_are_drawn_with_their_line(build, tables) -> None:
    axes = build(tables["fits"], tables["lines"], "small").axes[0]
    form = "rl_shared_alpha" if build is figure_03c else "best_of_n"
    quantity = "alpha" if build is figure_03a else "beta"
    points = tables["fits"][tables["fits"]["form"] == form]
    drawn = [line.get_ydata() for line in axes.lines]
    assert any(np.array_equal(y, points[quantity]) for y in drawn)
    assert any(len(y) == 50 for y in drawn)
    assert axes.get_xscale() == "log"


def test_missing_results_are_named(tables) -> None:
    fits = tables["fits"].query("method == 'best_of_n'")
    curves = tables["curves"].query("method == 'best_of_n'")
    with pytest.raises(UserError, match="no ppo result of policy 'small'"):
        figure_01b(curves, fits, "small")
    with pytest.raises(UserError, match="rl_shared_alpha"):
        figure_03c(fits, tables["lines"], "small")


def test_no_line_without_a_trend(tables) -> None:
    axes = figure_03a(tables["fits"], tables["lines"][:0], "small").axes[0]
    assert len(axes.get_legend_handles_labels()[1]) == 1


def test_saved_bytes_are_equal_and_no_state_stays(tables, tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    written = [
        save_figure(figure_01b(tables["curves"], tables["fits"], "small"), tmp_path / name / "01b")
        for name in ("first", "second")
    ]
    assert [path.name for path in written[0]] == ["01b.png", "01b.svg"]
    for first, second in zip(*written, strict=True):
        assert first.read_bytes() == second.read_bytes()
    assert dict(mpl.rcParams) == before
    assert not pyplot.get_fignums()


def test_a_study_without_ppo_says_so_where_its_figures_would_be(
    tables, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / f"{name}.csv" for name in ("curves", "fits", "lines")]
    for path in paths:
        table = tables[path.stem]
        table[table["method"] == "best_of_n"].to_csv(path, index=False)
    folder = tmp_path / "figures"
    folder.mkdir()
    draw_figures("small", *paths, folder)
    names = {f"figure_{name}" for name in ("01a", "01b", "03a", "03b", "03c")}
    assert {path.stem for path in folder.glob("*.png")} == names
    assert {path.stem for path in folder.glob("*.svg")} == names
    assert capsys.readouterr().out.count("nothing to draw") == 2


def test_counts_are_written_as_people_do() -> None:
    numbers = (257, 897, 999.9, 6_600, 14_500, 150_100, 999_960, 1.2e9, 3e9)
    written = ["257", "897", "1k", "6.6k", "14.5k", "150k", "1M", "1.2B", "3B"]
    assert [format_count(number) for number in numbers] == written


def test_colors_get_lighter_with_size_and_stay_legible() -> None:
    colors = size_colors([1000, 10, 100, 10])
    lightness = [np.dot(colors[size], (0.2126, 0.7152, 0.0722)) for size in (10, 100, 1000)]
    assert lightness == sorted(lightness) and lightness[-1] < 0.8
    assert len(size_colors([5])) == 1
