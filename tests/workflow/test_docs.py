"""What the documents name exists: files, modules, tests, commands, targets, links, anchors."""

import importlib.util
import re
from functools import cache
from pathlib import Path

import pytest

from overopt.cli import app

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (".", "docs", "config", "workflow", "profiles", "envs")
DOCS = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.md"))
CODE = [
    path
    for folder in ("src", "tests", "workflow", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
]
NAMES = [str(doc.relative_to(ROOT)) for doc in DOCS]
each_document = pytest.mark.parametrize("name", NAMES)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def source_of_tests() -> str:
    return "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a Markdown text."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


def missing_links(document: Path, text: str) -> list[str]:
    """Internal links of a document whose file or anchor does not exist."""
    missing: list[str] = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if re.match(r"\w+:", path):
            continue
        file = document.parent / path if path else document
        is_bad = not file.exists() or (anchor and anchor not in anchors(file.read_text("utf-8")))
        missing += [target] if is_bad else []
    return missing


def has_module(dotted: str) -> bool:
    """Whether a dotted name of overopt is a module, or a name defined in one."""
    parent, _, last = dotted.rpartition(".")
    spec = importlib.util.find_spec(parent) if parent else None
    if spec is None or spec.origin is None:
        return False
    if spec.submodule_search_locations and importlib.util.find_spec(dotted):
        return True
    return re.search(rf"\b{last}\b", Path(spec.origin).read_text("utf-8")) is not None


def test_the_checks_find_what_is_missing() -> None:
    document = ROOT / "README.md"
    assert missing_links(document, "[a](docs/nowhere.md) [b](#nothing) [c](LICENSE)") == [
        "docs/nowhere.md",
        "#nothing",
    ]
    assert has_module("overopt.theory.kl")
    assert not has_module("overopt.kl")


@each_document
def test_internal_links_and_anchors_exist(name: str) -> None:
    assert missing_links(ROOT / name, text_of(name)) == []


@each_document
def test_python_files_exist(name: str) -> None:
    paths = [f"/{path.relative_to(ROOT).as_posix()}" for path in CODE]
    named = set(re.findall(r"`([\w/]+\.py)`", text_of(name)))
    assert [file for file in named if not any(path.endswith(f"/{file}") for path in paths)] == []


@each_document
def test_modules_exist(name: str) -> None:
    named = set(re.findall(r"\b(overopt(?:\.\w+)+)", text_of(name)))
    assert [module for module in named if not has_module(module)] == []


@each_document
def test_test_functions_exist(name: str) -> None:
    tests = re.findall(r"^def (test_\w+)", source_of_tests(), re.MULTILINE)
    named = set(re.findall(r"`(test_\w+)\*?`", text_of(name)))
    assert [one for one in named if not any(test.startswith(one) for test in tests)] == []


@each_document
def test_commands_and_targets_exist(name: str) -> None:
    functions = (command.callback for command in app.registered_commands)
    commands = {function.__name__ for function in functions if function}
    commands |= {str(command.name) for command in app.registered_commands}
    targets = set(re.findall(r"^([\w-]+):", text_of("Makefile"), re.MULTILINE))
    code = "\n".join(
        re.findall(r"```sh\n.*?```|```bash\n.*?```|`[^`\n]+`", text_of(name), re.DOTALL)
    )
    assert set(re.findall(r"(?:^|`|\$ )overopt ([a-z-]+)", code, re.MULTILINE)) <= commands
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", code, re.MULTILINE)) <= targets


def test_the_map_names_every_package_once() -> None:
    packages = {path.parent.name for path in (ROOT / "src/overopt").glob("*/__init__.py")}
    named = re.findall(r"^  (\w+)/ ", text_of("README.md"), re.MULTILINE)
    assert sorted(named) == sorted(packages)
