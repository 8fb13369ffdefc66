"""Declared run times: well above what jobs took, and long enough for what was not measured."""

from collections.abc import Callable

import pandas as pd
import pytest
import yaml

from overopt.study.plan import run_time
from overopt.study.study import Study, read_study
from workflow_example import ROOT

MEASURED = pd.read_csv(ROOT / "tests" / "references" / "measured_seconds.csv")
CONFIGS = {"study": "study.yaml", "default": "config.yaml", "test": "test.yaml"}
BY_SIZE = {
    "policy": "policies",
    "pool": "policies",
    "deep_pool": "policies",
    "ppo": "policies",
    "backbone": "proxy_sizes",
    "proxy_rm": "proxy_sizes",
    "best_of_n": "proxy_sizes",
}


def minutes(study: Study, rule: str) -> int:
    """The longest that any job of the rule declares."""
    declared: Callable[..., int] = getattr(run_time, rule)
    if rule not in BY_SIZE:
        return declared(study)
    return max(declared(study, size) for size in getattr(study, BY_SIZE[rule]))


@pytest.mark.parametrize("name", CONFIGS)
def test_declared_run_time_is_at_least_twice_what_jobs_took(name: str) -> None:
    study = read_study(yaml.safe_load((ROOT / "config" / CONFIGS[name]).read_text()))
    measured = MEASURED[MEASURED["study"] == name].set_index("rule")["longest_wall_seconds"]
    rules = [rule for rule in measured.index if hasattr(run_time, rule)]
    assert len(rules) >= 14
    short = {r: minutes(study, r) for r in rules if 60 * minutes(study, r) < 2 * measured[r]}
    assert short == {}


def test_ten_minutes_at_least_and_more_where_more_is_to_do() -> None:
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    assert run_time.demonstrations(read_study(config)) == run_time.SHORTEST
    config["ppo"]["num_iterations"] = 10_000
    assert run_time.ppo(read_study(config), "small") > 100


def test_a_size_declares_for_the_most_data_of_its_sweeps() -> None:
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config["synthetic_comparisons"]["num_comparisons"] = 6_000_000
    config["grid"]["sweeps"]["rm_data"]["num_comparisons"] = [2000, 6_000_000]
    study = read_study(config)
    # s4 and s6 are in this sweep, s5 is not.
    assert run_time.proxy_rm(study, "s4") > 5 * run_time.proxy_rm(study, "s5")
