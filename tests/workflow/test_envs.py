"""One source of versions: requirements.in, the lock, the conda files and pyproject.toml agree."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ENVS = ROOT / "envs"
CONDA_FILES = ["science.yaml", "analysis.yaml"]
# Packages with another name on conda-forge than on PyPI.
PYPI_NAME = {"pytorch": "torch"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path: Path) -> dict[str, str]:
    """Exact pins of a requirements file; any other line than a pin or a comment is an error."""
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    matches = [re.fullmatch(r"([\w.-]+)==(\S+)", line) for line in lines if line]
    assert all(matches), f"{path.name} has lines that are not exact pins"
    return {normal(match[1]): match[2] for match in matches if match}


LOCK = pins(ENVS / "requirements.txt")


def test_direct_requirements_are_locked_as_chosen():
    chosen = pins(ENVS / "requirements.in")
    assert {name: LOCK.get(name) for name in chosen} == chosen


def test_no_local_version_in_the_lock():
    assert [name for name, version in LOCK.items() if "+" in version] == []
    assert "torch" in LOCK


@pytest.mark.parametrize("file", CONDA_FILES)
def test_conda_versions_are_those_of_the_lock(file: str):
    env = yaml.safe_load((ENVS / file).read_text())
    assert env["channels"] == ["conda-forge", "nodefaults"]
    versions = dict(package.split("=") for package in env["dependencies"])
    assert versions.pop("python") == "3.11"
    names = {PYPI_NAME.get(name, name): version for name, version in versions.items()}
    assert {name: LOCK.get(normal(name)) for name in names} == names


def test_analysis_needs_no_torch():
    assert "torch" not in (ENVS / "analysis.yaml").read_text().split("dependencies")[1]


def test_package_asks_for_nothing_that_is_not_chosen():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = project["dependencies"] + project["optional-dependencies"]["dev"]
    bounds = {normal(name): bound for name, bound in (one.split(">=") for one in asked)}
    chosen = pins(ENVS / "requirements.in")
    assert bounds.keys() == chosen.keys() - {"setuptools"}

    def number(version: str) -> tuple[int, ...]:
        return tuple(int(part) for part in version.split("."))

    assert [name for name in bounds if number(bounds[name]) > number(chosen[name])] == []
