"""What the SLURM profile says, without a cluster."""

import re
from typing import Any

import pytest
import yaml

from overopt.config.rules import RULES
from overopt.study.plan.cost import Cell
from overopt.study.plan.declared import declared
from overopt.study.study import read_study
from workflow_example import ROOT

PROFILE: dict[str, Any] = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())


def array_rules() -> list[str]:
    return PROFILE["slurm-array-jobs"].split(", ")


def test_it_names_rules_of_the_workflow() -> None:
    assert RULES.keys() >= set(PROFILE["groups"])
    assert RULES.keys() >= set(array_rules())
    assert set(PROFILE["group-components"]) <= set(PROFILE["groups"].values())


def test_no_rule_is_both_in_a_group_and_in_an_array() -> None:
    """The plugin submits groups one by one, whatever it is told."""
    assert set(PROFILE["groups"]).isdisjoint(array_rules())


@pytest.mark.parametrize("rule", array_rules())
def test_all_jobs_of_an_array_ask_for_the_same(rule: str) -> None:
    """The plugin asks, for the whole array, for what its first job needs."""
    for name in ("config", "gpu", "paper"):
        study = read_study(yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text()))
        cells = (Cell(p, rm) for p in study.policies for rm in study.proxy_sizes)
        costs = [declared(study, rule, cell) for cell in cells]
        assert len({(cost.memory_mb, cost.run_time, cost.compute.gres) for cost in costs}) == 1


def test_nothing_holds_back_a_part_of_an_array() -> None:
    """The plugin (2.8.0) never submits ready jobs of an array rule of which some are held back."""
    assert PROFILE["jobs"] == "unlimited"
    number, seconds = re.fullmatch(r"(\d+)/(\d+)s", PROFILE["max-jobs-per-timespan"]).groups()
    assert int(number) / int(seconds) > 100_000
    assert "resources" not in PROFILE


def test_what_rules_ask_a_cluster_for_grows_with_the_attempt() -> None:
    text = (ROOT / "workflow/rules/common.smk").read_text()
    growing = re.findall(
        r"def (\w+)\(wildcards, attempt\):\n(?: .*\n)*? {8}return attempt \* ", text
    )
    assert growing == ["mem_mb", "runtime"]
