"""
Parts of the report's own pages: a page, a table that sorts, settings as YAML; all self-contained.

Everything that comes from a table or a config is escaped. The pages need no other file and no
network; the one script on them sorts tables and is written out below.
"""

import html
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; color: #1a1a1a;
  background: #fff; max-width: 110rem; margin: 1.5rem auto; padding: 0 1.5rem 3rem; }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
p, ul { max-width: 56rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; }
th, td { padding: .35rem .6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid #ddd; }
th { background: #f3f4f6; cursor: pointer; position: sticky; top: 0;
  vertical-align: bottom; }
td.short { white-space: nowrap; }
th[data-order="up"]::after { content: " \\25B2"; }
th[data-order="down"]::after { content: " \\25BC"; }
#claims td:nth-child(2) { min-width: 12rem; } #claims td:nth-child(4) { min-width: 24rem; }
tfoot td { font-weight: 600; border-top: 2px solid #999; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.verdict { display: inline-block; padding: .05rem .55rem; border-radius: .6rem; font-weight: 600;
  white-space: nowrap; }
.supported { background: #d5efdc; color: #0b5226; }
.contradicted { background: #fbd9d3; color: #84180a; }
.inconclusive { background: #fdeec4; color: #6a4700; }
.not-run { background: #e6e7ea; color: #43464d; }
.small { color: #555; font-size: .85rem; }
pre { background: #f6f7f9; padding: .8rem 1rem; overflow-x: auto; font-size: .82rem; }
@media print { th { position: static; } body { max-width: none; } }
"""

SCRIPT = """
for (const header of document.querySelectorAll("th")) {
  header.title = "Click to sort";
  header.addEventListener("click", () => {
    const table = header.closest("table"), column = header.cellIndex;
    const up = header.dataset.order !== "up";
    for (const other of table.querySelectorAll("th")) delete other.dataset.order;
    header.dataset.order = up ? "up" : "down";
    const rows = [...table.tBodies[0].rows];
    rows.sort((first, second) => {
      const x = first.cells[column], y = second.cells[column];
      if (!x.textContent || !y.textContent) return !x.textContent - !y.textContent;  // empty last
      const order = "sort" in x.dataset ? x.dataset.sort - y.dataset.sort
        : x.textContent.localeCompare(y.textContent, "en", { numeric: true });
      return up ? order : -order;
    });
    table.tBodies[0].append(...rows);
  });
}
"""


SHORT = 24  # characters of a text that is not broken over lines


class Cell(NamedTuple):
    """A cell of a table: its HTML, and for numbers what it sorts by."""

    html: str
    sort: float | None = None


def page(title: str, *parts: str) -> str:
    """A whole HTML document with this title and these parts, which are HTML."""
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{html.escape(title)}</h1>\n{body}\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


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
    head = "".join(f"<th>{html.escape(header)}</th>" for header in headers)
    body = "\n".join(map(_table_row, rows))
    foot = f"<tfoot>{_table_row(footer)}</tfoot>" if footer else ""
    identifier = f' id="{html.escape(name)}"' if name else ""
    return (
        f'<div class="scroll"><table{identifier}><thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>{foot}</table></div>"
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


def _table_row(row: Sequence[Cell]) -> str:
    return f"<tr>{''.join(map(_table_cell, row))}</tr>"


def _table_cell(cell: Cell) -> str:
    if cell.sort is None:
        is_short = len(cell.html) <= SHORT
        return f'<td class="short">{cell.html}</td>' if is_short else f"<td>{cell.html}</td>"
    return f'<td class="number" data-sort="{cell.sort!r}">{cell.html}</td>'


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
