"""Keys of a cell have one home: no other file spells two of them in one literal."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from overopt.config.cells import CELL_KEYS

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "overopt"
# Columns of the table of the paper's values, which is no table of cells.
EXCEPTIONS = {"config/cells.py", "analysis/paper_values.py"}
KEYS = set(CELL_KEYS) - {"num_parameters"}


def spelled(source: str) -> Iterator[set[str]]:
    """Keys of a cell in each list, tuple, set or dict of a source; starred parts count too."""
    for node in ast.walk(ast.parse(source)):
        entries: list[ast.expr | None] = []
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            entries = [*node.elts]
        elif isinstance(node, ast.Dict):
            entries = [*node.keys]
        parts = [
            e.value.elts if isinstance(e, ast.Starred) and isinstance(e.value, ast.Tuple) else [e]
            for e in entries
        ]
        constants = [e.value for part in parts for e in part if isinstance(e, ast.Constant)]
        yield KEYS & {value for value in constants if isinstance(value, str)}


def test_no_other_file_spells_two_keys_of_a_cell() -> None:
    paths = [path for path in PACKAGE.rglob("*.py")]
    names = {path.relative_to(PACKAGE).as_posix(): path for path in paths}
    found = {
        name: keys
        for name, path in names.items()
        if name not in EXCEPTIONS
        for keys in spelled(path.read_text(encoding="utf-8"))
        if len(keys) > 1
    }
    assert found == {}


@pytest.mark.parametrize(
    "source", ['["labels", "seed"]', '{"labels": 1, "seed": 2}', '(*("labels", "x"), "seed")']
)
def test_such_a_literal_is_found(source: str) -> None:
    assert {"labels", "seed"} in list(spelled(source))
