"""
The chat template of a published gold RM, made fixed once, as the checkpoint becomes a study's.

One of several is chosen, its clock shows one day, and one that draws at random is refused: a text
has one score, today and tomorrow.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, cast

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.meta import find_undeclared_variables
from jinja2.parser import Parser

from overopt.config.chat_format import ChatFormat
from overopt.errors import UserError
from overopt.jobs.provenance import write_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CLOCK = "strftime_now"
"""The function by which chat templates ask for the time."""
_DIRECTIVES = "aAbBcCdDeFgGhHIjklmMpPrRSTuUVwWxXyYzZf"


def fix_template(folder: Path, tokenizer: PreTrainedTokenizerFast, chat: ChatFormat) -> bool:
    """Leave one chat template in a folder's tokenizer_config.json, and the tokenizer, if any.

    A template that reads the clock is given one that shows a fixed day. Returns whether it was.

    Raises
    ------
    UserError
        There are several templates and none is chosen, or the chosen one is not there, or it draws
        at random.
    """
    template = _chosen_template(tokenizer, chat.template)
    if template is None:
        return False
    if drawing := random_parts(template):
        raise UserError(
            f"gold_rm.checkpoint: its chat template draws at random ({', '.join(drawing)}), so "
            "that one text has other scores each time; choose another model, or give a copy of "
            "its folder whose template does without"
        )
    reads_clock = CLOCK in template
    if reads_clock:
        template = stopped_clock(chat.date) + template
    tokenizer.chat_template = template
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, {**settings, "chat_template": template})
    return reads_clock


class _Generation(Extension):
    """The tag `generation`, which transformers adds to jinja: it marks what the model wrote."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Take the tag's body as if it stood alone."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def random_parts(template: str) -> list[str]:
    """What a chat template draws at random by: jinja's filter `random`, its function `lipsum`."""
    environment = Environment(extensions=["jinja2.ext.loopcontrols", _Generation])
    environment.globals.clear()  # so that what jinja brings counts as undeclared
    try:
        tree = environment.parse(template)
    except TemplateSyntaxError:
        return []  # rendering it tells what is wrong
    filters = list(tree.find_all(nodes.Filter))
    mapped = [node.args[0] for node in filters if node.name == "map" and node.args]
    names = {node.name for node in filters}
    names |= {node.value for node in mapped if isinstance(node, nodes.Const)}
    found = ["the filter random"] if "random" in names else []
    return found + ["the function lipsum"] * ("lipsum" in find_undeclared_variables(tree))


def stopped_clock(day: date) -> str:
    """A macro in place of the clock that transformers gives to templates; it shows midnight."""
    text = "format"
    for letter in _DIRECTIVES:
        for directive in (f"%{letter}", f"%-{letter}"):
            shown = day.strftime(f"%{letter}")
            if "-" in directive:
                shown = shown.lstrip("0") or "0"
            text += f"|replace({json.dumps(directive)},{json.dumps(shown)})"
    text += '|replace("%%","%")'
    # The line break is removed by the renderer (trim_blocks).
    return f"{{%- macro {CLOCK}(format) -%}}{{{{ {text} }}}}{{%- endmacro %}}\n"


def _chosen_template(tokenizer: PreTrainedTokenizerFast, name: str | None) -> str | None:
    templates = cast("dict[str, str] | str | None", tokenizer.chat_template)
    if not isinstance(templates, dict):
        if name is not None:
            raise UserError(
                f"gold_rm.chat.template: {name!r}, but the checkpoint has "
                f"{'one template without a name' if templates else 'none'}; remove the key"
            )
        return templates
    chosen = templates.get(name or "default")
    if chosen is None:
        found = "several chat templates and none of them is the default"
        raise UserError(
            f"gold_rm.chat.template: {found if name is None else f'there is no {name!r}'}; choose "
            f"one of {', '.join(sorted(templates))}"
        )
    return chosen
