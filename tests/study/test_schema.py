"""schema.json and config/README.md say what the models say."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from overopt.config.analysis import AnalysisConfig
from overopt.config.best_of_n import BestOfNConfig
from overopt.config.chat_format import ChatFormat
from overopt.config.compute import ComputeConfig
from overopt.config.data import (
    AnnotatorConfig,
    CandidateConfig,
    EmbeddedDataConfig,
    FileDataConfig,
    SplitConfig,
)
from overopt.config.deep_best_of_n import DeepBestOfNConfig
from overopt.config.grid import GridConfig, SweepConfig
from overopt.config.hub import HubComparisonsConfig, HubDataConfig, HubDatasetConfig
from overopt.config.keep import KeepConfig
from overopt.config.ppo import PPOConfig
from overopt.config.reward_model import GoldRMConfig, ProxyRMConfig, SyntheticComparisonsConfig
from overopt.config.training import TextConfig
from overopt.config.world import WorldConfig
from overopt.study.schema import schema_text, study_schema
from overopt.study.study import BackboneConfig, PolicyConfig, ProxySizeConfig, Study

CONFIG = Path(__file__).resolve().parents[2] / "config"
SHIPPED = sorted(CONFIG.rglob("*.yaml"))


def faults(config: object) -> list[str]:
    validator = jsonschema.Draft202012Validator(study_schema())
    return [error.message for error in validator.iter_errors(config)]


def load(name: str) -> dict:
    return yaml.safe_load((CONFIG / name).read_text(encoding="utf-8"))


# The schema.


def test_the_schema_is_up_to_date() -> None:
    written = (CONFIG / "schema.json").read_text(encoding="utf-8")
    assert written == schema_text(), "run `python -m overopt.study.schema`"


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(study_schema())
    assert "title" not in study_schema()["properties"]["ppo"]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_an_editor_finds_no_fault_in_a_shipped_config(path: Path) -> None:
    schema = os.path.relpath(CONFIG / "schema.json", path.parent)
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# yaml-language-server: $schema={schema}\n")
    assert faults(yaml.safe_load(text)) == []


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("ppo", "batchsize", 64),
        ("ppo", "batch_size", True),
        ("ppo", "batch_size", 0),
        ("policies", "very-small", load("test.yaml")["policies"]["small"]),
        ("data", "source", "hub"),
        ("data", "vocabulary_size", 300),
        ("grid", "seeds", []),
    ],
)
def test_an_editor_finds_these_faults(section: str, key: str, value: object) -> None:
    config = load("test.yaml")
    config[section][key] = value
    assert faults(config)


def test_an_editor_shows_what_a_key_means() -> None:
    definitions = study_schema()["$defs"]
    for name in ("PPOConfig", "SweepConfig", "PolicyConfig", "GoldRMConfig", "AnalysisConfig"):
        for key, field in definitions[name]["properties"].items():
            assert field.get("description"), f"{name}.{key}"


# config/README.md: a table a section, a row a key.

TABLES: dict[str, type[BaseModel]] = {
    "The study": Study,
    "`data` (source: embedded)": EmbeddedDataConfig,
    "`data.candidates`": CandidateConfig,
    "`data.annotators`": AnnotatorConfig,
    "`data.world`": WorldConfig,
    "`data` (source: files)": FileDataConfig,
    "`data` (source: hub)": HubDataConfig,
    "`data.comparisons` (source: hub)": HubComparisonsConfig,
    "`data.demonstrations` (source: hub)": HubDatasetConfig,
    "`splits`": SplitConfig,
    "`text`": TextConfig,
    "`policies.NAME`": PolicyConfig,
    "`gold_rm`": GoldRMConfig,
    "`gold_rm.chat`": ChatFormat,
    "`synthetic_comparisons`": SyntheticComparisonsConfig,
    "`proxy_sizes.NAME`": ProxySizeConfig,
    "`backbone`": BackboneConfig,
    "`proxy_rm`": ProxyRMConfig,
    "`best_of_n`": BestOfNConfig,
    "`deep_best_of_n`": DeepBestOfNConfig,
    "`ppo`": PPOConfig,
    "`grid`": GridConfig,
    "`grid.sweeps.NAME`": SweepConfig,
    "`analysis`": AnalysisConfig,
    "`compute`": ComputeConfig,
    "`keep`": KeepConfig,
}
README = (CONFIG / "README.md").read_text(encoding="utf-8")


def rows(heading: str) -> Iterator[tuple[str, str, str]]:
    """Key, meaning and default of each row of the table under a heading."""
    (text,) = re.findall(rf"^### {re.escape(heading)}\n(.*?)(?=^#|\Z)", README, re.M | re.S)
    for line in text.splitlines():
        if match := re.match(r"\| `(\w+)` \| (.+?) \| (.*?) \| ", line):
            yield match[1], match[2], match[3]


def has_models(annotation: object) -> bool:
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return is_model or any(has_models(part) for part in get_args(annotation))


@pytest.mark.parametrize("heading", TABLES)
def test_the_readme_has_a_row_for_every_key_with_its_default(heading: str) -> None:
    expected = {
        key: "required" if field.is_required() else field.get_default(call_default_factory=True)
        for key, field in TABLES[heading].model_fields.items()
        if not has_models(field.annotation)  # a section with a table of its own
    }
    found = {key: yaml.safe_load(default.strip("`")) for key, _, default in rows(heading)}
    assert found == expected


def test_the_readme_has_a_table_for_every_section_of_the_config() -> None:
    defined = set(study_schema()["$defs"])
    assert {model.__name__ for model in TABLES.values()} == defined | {"Study"}
    assert len(re.findall(r"^### `", README, re.M)) == len(TABLES) - 1


def test_the_readme_names_every_shipped_config() -> None:
    for path in SHIPPED:
        assert f"| `{path.relative_to(CONFIG)}` |" in README


def test_the_examples_of_the_readme_are_valid() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", README, re.S)
    assert examples
    for example in examples:
        assert faults({**load("config.yaml"), **yaml.safe_load(example)}) == []
