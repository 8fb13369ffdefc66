"""The list of rules against the workflow, and what else names rules against the list."""

import json
import re

import pytest

from overopt.config.rules import RULES, stage_of
from overopt.figures.setup_diagram import rule_names
from overopt.study.plan.costs import COSTS
from snakemake_logger_plugin_overopt.handler import COSTS as SECONDS_OF_LOGGER
from workflow_example import ROOT

TEXT = "\n".join(path.read_text() for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")))
BODIES = re.findall(r"^rule (\w+):\n((?:    .*\n|\n)*)", TEXT, flags=re.MULTILINE)
"""Name and body of each rule; `demonstrations` and some others stand in two files."""


def test_the_list_has_every_rule_that_runs_a_script_and_its_scripts() -> None:
    run = {name: set[str]() for name, body in BODIES if "/scripts/" in body}
    for name, body in BODIES:
        if name in run:
            run[name] |= set(re.findall(r"workflow/scripts/(\w+\.py)", body))
    assert run == {name: set(rule.scripts) for name, rule in RULES.items()}


def test_every_rule_has_a_cost() -> None:
    assert set(COSTS) == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_every_rule_declares_its_own_cost(name: str) -> None:
    bodies = [body for rule, body in BODIES if rule == name]
    assert all(f'**cost("{name}"' in body for body in bodies)
    others = re.findall(r'(?:cost|launch|processes)\("(\w+)"', "".join(bodies))
    assert set(others) == {name}


def test_the_diagram_names_rules_of_the_list() -> None:
    assert rule_names() <= set(RULES)


def test_the_logger_expects_seconds_of_every_rule_of_its_studies() -> None:
    for seconds in json.loads(SECONDS_OF_LOGGER.read_text()).values():
        elsewhere = {"published_checkpoint", "hub_data", "method"}
        assert set(seconds) == set(RULES) - elsewhere


def test_a_language_model_is_told_by_its_folder() -> None:
    script = "train_language_model.py"
    assert stage_of(script, "policies/small/run_record.json") == "policies"
    assert stage_of(script, "backbones/s1/seed-0/run_record.json") == "proxy RMs"
