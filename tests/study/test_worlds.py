"""The two worlds that are shipped: with the ceiling of docs/reference, and without one."""

from pathlib import Path

import yaml

from overopt.config.world import PLAIN_WORLD
from overopt.study import job_settings
from overopt.study.study import Study, read_study

CONFIG = Path(__file__).parents[2] / "config"


def study(name: str) -> Study:
    return read_study(yaml.safe_load((CONFIG / name).read_text(encoding="utf-8")))


def test_the_ceiling_is_the_world_of_the_reference() -> None:
    ceiling, reference = study("worlds/ceiling.yaml"), study("study.yaml")
    assert ceiling.world == reference.world == PLAIN_WORLD
    assert not ceiling.gold_rm.is_utility
    for settings_of in (
        job_settings.embedded_demonstration_settings,
        job_settings.embedded_comparison_settings,
        job_settings.gold_rm_settings,
    ):
        assert settings_of(ceiling) == settings_of(reference)


def test_the_world_without_a_ceiling_differs_by_its_dials_and_its_gold_alone() -> None:
    ceiling, other = (study(f"worlds/{name}.yaml") for name in ("ceiling", "no_ceiling"))
    assert other.gold_rm.is_utility
    assert other.world.taste > 0 < other.world.blind_spots
    differing = {
        name for name in Study.model_fields if getattr(ceiling, name) != getattr(other, name)
    }
    assert differing == {"name", "data", "gold_rm"}
