"""
Every figure and table: its name, its number in the paper, its place in the report.

Snakemake reads it when it plans, so it imports no matplotlib: it finds the figures in the source,
by the decorator `overopt.figures.registry.figure` above the function that draws each. Numbers are
those of the arXiv version of Gao et al. 2022; what the paper does not have has no number.
"""

import ast
from pathlib import Path
from typing import NamedTuple

# Places in the report's menu, which Snakemake sorts by the alphabet: after "Claims" and
# "Coefficients", figures by the paper's section, then "Run" and the tables.
OVERVIEW = "Figures of section 1: overview"
RM_SIZE = "Figures of section 3.2: RM size"
RM_DATA = "Figures of section 3.3: RM data"
POLICY_SIZE = "Figures of section 3.4: policy size"
METHODS = "Figures of section 3.5: RL and best-of-n"
KL_PENALTY = "Figures of section 3.6: KL penalty"
FITS = "Figures on fits and proxies"
TABLE = "Tables"


class Entry(NamedTuple):
    """One figure or table. `name` is that of its file and of its caption, without a suffix."""

    name: str
    category: str
    subcategory: str
    title: str

    @property
    def number(self) -> str:
        """The paper's number as a person writes it ("1a"), or "new" where the paper has none."""
        number = self.name.partition("_")[2]
        return number.lstrip("0") if number[0].isdigit() else "new"

    @property
    def labels(self) -> dict[str, str]:
        """Columns of the report's list, one only.

        Snakemake 9 makes a switch of a second column that has two values, and its page fails where
        the entries do not pair up.
        """
        return {"figure": f"{self.name.partition('_')[2].replace('_', ' ')}: {self.title}"}


def _figures() -> tuple[Entry, ...]:
    """Arguments of every `@figure` in this folder: the paper's figures by number, then new ones."""
    entries = [
        _entry(decorator)
        for path in sorted(Path(__file__).parent.glob("*.py"))
        for function in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(function, ast.FunctionDef)
        for decorator in function.decorator_list
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "figure"
    ]
    return tuple(sorted(entries, key=lambda entry: (entry.number == "new", entry.name)))


def _entry(call: ast.Call) -> Entry:
    places = {str(keyword.arg): _value(keyword.value) for keyword in call.keywords}
    name = f"figure_{_value(call.args[0])}"
    return Entry(name, places["category"], places["group"], places["title"])


def _value(node: ast.expr) -> str:
    """A literal, or one of the categories above by its name."""
    return str(globals()[node.id] if isinstance(node, ast.Name) else ast.literal_eval(node))


FIGURES = _figures()
TABLES = (
    Entry("table_01", TABLE, "Settings", "Hyperparameters beside the paper's"),
    Entry("table_02", TABLE, "Responses", "The best of the first n to one prompt"),
)
