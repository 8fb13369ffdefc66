"""docs/extending.md: its package is extracted and a tiny study runs with it."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from overopt.data.hub.readers import comparison
from workflow_example import ROOT, copy_of_repository, snakemake

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
PROXIES = "s1/deterministic-labels/500-comparisons/1-epochs"


def write_package(folder: Path) -> None:
    for path, code in re.findall(r"```python\n# (\S+\.py)\n(.*?)```", PAGE, flags=re.DOTALL):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(code, encoding="utf-8")


def config_of_the_page() -> dict:
    """The tiny study with what the page's YAML says, and one size of everything."""
    config = yaml.safe_load((ROOT / "config" / "test.yaml").read_text(encoding="utf-8"))
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL):
        said = yaml.safe_load(block)
        config["grid"]["sweeps"] = said.pop("grid", config["grid"])["sweeps"]
        config |= said
    config["name"] = "mine"
    config["data"]["num_demonstrations"] = 1000
    config["gold_rm"] |= {"backbone": "small", "num_comparisons": 500, "num_validation": 100}
    config["synthetic_comparisons"] = {"num_comparisons": 500, "num_validation": 100}
    config["analysis"]["num_bootstrap"] = 20
    return config


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a study with the package of the page."""
    repository = copy_of_repository(tmp_path_factory.mktemp("extending") / "repository")
    write_package(repository)
    config = repository / "config" / "mine.yaml"
    config.write_text(yaml.safe_dump(config_of_the_page()), encoding="utf-8")
    files = ("coefficients.csv", "forms.csv", "report/claims.html")
    targets = [f"results/mine/{name}" for name in files]
    snakemake(repository, "--cores", "2", *targets, config=str(config))
    return repository


@pytest.mark.slow
def test_the_study_of_the_page_runs_through_the_tables(study: Path) -> None:
    results = study / "results" / "mine"
    coefficients = pd.read_csv(results / "coefficients.csv")
    mine = coefficients[coefficients["method"] == "reinforce"]
    variants = {"plain", "worst_of_three", "ensemble_mean", "weight_average"}
    assert set(mine["variant"]) == variants
    assert set(mine["form"]) >= {"square_root"}
    assert "square_root" in set(pd.read_csv(results / "forms.csv")["form"])
    run = results / "reinforce" / "small" / "kl-0" / PROXIES / "seed-0"
    assert len(pd.read_csv(run / "iterations.csv")) == 4
    record = json.loads((run / "run_record.json").read_text())
    assert json.loads(record["config"])["job_plugins"] == ["my_study"]
    assert any(path.endswith("iterations.csv") for path in record["outputs"])


@pytest.mark.slow
def test_members_of_an_ensemble_differ_and_are_results(study: Path) -> None:
    proxies = study / "results" / "mine" / "proxy_rms" / PROXIES
    plain = (proxies / "seed-0" / "model.safetensors").read_bytes()
    folder = proxies / "ensemble_mean-variant" / "seed-0"
    members = [folder, folder / "member-1", folder / "member-2"]
    weights = [(member / "model.safetensors").read_bytes() for member in members]
    assert weights[0] == plain
    assert len(set(weights)) == 3
    averaged = proxies / "weight_average-variant" / "seed-0"
    assert (averaged / "model.safetensors").read_bytes() not in weights
    scores = [json.loads((f / "metrics.json").read_text()) for f in (proxies / "seed-0", folder)]
    assert scores[0]["num_parameters"] == scores[1]["num_parameters"]
    assert scores[0]["validation_loss"] != scores[1]["validation_loss"]


@pytest.mark.slow
def test_an_edit_of_a_plugin_makes_the_jobs_that_use_it_stale(study: Path) -> None:
    assert "Nothing to be done" in planned(study)
    module = study / "my_study" / "reinforce.py"
    module.write_text(module.read_text().replace("num_epochs=1", "num_epochs=2"))
    text = planned(study)
    jobs = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE)}
    # Of four variants one is of the same plugin: its training and its best-of-n.
    expected = {"method": 4, "proxy_rm": 1, "best_of_n": 1, "fits": 1, "forms": 1, "total": 8}
    assert jobs == expected


def planned(study: Path) -> str:
    config = str(study / "config" / "mine.yaml")
    done = snakemake(study, "-n", "--cores", "1", "results/mine/forms.csv", config=config)
    return done.stdout + done.stderr


def test_the_reader_of_the_page_reads_a_row(tmp_path, monkeypatch) -> None:
    from overopt.data.hub.readers import Reader

    write_package(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    namespace: dict = {}
    exec((tmp_path / "my_study" / "votes.py").read_text(), namespace)  # noqa: S102
    reader = Reader(("question", "a", "b", "vote"), namespace["read"])
    row = {"question": "q", "a": "x", "b": "y", "vote": "b"}
    assert comparison(reader, row) == {"prompt": "q", "chosen": "y", "rejected": "x"}
