"""The workflow end to end on the tiny study: results, rules, human files."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from workflow_example import ROOT, copy_of_repository, snakemake

GRID_COLUMNS = [
    "method",
    "policy_size",
    "proxy_size",
    "labels",
    "num_comparisons",
    "num_epochs",
    "kl_coef",
]

pytestmark = pytest.mark.slow


@pytest.fixture
def study(finished_study: Path) -> Path:
    return finished_study


@pytest.fixture
def results(study: Path) -> Path:
    return study / "results" / "test"


def test_coefficients_are_finite_with_the_promised_columns(results: Path) -> None:
    table = pd.read_csv(results / "coefficients.csv")
    promised = [
        *GRID_COLUMNS,
        *("num_parameters", "form", "alpha", "alpha_low", "alpha_high"),
        *("beta", "beta_low", "beta_high", "r2", "num_seeds"),
    ]
    assert set(promised) <= set(table.columns)
    assert set(table["form"]) == {"best_of_n", "rl", "rl_shared_alpha"}
    assert np.isfinite(table[["alpha", "beta", "r2"]].to_numpy()).all()
    assert (table["num_seeds"] == 1).all()
    assert table[["alpha_low", "beta_high"]].isna().all(axis=None), "one seed, no interval"
    assert not table.duplicated([*GRID_COLUMNS, "form"]).any()


def test_every_cell_of_the_grid_is_fitted(results: Path) -> None:
    table = pd.read_csv(results / "coefficients.csv")
    assert (table["form"] == "best_of_n").sum() == 7
    assert (table["form"] == "rl").sum() == 4


def test_figures_are_pictures(results: Path) -> None:
    for figure in ("01a", "02", "09", "26a"):
        png = (results / "figures" / f"figure_{figure}.png").read_bytes()
        assert png.startswith(b"\x89PNG")
        assert len(png) > 10_000
        assert "<svg" in (results / "figures" / f"figure_{figure}.svg").read_text()


def test_models_load_as_ordinary_checkpoints(results: Path) -> None:
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForSequenceClassification,
        AutoTokenizer,
    )

    policy = AutoModelForCausalLM.from_pretrained(results / "policies/small")
    tokenizer = AutoTokenizer.from_pretrained(results / "policies/small")
    ids = tokenizer("write brief calm story about sea with sand :", return_tensors="pt")
    assert policy(**ids).logits.shape == (1, 9, len(tokenizer))
    gold = AutoModelForSequenceClassification.from_pretrained(results / "gold_rm")
    assert gold.config.num_labels == 1
    assert gold(**ids).logits.shape == (1, 1)


def test_curves_measure_everything_on_the_same_prompts(results: Path) -> None:
    curves = pd.read_parquet(results / "analysis" / "curves.parquet")
    assert curves.groupby(["method", "proxy_size"])["prompt_id"].nunique().eq(16).all()
    initial = curves[(curves["method"] == "ppo") & (curves["step"] == 0)]
    assert initial["kl"].abs().max() < 1e-5
    best_of_one = curves[(curves["n"] == 1) & (curves["policy_size"] == "small")]
    assert best_of_one["recalibrated_gold_score"].abs().max() < 1e-9
    proxy = curves[curves["method"] == "best_of_n"].groupby(["policy_size", "proxy_size", "n"])
    rising = proxy["proxy_score"].mean().groupby(level=[0, 1])
    assert rising.apply(lambda scores: scores.is_monotonic_increasing).all()


def test_run_records_tell_where_a_result_came_from(results: Path) -> None:
    record = json.loads((results / "gold_rm" / "run_record.json").read_text())
    assert record["rule_script"] == "train_gold_rm.py"
    assert json.loads(record["config"])["num_comparisons"] == 4000
    assert len(record["code"]) == 64
    assert set(record["inputs"]) == {
        "results/test/data/human_comparisons.parquet",
        "results/test/policies/large/model.safetensors",
    }
    assert record["cpu_seconds"] > record["startup_cpu_seconds"] > 0


def test_lint_finds_nothing_but_what_the_design_wants(study: Path) -> None:
    """Three findings stay. The script's path stands in the command as `{REPO}`, so that the line
    also runs by hand and the recorded code is the same in every checkout; the many inputs of a rule
    that reads every cell as `{LISTS...}`, since a command line would be too long with them; and
    common.smk makes settings for rules, which Snakemake counts as rules and functions mixed.
    """
    text = snakemake(study, "--lint", check=False).stderr
    findings = set(re.findall(r"^ +\* (.+?):?$", text, flags=re.MULTILINE))
    assert findings <= {
        "Shell command directly uses variable REPO from outside of the rule",
        "Shell command directly uses variable LISTS from outside of the rule",
        "Mixed rules and functions in same snakefile.",
    }


def test_rules_are_formatted() -> None:
    command = [str(Path(sys.executable).parent / "snakefmt"), "--check", "Snakefile", "workflow"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# Human files: the same rules on text of ragged length.

WORDS = "the a river bread lamp old new finds makes of and with quietly seven".split()


def write_human_files(folder: Path) -> tuple[Path, Path]:
    """Questions with two answers; people prefer the longer one, mostly."""
    rng = np.random.default_rng(0)

    def text(low: int, high: int) -> str:
        return " ".join(rng.choice(WORDS, rng.integers(low, high)))

    questions = [f"what is {text(1, 6)} number {i}?" for i in range(160)]
    demonstrations = [{"prompt": q, "response": text(3, 20)} for q in questions]
    comparisons = []
    for question in questions * 4:
        first, second = sorted((text(2, 8), text(8, 20)), key=len, reverse=rng.random() < 0.9)
        comparisons.append({"prompt": question, "chosen": first, "rejected": second})
    paths = folder / "demonstrations.jsonl", folder / "comparisons.jsonl"
    for path, rows in zip(paths, (demonstrations, comparisons), strict=True):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return paths


def tiny_human_config(folder: Path) -> None:
    """config/human.yaml with few steps."""
    config = yaml.safe_load((folder / "config/human.yaml").read_text())
    tiny = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "learning_rate": 1e-2}
    config["name"] = "human-tiny"
    config["data"]["vocabulary_size"] = 300
    config["text"] = {"max_prompt_tokens": 48, "max_response_tokens": 40}
    policy = {**tiny, "batch_size": 8, "num_epochs": 2, "ppo_learning_rate": 1e-3}
    config["policies"] = {"small": policy, "large": policy}
    config["gold_rm"] |= {"num_comparisons": 150, "num_validation": 20, "num_epochs": 1}
    config["synthetic_comparisons"] = {"num_comparisons": 200, "num_validation": 50}
    config["proxy_sizes"] = {"s1": tiny, "s2": {**tiny, "hidden_size": 24}}
    config["backbone"] = {"num_epochs": 2, "batch_size": 8}
    config["best_of_n"] = {"num_prompts": 8, "num_responses": 32, "max_n": 16}
    config["ppo"] |= {"num_iterations": 8, "batch_size": 16, "num_normalization_responses": 32}
    config["ppo"] |= {"num_value_warmup_iterations": 1}
    sweep = config["grid"]["sweeps"]["rm_size"]
    config["grid"]["sweeps"] = {
        "rm_size": sweep | {"proxy_sizes": ["s1", "s2"], "num_comparisons": [200]}
    }
    config["analysis"]["num_bootstrap"] = 50
    (folder / "human-tiny.yaml").write_text(yaml.safe_dump(config))


def test_human_files_run_through_the_same_rules(tmp_path: Path) -> None:
    folder = copy_of_repository(tmp_path / "human")
    demonstrations, comparisons = write_human_files(tmp_path)
    tiny_human_config(folder)
    paths = f"data={{demonstrations: {demonstrations}, comparisons: {comparisons}}}"
    target = "results/human-tiny/coefficients.csv"  # the figures would take half as long again
    snakemake(folder, "--cores", "2", target, "--config", paths, config="human-tiny.yaml")
    results = folder / "results" / "human-tiny"
    table = pd.read_csv(results / "coefficients.csv")
    assert set(table["form"]) == {"best_of_n", "rl", "rl_shared_alpha"}
    prompts = pd.read_parquet(results / "data/prompts.parquet")
    judged = pd.read_parquet(results / "data/human_comparisons.parquet")
    of_rm = set(prompts.loc[prompts["split"].isin(["rm", "rm_validation"]), "prompt"])
    assert set(judged["prompt"]) <= of_rm
    pairs = pd.read_parquet(results / "synthetic_comparisons/pairs.parquet")
    assert pairs["prompt_ids"].map(len).nunique() > 3, "prompts are ragged"


def test_a_malformed_human_file_is_reported_with_its_line(tmp_path: Path) -> None:
    folder = copy_of_repository(tmp_path / "human")
    demonstrations, comparisons = write_human_files(tmp_path)
    tiny_human_config(folder)
    lines = comparisons.read_text().splitlines()
    lines[6] = '{"prompt": "what?", "chosen": "same", "rejected": "same"}'
    lines[8] = "not json"
    comparisons.write_text("\n".join(lines))
    paths = f"data={{demonstrations: {demonstrations}, comparisons: {comparisons}}}"
    done = snakemake(
        folder, "--cores", "1", "--config", paths, config="human-tiny.yaml", check=False
    )
    text = done.stdout + done.stderr
    assert done.returncode == 1
    assert "line 7" in text and "line 9" in text
    assert "Traceback" not in text
