"""
Parts of the report's own pages: a page, a table that sorts, settings as YAML; all self-contained.

Everything that comes from a table or a config is escaped. The pages need no other file and no
network; `page.html` has their style and their one script, which sorts tables.
"""

import html
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

SHORT = 24  # characters of a text that is not broken over lines
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)


class Cell(NamedTuple):
    """A cell of a table: its HTML, and for numbers what it sorts by."""

    html: str
    sort: float | None = None


def page(title: str, *parts: str) -> str:
    """A whole HTML document with this title and these parts, which are HTML."""
    return TEMPLATES.get_template("page.html").render(title=title, parts=parts)


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{html.escape(text)}</p>"


def heading(text: str) -> str:
    """A heading below that of the page."""
    return f"<h2>{html.escape(text)}</h2>"


def text_cell(value: object) -> Cell:
    """A cell of plain text; empty for None and NaN."""
    return Cell("" if _is_missing(value) else html.escape(str(value)))


def number_cell(value: object, digits: int = 3, *, sign: bool = False) -> Cell:
    """A number with this many significant digits (whole numbers in full); empty for NaN."""
    if _is_missing(value):
        return Cell("")
    number = float(value)  # type: ignore[arg-type]
    return Cell(format_number(number, digits, sign=sign), number)


def interval_cell(estimate: object, low: object, high: object, *, sign: bool = False) -> Cell:
    """An estimate with its interval, where there is one; sorted by the estimate."""
    cell = number_cell(estimate, sign=sign)
    if cell.html == "" or _is_missing(low) or _is_missing(high):
        return cell
    bounds = (format_number(float(bound)) for bound in (low, high))  # type: ignore[arg-type]
    return Cell(f"{cell.html} [{', '.join(bounds)}]", cell.sort)


def format_number(value: float, digits: int = 3, *, sign: bool = False) -> str:
    """A number for a reader: three digits, thousands with commas, no exponent unless tiny."""
    plus = "+" if sign and value != 0 else ""
    if value == int(value) and abs(value) < 1e15:
        return f"{value:{plus},.0f}"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:{plus},.0f}"
    if abs(value) < 1e-4:
        return f"{value:{plus}.1e}"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:{plus}.{decimals}f}"


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    name: str = "",
    *,
    footer: Sequence[Cell] = (),
) -> str:
    """A table whose headers sort it when clicked; `name` becomes its id, `footer` stays below."""
    return TEMPLATES.get_template("table.html").render(
        headers=headers, rows=rows, name=name, footer=footer, longest_short=SHORT
    )


def yaml_lines(value: Any, indent: int = 0) -> list[str]:
    """Settings as lines of YAML: mappings in blocks, lists and plain values as JSON has them."""
    lines = []
    for key, item in value.items():
        name = f"{' ' * indent}{json.dumps(key) if _needs_quotes(key) else key}:"
        if isinstance(item, Mapping) and item:
            lines += [name, *yaml_lines(item, indent + 2)]
        else:
            lines.append(f"{name} {json.dumps(item, ensure_ascii=False)}")
    return lines


def preformatted(lines: Sequence[str]) -> str:
    """Lines in a fixed-width block."""
    return f"<pre>{html.escape(chr(10).join(lines))}</pre>"


def _needs_quotes(key: str) -> bool:
    """Whether YAML would read this key as something else than text."""
    return not key.replace("_", "a").isalnum() or not key[0].isalpha() or key in _YAML_WORDS


_YAML_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
