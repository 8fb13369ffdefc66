"""
Captions of the figures in Snakemake's report, written from the docstrings that draw them.

python -m overopt.figures.captions    write workflow/report/figure_*.rst; a test compares them
"""

import inspect
import textwrap
from pathlib import Path

from overopt.figures.drawing import DRAW

WIDTH = 100
FOLDER = Path(__file__).resolve().parents[3] / "workflow" / "report"


def captions() -> dict[str, str]:
    """Caption of every figure by its name: the docstring without its first paragraph."""
    return {name: _caption(inspect.getdoc(draw) or "") for name, draw in DRAW.items()}


def _caption(docstring: str) -> str:
    paragraphs = docstring.split("\n\n")[1:]
    return "\n\n".join(_filled(paragraph) for paragraph in paragraphs) + "\n"


def _filled(paragraph: str) -> str:
    text = " ".join(paragraph.split())
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    for name, text in captions().items():
        (FOLDER / f"{name}.rst").write_text(text, encoding="utf-8")
