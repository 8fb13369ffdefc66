"""
Responses that begin with their own prompt: the prompt is taken off, and the log says so.

Many data sets hold whole texts, prompt and answer, beside a column with the prompt. Read as they
are, each prompt would stand twice in a text, and a policy would learn to repeat what it was asked.
"""

from pathlib import Path

import pandas as pd

from overopt.errors import UserError

SHARE_TAKEN_OFF = 0.9
"""Share of a column's texts from which on the prompt is taken off all that begin with it."""
SHARE_TOLD = 0.1
"""Share from which on the log tells how many there are; they stay as they are."""
MAX_LINES_NAMED = 20


def without_repeated_prompts(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a file, with prompts taken off the columns that nearly always begin with them.

    `table` has the column prompt and one or two columns of responses. Each column of responses
    counts by itself. A text begins with its prompt where the prompt, without white space around it,
    is its start, white space apart, something follows, and no word goes on there. What
    follows stays as it is.

    Raises
    ------
    UserError
        A response is nothing but its prompt, or both responses of a row are then the same: names
        the lines.
    """
    responses = [column for column in table.columns if column != "prompt"]
    taken_off = [column for column in responses if _takes_off(path, table, column)]
    if not taken_off:
        return table
    for column in taken_off:
        pairs = zip(table["prompt"], table[column], strict=True)
        rest = [_without(prompt, text) for prompt, text in pairs]
        table = table.assign(**{column: rest})
        _refuse(path, [not text.strip() for text in rest], f"{column!r} is nothing but its prompt")
    if len(responses) == 2:
        is_same = (table[responses[0]] == table[responses[1]]).tolist()
        _refuse(path, is_same, "but for the prompt, both responses are the same text")
    return table


def _takes_off(path: Path, table: pd.DataFrame, column: str) -> bool:
    pairs = zip(table["prompt"], table[column], strict=True)
    count = sum(bool((_after_prompt(prompt, text) or "").strip()) for prompt, text in pairs)
    if count < SHARE_TOLD * len(table):
        return False
    is_taken_off = count >= SHARE_TAKEN_OFF * len(table)
    done = "taken off" if is_taken_off else f"left there, since below {SHARE_TAKEN_OFF:.0%}"
    found = f"{count:,} of {len(table):,} texts of {column!r} begin with their prompt"
    print(f"{path}: {found}: {done}")
    return is_taken_off


def _without(prompt: str, text: str) -> str:
    rest = _after_prompt(prompt, text)
    return text if rest is None else rest


def _after_prompt(prompt: str, text: str) -> str | None:
    """What follows the prompt in a text that begins with it; None in any other text."""
    if text.startswith(prompt):
        start, rest = prompt, text[len(prompt) :]
    else:
        start, stripped = prompt.strip(), text.lstrip()
        if not stripped.startswith(start):
            return None
        rest = stripped[len(start) :]
    is_inside_word = start[-1:].isalnum() and rest[:1].isalnum()
    return None if is_inside_word else rest


def _refuse(path: Path, is_faulty: list[bool], fault: str) -> None:
    lines = [number for number, faulty in enumerate(is_faulty, start=1) if faulty]
    if lines:
        named = ", ".join(map(str, lines[:MAX_LINES_NAMED]))
        more = f" and {len(lines) - MAX_LINES_NAMED:,} more" if len(lines) > MAX_LINES_NAMED else ""
        raise UserError(f"{path}: {fault}: line {named}{more}. Give a text, or remove the rows")
