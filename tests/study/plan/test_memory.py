"""Declared memory against what jobs took: a little more, at most a quarter."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from overopt.study.plan import memory
from overopt.study.study import Study, read_study
from workflow_example import ROOT, copy_of_repository, snakemake

# Largest `peak_memory_mb` of each rule in a run of config.yaml on a CPU (Linux, 2 cores).
PEAKS = {
    "demonstrations": 187,
    "human_comparisons": 578,
    "policy": 486,
    "backbone": 469,
    "gold_rm": 763,
    "synthetic_responses": 511,
    "synthetic_comparisons": 549,
    "proxy_rm": 583,
    "pool": 595,
    "pool_gold_scores": 579,
    "best_of_n": 537,
    "gold_ceiling": 214,
    "tilted": 203,
    "deep_pool": 410,
    "deep_best_of_n": 395,
    "ppo": 422,
    "fits": 297,
    "forms": 253,
    "claims": 308,
    "paper_comparison": 270,
    "feature_correlations": 254,
    "figures": 322,
    "table_01": 120,
    "table_02": 230,
    "report_tables": 124,
    "report_run": 127,
}


def load(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8"))


def declared(folder: Path, config: str) -> list[tuple[str, int, list[str]]]:
    """Rule, mem_mb and outputs of every job, as Snakemake plans them."""
    arguments = ("--dry-run", "--forceall", "--workflow-profile", "none")
    done = snakemake(folder, *arguments, config=config)
    jobs = re.findall(
        r"^(?:local)?rule (\w+):\n(?:    .*\n)*?    output: (.*)\n(?:    .*\n)*?"
        r"    resources: .*?mem_mb=(\d+)",
        done.stdout + done.stderr,
        flags=re.MULTILINE,
    )
    return [(rule, int(megabytes), outputs.split(", ")) for rule, outputs, megabytes in jobs]


@pytest.mark.slow
def test_every_rule_of_the_default_study_declares_its_peak(tmp_path: Path) -> None:
    largest: dict[str, int] = {}
    folder = copy_of_repository(tmp_path / "study")
    for rule, megabytes, _ in declared(folder, "config/config.yaml"):
        largest[rule] = max(megabytes, largest.get(rule, 0))
    assert largest.keys() == PEAKS.keys()
    wrong = {
        rule: (peak, largest[rule])
        for rule, peak in PEAKS.items()
        if not peak < largest[rule] <= 1.25 * peak
    }
    assert wrong == {}


@pytest.mark.slow
@pytest.mark.skipif(torch.version.cuda is not None, reason="a build for GPUs takes more")
def test_no_job_takes_more_than_its_rule_declares(finished_study: Path) -> None:
    results = finished_study / "results" / "test"
    taken = {
        path: json.loads(path.read_text())["peak_memory_mb"]
        for path in results.rglob("*record.json")
    }
    given = {
        finished_study / output: megabytes
        for _, megabytes, outputs in declared(finished_study, "config/test.yaml")
        for output in outputs
        if output.endswith("record.json")
    }
    assert given.keys() == taken.keys()
    beyond = {str(path): (peak, given[path]) for path, peak in taken.items() if peak > given[path]}
    assert beyond == {}


# What grows with the settings is declared as growing.


def study_with(section: str, **settings: object) -> Study:
    config = load("config.yaml")
    config[section] |= settings
    return read_study(config)


LARGE_POLICY = {
    **{"hidden_size": 1024, "num_layers": 8, "num_heads": 8},
    **{"learning_rate": 1e-3, "ppo_learning_rate": 1e-4},
}


@pytest.mark.parametrize(
    ("of_rule", "section", "key", "value"),
    [
        (memory.demonstrations, "data", "num_demonstrations", 10**6),
        (memory.human_comparisons, "gold_rm", "num_comparisons", 10**6),
        (memory.gold_rm, "gold_rm", "num_comparisons", 10**6),
        (memory.synthetic_responses, "synthetic_comparisons", "num_comparisons", 10**6),
        (memory.synthetic_comparisons, "synthetic_comparisons", "num_comparisons", 10**6),
        (lambda study: memory.proxy_rm(study, "s1"), "proxy_rm", "batch_size", 10**5),
        (lambda study: memory.backbone(study, "s1"), "backbone", "batch_size", 10**5),
        (lambda study: memory.pool(study, "small"), "best_of_n", "num_responses", 30_000),
        (memory.pool_gold_scores, "best_of_n", "num_responses", 30_000),
        (lambda study: memory.best_of_n(study, "s1"), "best_of_n", "num_responses", 30_000),
        (memory.deep_best_of_n, "deep_best_of_n", "num_responses", 10**6),
        # Episodes are read in pieces: however many there are, it is the models that count.
        (lambda study: memory.ppo(study, "small"), "policies", "small", LARGE_POLICY),
        (memory.fits, "analysis", "num_bootstrap", 10**5),
        (memory.forms, "analysis", "num_bootstrap", 10**5),
    ],
)
def test_more_is_declared_where_more_is_held(
    of_rule: Any, section: str, key: str, value: object
) -> None:
    usual = read_study(load("config.yaml"))
    assert of_rule(study_with(section, **{key: value})) > 2 * of_rule(usual)


def test_files_of_human_data_count_by_their_size(tmp_path: Path) -> None:
    config = load("human.yaml")
    needed = []
    for size in (10**4, 10**8):
        for key in ("demonstrations", "comparisons"):
            path = tmp_path / f"{key}.jsonl"
            with path.open("wb") as file:
                file.truncate(size)
            config["data"][key] = str(path)
        needed.append(memory.demonstrations(read_study(config)))
    assert needed == [240, 1630]
