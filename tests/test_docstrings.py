"""Public docstrings stand alone: a sentence or a noun phrase, never the rest of a sentence."""

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src" / "overopt"
FRAGMENTS = (
    *("Of ", "The same ", "As ", "Those ", "These ", "From ", "By ", "On ", "For ", "So ", "Like "),
    *("None ", "They ", "It ", "Its ", "Their ", "And ", "In a ", "At most"),
)
SHORTEST = 3  # words


def public(node: ast.AST) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Public functions, classes and their public members, but nothing inside a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef) and not child.name.startswith("_"):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from public(child)


def attributes(tree: ast.Module) -> Iterator[str]:
    """What stands below a constant or a field."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef):
            for assignment, text in pairwise(node.body):
                match assignment, text:
                    case ast.Assign() | ast.AnnAssign(), ast.Expr(ast.Constant(str(value))):
                        yield inspect.cleandoc(value)


def faults(source: str) -> list[str]:
    """Docstrings of this source that start as a fragment, are too short or lack their period."""
    tree = ast.parse(source)
    texts = [ast.get_docstring(node) for node in (tree, *public(tree))]
    texts += attributes(tree)
    first = [" ".join(text.split("\n\n")[0].split()) for text in texts if text]
    return [text for text in first if is_fragment(text)]


def is_fragment(text: str) -> bool:
    is_whole = text.endswith((".", ":", "?"))
    return text.startswith(FRAGMENTS) or len(text.split()) < SHORTEST or not is_whole


def test_fragments_are_found() -> None:
    source = 'class A:\n    def b(self):\n        """{}"""\n'
    assert faults(source.format("Of the weights.")) == ["Of the weights."]
    assert faults(source.format("All figures.")) == ["All figures."]
    assert faults(source.format("Data type of the weights")) == ["Data type of the weights"]
    assert faults(source.format("Data type of the weights.")) == []
    assert faults('SIZE = 3\n"""Of one batch."""\n') == ["Of one batch."]
    assert faults('SIZE = 3\n"""Rows of one batch."""\n') == []


def test_every_public_docstring_stands_alone() -> None:
    found = {
        str(path.relative_to(SOURCE)): bad
        for path in SOURCE.rglob("*.py")
        if (bad := faults(path.read_text(encoding="utf-8")))
    }
    assert found == {}
