"""The packages stand on floors: each imports only what stands before it, and none in a circle."""

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from workflow_example import ROOT

SOURCE = ROOT / "src" / "overopt"
FLOORS = (
    *("errors", "terminal", "randomness"),
    *("config", "theory", "jobs"),
    *("models", "policy", "data", "reward_model", "methods"),
    *("analysis", "claims", "predictions", "figures", "report"),
    *("study", "runs", "audit", "cli"),
)
"""Packages and loose modules in the order of the method: none imports one that comes after it."""
TRAINING = {"models", "policy", "data", "reward_model", "methods"}
STATISTICS = {"theory", "analysis", "claims", "predictions", "figures", "report", "runs"}
ACROSS = {("figures.single_prompt", "models.tokens")}
"""Statistics that import of the training tower: table 2 shows responses, which are token ids."""


def imports(source: Path = SOURCE) -> dict[str, set[str]]:
    """Modules of the package that each module imports, at its top or inside a function."""
    paths = {_name(path, source): path for path in source.rglob("*.py")}
    found: dict[str, set[str]] = {name: set() for name in paths}
    for name, path in paths.items():
        for target in _imported(path):
            while target and target not in paths:  # a function or class of a module
                target = target.rpartition(".")[0]
            if target and target != name:
                found[name].add(target)
    return found


def _name(path: Path, source: Path) -> str:
    return ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("overopt."):
            for alias in node.names:
                yield f"{node.module}.{alias.name}".removeprefix("overopt.")
        elif isinstance(node, ast.Import):
            yield from (
                alias.name.removeprefix("overopt.")
                for alias in node.names
                if alias.name.startswith("overopt.")
            )


def arrows(graph: Mapping[str, set[str]]) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """Imports from one package to another, with the modules at both ends."""
    result = defaultdict(set)
    for module, targets in graph.items():
        for target in targets:
            ends = module.split(".")[0], target.split(".")[0]
            if ends[0] != ends[1]:
                result[ends].add((module, target))
    return result


def test_every_package_has_its_floor() -> None:
    rooms = {name.split(".")[0] for name in imports()} - {"__init__"}
    assert rooms == set(FLOORS)


def test_no_package_imports_one_that_comes_after_it() -> None:
    place = {room: number for number, room in enumerate(FLOORS)}
    upward = {
        ends: modules
        for ends, modules in arrows(imports()).items()
        if place[ends[0]] < place[ends[1]]
    }
    assert upward == {}


def test_no_module_imports_itself_through_others() -> None:
    TopologicalSorter(imports()).prepare()  # raises CycleError


def test_statistics_read_tables_and_no_models() -> None:
    crossings = {
        modules
        for ends, found in arrows(imports()).items()
        if ends[0] in STATISTICS and ends[1] in TRAINING
        for modules in found
    }
    assert crossings == ACROSS


def test_theory_and_config_stand_on_the_ground() -> None:
    found = {end for start, end in arrows(imports()) if start in ("theory", "config")}
    assert found == {"errors"}


def test_a_circle_and_an_arrow_back_up_are_seen(tmp_path: Path) -> None:
    """The graph sees imports inside functions and below TYPE_CHECKING."""
    for name, text in {
        "theory/a.py": "def f():\n    from overopt.models.b import g\n",
        "models/b.py": "if TYPE_CHECKING:\n    import overopt.theory.a\n",
    }.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    graph = imports(tmp_path)
    assert graph == {"theory.a": {"models.b"}, "models.b": {"theory.a"}}
    assert arrows(graph) == {
        ("theory", "models"): {("theory.a", "models.b")},
        ("models", "theory"): {("models.b", "theory.a")},
    }
    with pytest.raises(ValueError, match="cycle"):
        TopologicalSorter(graph).prepare()


def test_statistics_are_tested_without_torch() -> None:
    """Neither the tests nor what they import load torch; their conftest.py sees to the rest."""
    folders = [f"tests/{name}" for name in sorted(STATISTICS - {"runs"})]
    collect = "import sys, pytest; pytest.main(['-q', '--collect-only', *sys.argv[1:]]); "
    collect += "assert not {'torch', 'transformers'}.intersection(sys.modules)"
    command = [sys.executable, "-c", collect, *folders]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    for folder in folders:
        assert "forbid_torch" in (ROOT / folder / "conftest.py").read_text()
