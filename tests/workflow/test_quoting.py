"""Paths in commands: each is quoted, since a user's folder may have a space, a quote, a bracket."""

import re
from pathlib import Path

import pytest

from workflow_example import ROOT

RULES = sorted((ROOT / "workflow" / "rules").glob("*.smk"))
WITH_COMMANDS = [path for path in RULES if "    shell:" in path.read_text(encoding="utf-8")]
SHELL = re.compile(r"^    shell:\n((?:        .+\n)+)", re.MULTILINE)
VALUE = re.compile(r"\{([^{}]+)\}")
# No paths of users: a digest, the start of a command in its own quotes, a file below .snakemake.
UNQUOTED = re.compile(r"params\.code|resources\.launch|LISTS\.\w+")


@pytest.mark.parametrize("rules", WITH_COMMANDS, ids=lambda path: path.stem)
def test_every_path_in_a_command_is_quoted(rules: Path) -> None:
    commands = SHELL.findall(rules.read_text(encoding="utf-8"))
    assert commands
    values = [value for command in commands for value in VALUE.findall(command)]
    assert any(value == "REPO:q" for value in values)
    assert [v for v in values if not v.endswith(":q") and not UNQUOTED.fullmatch(v)] == []


def test_commands_split_no_path_anew() -> None:
    """What the shell puts in place of `$file` is split at spaces, unless it is in quotes."""
    text = "".join(path.read_text(encoding="utf-8") for path in RULES)
    assert re.findall(r'(?<!")\$(?:\w+|[@*(])', "".join(SHELL.findall(text))) == []
