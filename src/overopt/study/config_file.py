"""
The text of a config, looked at before its values: plain data, and each key once.

    python -m overopt.study.config_file FILE...     all faults of a config, without Snakemake

Snakemake's own reader keeps the last of two equal keys in silence, and evaluates Python in a config
that says `__use_yte__: true`. It reads a `--configfile` before the workflow starts: whoever checks
the text in there stops the run, but comes too late to stop such an evaluation. So a config that
somebody else wrote is checked by the line above, first; here nothing is ever evaluated.
"""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import yaml

from overopt.errors import UserError, in_one_line
from overopt.study.faults import MAX_VALUES
from overopt.study.study import named_plugins, read_study
from overopt.terminal import show_any_character

MAX_BYTES = 256 * 2**10
"""Largest file; Snakemake's reader takes seconds for more, and the longest of ours has 5 KB."""
MAX_FAULTS_SHOWN = 20
TEMPLATE_KEY = "__use_yte__"
_TAGS = ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge")
_PLAIN = {f"tag:yaml.org,2002:{tag}" for tag in _TAGS}
# Plain scalars that YAML 1.1 takes for another number than a person, with what it takes them for.
_OTHER_NUMBERS = (
    (re.compile(r"[-+]?0[0-7_]+"), "an octal number"),
    (re.compile(r"[-+]?0b[01_]+"), "a binary number"),
    (re.compile(r"[-+]?0x[0-9a-fA-F_]+"), "a hexadecimal number"),
    (re.compile(r"[-+]?\d[\d_]*(:[0-5]?\d)+(\.[\d_]*)?"), "a number to the base 60"),
)


def read_config_file(path: Path) -> object:
    """What a config in YAML or JSON holds.

    Raises
    ------
    UserError
        The file cannot be read, is no YAML, has a key twice, a tag (`!!python/name`), a number that
        YAML reads otherwise than a person (`010` is 8), or asks for templates (`__use_yte__`):
        every such place with its line.
    """
    text = _text_of(path)
    try:  # first, as Snakemake does
        return json.loads(text, object_pairs_hook=_object_without_repeats)
    except _RepeatedKey as error:
        raise UserError(f"{path}: the key {error} comes twice in one object; keep one") from None
    except RecursionError:
        raise UserError(f"{path}: nested too deeply to be read") from None
    except ValueError:
        pass
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None and (faults := list(_faults(root))):
            raise UserError(_report(path, faults))
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}, line {line}: no YAML ({error.problem})") from error
    except RecursionError:
        raise UserError(f"{path}: nested too deeply to be read") from None
    # A number or a date that Python cannot hold, a character that YAML forbids.
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path}: no YAML ({in_one_line(error)})") from error


def only_last_counts(arguments: Sequence[str]) -> str | None:
    """A sentence where a command line of Snakemake gives `--configfile` more than once."""
    options = ("--configfile", "--configfiles")
    given = [word for word in arguments if word.split("=")[0] in options]
    if len(given) < 2:
        return None
    return (
        f"--configfile stands {len(given)} times on the command line, and only the last counts; to "
        "have one file add to another, give both after one --configfile"
    )


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if len(content) > MAX_BYTES:
        raise UserError(f"{path}: larger than {MAX_BYTES // 2**10} KiB; is it a config?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {line}: not UTF-8; save the file as UTF-8") from error


class _RepeatedKey(Exception):
    pass


def _object_without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content: dict[str, object] = {}
    for name, value in pairs:
        if name in content:
            raise _RepeatedKey(repr(name)[:80])
        content[name] = value
    return content


def _faults(root: yaml.Node) -> Iterator[tuple[int, str]]:
    """Faults of a document with their lines."""
    unseen, num_seen = [root], 0
    while unseen:
        node = unseen.pop()
        num_seen += 1
        line = node.start_mark.line + 1
        if num_seen > MAX_VALUES:  # what an alias repeats counts again
            yield line, f"more than {MAX_VALUES:,} values; has it an alias that repeats others?"
            return
        if node.tag not in _PLAIN:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            yield line, f"the tag {tag!r:.80}: a config holds plain values only; remove it"
        if isinstance(node, yaml.ScalarNode) and (fault := _number_fault(node)):
            yield line, fault
        if isinstance(node, yaml.MappingNode):
            yield from _key_faults(node)
            unseen += [part for entry in node.value for part in entry]
        elif isinstance(node, yaml.SequenceNode):
            unseen += node.value


def _key_faults(mapping: yaml.MappingNode) -> Iterator[tuple[int, str]]:
    first: dict[str, int] = {}
    for key, _ in mapping.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        line = key.start_mark.line + 1
        if key.value in first:
            yield (
                line,
                f"the key {key.value!r:.80} comes twice (first on line {first[key.value]}), and "
                "only the last would count; keep one",
            )
        first.setdefault(key.value, line)
        if key.value == TEMPLATE_KEY:
            yield (
                line,
                f"{TEMPLATE_KEY} makes Snakemake evaluate what stands in a config; here a config "
                "is data: remove it",
            )


def _number_fault(scalar: yaml.ScalarNode) -> str | None:
    """Why a plain scalar is another value to YAML 1.1 than to a person; None of any other."""
    if scalar.style is not None:  # in quotes: text
        return None
    written = cast(str, scalar.value)
    if scalar.tag.endswith(":timestamp"):
        return f"{written} is a date to YAML; put it in quotes if it is a text"
    if scalar.tag.endswith(":bool") and written.lower() not in ("true", "false"):
        return f"{written} is true or false to YAML; write true or false, or put it in quotes"
    if not scalar.tag.endswith((":int", ":float")):
        return None
    for pattern, kind in _OTHER_NUMBERS:
        if pattern.fullmatch(written):
            read = yaml.safe_load(written)
            return (
                f"YAML reads {written} as {kind} ({read!r}); write a plain decimal number, or put "
                "it in quotes if it is a text"
            )
    return None


def _report(path: Path, faults: list[tuple[int, str]]) -> str:
    lines = [f"  line {line}: {fault}" for line, fault in sorted(faults)]
    if len(lines) > MAX_FAULTS_SHOWN:
        lines[MAX_FAULTS_SHOWN:] = [f"  and {len(lines) - MAX_FAULTS_SHOWN:,} more"]
    return "\n".join([f"{path}:", *lines])


def main(paths: list[str]) -> int:
    """Print the faults of each file, or that it has none; 1 where there is a fault."""
    show_any_character()
    status = 0
    for path in paths:
        try:
            config: Any = read_config_file(Path(path))
            if code := named_plugins(config) if isinstance(config, dict) else []:
                print(
                    f"{path}: names code that every run of it executes: plugins {', '.join(code)}. "
                    "Read it first. It is not imported here, so names that it registers are unknown"
                )
            read_study(config, imports_plugins=False)
            print(f"{path}: no faults")
        except UserError as error:
            status = 1
            print(error if path in str(error) else f"{path}: {error}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
