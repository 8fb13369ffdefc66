"""Declared memory and run time against what jobs took, and where they have to grow."""

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml

from overopt.study.plan.cost import SHORTEST_RUN_TIME, Cell
from overopt.study.plan.costs import COSTS
from overopt.study.plan.declared import declared
from overopt.study.plan.jobs import planned_jobs
from overopt.study.plan.machines import A100
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
    "forms": 304,
    "claims": 308,
    "paper_comparison": 270,
    "compare_methods": 442,
    "feature_correlations": 254,
    "figures": 322,
    "table_01": 120,
    "table_02": 230,
    "report_tables": 124,
    "report_run": 127,
}


def load(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8"))


def planned(folder: Path, config: str) -> list[tuple[str, int, list[str]]]:
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
    for rule, megabytes, _ in planned(folder, "config/config.yaml"):
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
        for _, megabytes, outputs in planned(finished_study, "config/test.yaml")
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


SMALL = Cell(policy_size="small", proxy_size="s1")


def megabytes(study: Study, rule: str) -> int:
    return declared(study, rule, SMALL).memory_mb


@pytest.mark.parametrize(
    ("rule", "section", "key", "value"),
    [
        ("demonstrations", "data", "num_demonstrations", 10**6),
        ("human_comparisons", "gold_rm", "num_comparisons", 10**6),
        ("gold_rm", "gold_rm", "num_comparisons", 10**6),
        ("synthetic_responses", "synthetic_comparisons", "num_comparisons", 10**6),
        ("synthetic_comparisons", "synthetic_comparisons", "num_comparisons", 10**6),
        ("proxy_rm", "proxy_rm", "batch_size", 10**5),
        ("backbone", "backbone", "batch_size", 10**5),
        ("pool", "best_of_n", "num_responses", 30_000),
        ("pool_gold_scores", "best_of_n", "num_responses", 30_000),
        ("best_of_n", "best_of_n", "num_responses", 30_000),
        ("deep_best_of_n", "deep_best_of_n", "num_responses", 10**6),
        # Episodes are read in pieces: however many there are, it is the models that count.
        ("ppo", "policies", "small", LARGE_POLICY),
        ("fits", "analysis", "num_bootstrap", 10**5),
        ("forms", "analysis", "num_bootstrap", 10**5),
    ],
)
def test_more_is_declared_where_more_is_held(
    rule: str, section: str, key: str, value: object
) -> None:
    usual = read_study(load("config.yaml"))
    assert megabytes(study_with(section, **{key: value}), rule) > 2 * megabytes(usual, rule)


def test_files_of_human_data_count_by_their_size(tmp_path: Path) -> None:
    config = load("human.yaml")
    needed = []
    for size in (10**4, 10**8):
        for key in ("demonstrations", "comparisons"):
            path = tmp_path / f"{key}.jsonl"
            with path.open("wb") as file:
                file.truncate(size)
            config["data"][key] = str(path)
        needed.append(megabytes(read_study(config), "demonstrations"))
    assert needed == [240, 1630]


# Run times: well above what jobs took, and long enough for what was not measured.

MEASURED = pd.read_csv(ROOT / "tests" / "references" / "measured_seconds.csv")
CONFIGS = {"study": "study.yaml", "default": "config.yaml", "test": "test.yaml"}
WITHOUT_CELL = Cell()


def minutes(study: Study, rule: str, cell: Cell = WITHOUT_CELL) -> int:
    return declared(study, rule, cell).run_time


def longest_minutes(study: Study, rule: str) -> int:
    """The longest that any job of the rule declares."""
    cells = [Cell(policy, proxy) for policy in study.policies for proxy in study.proxy_sizes]
    return max(minutes(study, rule, cell) for cell in cells)


@pytest.mark.parametrize("name", CONFIGS)
def test_declared_run_time_is_at_least_twice_what_jobs_took(name: str) -> None:
    study = read_study(load(CONFIGS[name]))
    measured = MEASURED[MEASURED["study"] == name].set_index("rule")["longest_wall_seconds"]
    assert len(measured) >= 14
    given = {rule: 60 * longest_minutes(study, rule) for rule in measured.index}
    assert {rule: s for rule, s in given.items() if s < 2 * measured[rule]} == {}


def test_ten_minutes_at_least_and_more_where_more_is_to_do() -> None:
    config = load("config.yaml")
    assert minutes(read_study(config), "demonstrations") == SHORTEST_RUN_TIME
    config["ppo"]["num_iterations"] = 10_000
    assert minutes(read_study(config), "ppo", SMALL) > 100


def test_a_size_declares_for_the_most_data_of_its_sweeps() -> None:
    config = load("config.yaml")
    config["synthetic_comparisons"]["num_comparisons"] = 6_000_000
    config["grid"]["sweeps"]["rm_data"]["num_comparisons"] = [2000, 6_000_000]
    study = read_study(config)
    # s4 and s6 are in this sweep, s5 is not.
    s4, s5 = (minutes(study, "proxy_rm", Cell(proxy_size=size)) for size in ("s4", "s5"))
    assert s4 > 5 * s5


@pytest.mark.parametrize("name", ["config", "study", "test", "gpu", "paper", "robustness"])
def test_no_job_costs_more_than_its_rule_declares(name: str) -> None:
    study = read_study(load(f"{name}.yaml"))
    costs = {(job.rule, job.cell): job.cost for job in planned_jobs(study)}
    for (rule, cell), cost in costs.items():
        given = declared(study, rule, cell)
        assert given.memory_mb >= cost.memory_mb
        assert given.run_time >= cost.run_time
        assert given.num_gpus == cost.num_gpus


def test_jobs_of_an_array_ask_for_the_same() -> None:
    study = read_study(load("gpu.yaml"))
    cells = [Cell("small", size) for size in study.proxy_sizes]
    declarations = [declared(study, "best_of_n", cell) for cell in cells]
    assert {(d.memory_mb, d.run_time, d.compute.gres) for d in declarations} == {
        (declarations[0].memory_mb, declarations[0].run_time, "gpu:1")
    }
    assert len({COSTS["best_of_n"](study, cell, A100).memory_mb for cell in cells}) > 1
