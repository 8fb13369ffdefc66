"""What the SLURM profile says, without a cluster."""

import re
from typing import Any

import pytest
import yaml

from workflow_example import ROOT

PROFILE: dict[str, Any] = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
RULES = "\n".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
NAMES = set(re.findall(r"^rule (\w+):", RULES, flags=re.MULTILINE))


def text_of(rule: str) -> str:
    body = re.split(rf"^rule {rule}:$", RULES, flags=re.MULTILINE)[1]
    return re.split(r"^rule ", body, flags=re.MULTILINE)[0]


def array_rules() -> list[str]:
    return PROFILE["slurm-array-jobs"].split(", ")


def test_it_names_rules_of_the_workflow() -> None:
    assert NAMES.issuperset(PROFILE["groups"])
    assert NAMES.issuperset(array_rules())
    assert set(PROFILE["group-components"]) <= set(PROFILE["groups"].values())


def test_no_rule_is_both_in_a_group_and_in_an_array() -> None:
    """The plugin submits groups one by one, whatever it is told."""
    assert set(PROFILE["groups"]).isdisjoint(array_rules())


@pytest.mark.parametrize("rule", array_rules())
def test_all_jobs_of_an_array_ask_for_the_same(rule: str) -> None:
    """The plugin asks, for the whole array, for what its first job needs."""
    assert "wildcards." not in text_of(rule).split("resources:")[1].split("params:")[0]


def test_nothing_holds_back_a_part_of_an_array() -> None:
    """The plugin (2.8.0) never submits ready jobs of an array rule of which some are held back."""
    assert PROFILE["jobs"] == "unlimited"
    number, seconds = re.fullmatch(r"(\d+)/(\d+)s", PROFILE["max-jobs-per-timespan"]).groups()
    assert int(number) / int(seconds) > 100_000
    assert "resources" not in PROFILE


@pytest.mark.parametrize("rule", sorted(NAMES))
def test_what_a_rule_asks_a_cluster_for_grows_with_the_attempt(rule: str) -> None:
    text = text_of(rule)
    if "workflow/scripts/" not in text or "localrule: True" in text:
        return  # it runs nothing, or not on the cluster
    assert re.search(r"mem_mb=lambda wildcards, attempt: attempt\s+\* with_snakemake\(", text)
    assert re.search(r"runtime=lambda wildcards, attempt: attempt\s+\* ", text)
