"""Tables 1 and 2, the catalog and its captions, the diagram's rules, the selection of cells."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure
from tokenizers import Tokenizer, models, pre_tokenizers

from overopt.config.figures import Table02Settings
from overopt.errors import UserError
from overopt.figures.captions import captions as figure_captions
from overopt.figures.catalog import FIGURES, TABLES
from overopt.figures.hyperparameters import table_01
from overopt.figures.registry import DRAW, figure
from overopt.figures.setup_diagram import ARROWS, BOXES
from overopt.figures.single_prompt import best_of_first, table_ns, tabulate_one_prompt
from overopt.jobs.job import Job
from overopt.study import job_settings
from overopt.study.figure_settings import (
    figure_settings,
    size_sweep_ppo_runs,
    table_01_settings,
    table_02_run,
)
from overopt.study.study import Study, read_study

ROOT = Path(__file__).resolve().parents[2]


def study(name: str) -> Study:
    return read_study(yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text()))


def test_every_figure_of_the_paper_is_in_the_catalog_and_drawn() -> None:
    numbers = {entry.number.rstrip("abc") for entry in FIGURES}
    assert numbers - {"new"} == {str(number) for number in range(1, 27)}
    assert [entry.number for entry in TABLES] == ["1", "2"]
    assert set(DRAW) == {entry.name for entry in FIGURES}
    names = [entry.name for entry in (*FIGURES, *TABLES)]
    assert len(set(names)) == len(names)


def test_every_figure_and_table_has_a_caption_and_none_is_left_over() -> None:
    report = ROOT / "workflow" / "report"
    captions = {path.stem: path.read_text() for path in report.glob("*.rst")}
    names = {entry.name for entry in (*FIGURES, *TABLES)}
    assert names <= set(captions)
    assert {name for name in captions if re.match(r"(figure|table)_", name)} == names
    for name in names:
        assert "**To see:**" in captions[name] and "**Beside the paper:**" in captions[name]
        assert captions[name].isascii()


def test_captions_are_those_of_the_docstrings() -> None:
    for name, text in figure_captions().items():
        path = ROOT / "workflow" / "report" / f"{name}.rst"
        assert path.read_text() == text, "run python -m overopt.figures.captions"


def test_the_catalog_is_read_without_matplotlib() -> None:
    code = (
        "import sys; from overopt.figures.catalog import FIGURES; "
        "assert FIGURES and 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_number_has_one_figure() -> None:
    place = {"category": "Figures on fits and proxies", "group": "g", "title": "t"}
    with pytest.raises(UserError, match="figure_03a is drawn twice"):
        figure("03a", **place)(lambda tables: Figure())


def test_the_arrows_of_the_diagram_end_at_boxes() -> None:
    assert {end for arrow in ARROWS for end in arrow[:2]} <= set(BOXES)


@pytest.mark.parametrize("name", ["config", "study", "test"])
def test_table_1_has_the_hyperparameters_of_the_config(name: str) -> None:
    one = study(name)
    table = table_01(table_01_settings(one).hyperparameters).set_index("name")
    assert table.index.is_unique
    assert table["this_run"].notna().all() and table["paper"].notna().sum() == 9
    row = table.loc["RL PPO clipping parameter"]
    assert (row["paper"], row["this_run"], row["key"]) == (0.2, one.ppo.cliprange, "ppo.cliprange")
    assert table.loc["RM batch size", "this_run"] == one.proxy_rm.batch_size


def test_bands_of_figures_are_of_the_replicates_of_the_fits() -> None:
    settings, analysis = (
        figure_settings(study("study")),
        job_settings.analysis_settings(study("study")),
    )
    assert (settings.bootstrap_seed, settings.analysis) == (analysis.seed, analysis.analysis)
    assert settings.excluded_sizes == analysis.excluded_sizes == ["x1", "x2"]


def test_figure_25_shows_the_size_sweep_only() -> None:
    one = study("study")
    runs = size_sweep_ppo_runs(one)
    assert len(runs) == 7 * 3
    assert all(run.method == "ppo" and run.kl_coef == 0 for run in runs)
    assert {run.policy_size for run in runs} == {"small"}
    assert {run.proxy_rm.num_comparisons for run in runs} == {60_000}


def test_table_2_takes_the_second_smallest_size_that_is_not_near_chance() -> None:
    run = table_02_run(study("study"))
    assert (run.policy_size, run.proxy_rm.proxy_size) == ("small", "s2")
    assert (run.proxy_rm.num_comparisons, run.proxy_rm.num_epochs) == (60_000, 1)
    assert run in study("study").runs("best_of_n")


def test_best_of_the_first_n() -> None:
    assert table_ns(1000) == [1, 3, 10, 30, 100, 300, 1000]
    assert table_ns(2) == [1]
    scores = np.array([0.5, 2.0, 1.0, 3.0])
    assert best_of_first(scores, [1, 2, 3, 4]) == {1: 0, 2: 1, 3: 1, 4: 3}


@pytest.fixture
def pool(tmp_path: Path) -> dict[str, Path]:
    """Two prompts with four responses each, words as tokens."""
    words = ["<pad>", "<bos>", "<eos>", "say", "one", "two", "three", "four", ":"]
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<pad>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens(["<pad>", "<bos>", "<eos>"])
    names = ("pool", "gold_scores", "proxy_scores", "gold_scale", "metrics", "tokenizer")
    suffixes = ("parquet", "parquet", "parquet", "json", "json", "json")
    paths = {n: tmp_path / f"{n}.{s}" for n, s in zip(names, suffixes, strict=True)}
    backend.save(str(paths["tokenizer"]))
    pd.DataFrame(
        {
            "prompt_id": np.repeat([0, 1], 4),
            "prompt_ids": [[1, 3, 8]] * 8,
            "response_ids": [[4, 2], [5, 2, 0], [6, 6, 2], [7]] * 2,
        }
    ).to_parquet(paths["pool"])
    gold = pd.DataFrame({"prompt_id": np.repeat([0, 1], 4)})
    gold.assign(gold_score=[9.0] * 4 + [1.0, 5.0, 3.0, -1.0]).to_parquet(paths["gold_scores"])
    proxy = gold.assign(proxy_score=[9.0] * 4 + [0.0, 4.0, 2.0, 6.0])
    proxy.to_parquet(paths["proxy_scores"])
    paths["gold_scale"].write_text('{"gold_sd_within_prompt": 2.0}')
    paths["metrics"].write_text('{"temperature": 0.5}')
    return paths


def test_table_2_by_hand(pool: dict[str, Path], tmp_path: Path) -> None:
    table = tmp_path / "table_02.csv"
    settings = Table02Settings(max_n=1000, prompt_id=1)
    tabulate_one_prompt(Job("x"), settings, **pool, table=table)
    rows = pd.read_csv(table)
    assert rows["prompt"].tolist() == ["say :"] * 2
    assert rows["n"].tolist() == [1, 3]
    assert rows["response"].tolist() == ["one", "two"]
    # gold: minus the prompt's mean 2, over the unit 2; proxy: minus 3, over 0.5 * 2
    assert rows["gold"].tolist() == [-0.5, 1.5]
    assert rows["proxy"].tolist() == [-3.0, 1.0]


def test_table_2_names_a_prompt_that_is_not_there(pool: dict[str, Path], tmp_path: Path) -> None:
    settings = Table02Settings(max_n=3, prompt_id=7)
    with pytest.raises(UserError, match="no prompt 7"):
        tabulate_one_prompt(Job("x"), settings, **pool, table=tmp_path / "t.csv")
