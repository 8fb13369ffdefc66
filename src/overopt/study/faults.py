"""
The sections of a config, each parsed by itself, and every fault of theirs in words.

pydantic finds the faults; a person is told for each the key, what was found, what was expected and
what to do. Numbers may come as text: YAML 1.1 reads `1e-3` (without a dot) as text, and so does
whatever was written after `--config`.
"""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Union, cast, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from overopt.errors import UserError

# A study has some hundreds of values, four deep. Ten lines of YAML can stand for gigabytes, since
# an alias repeats what it names, or for a list that holds itself.
MAX_VALUES = 10_000
MAX_DEPTH = 16
MAX_TEXT = 4096
MAX_DIGITS = 1000
_LARGEST = 2**63 - 1
"""Largest whole number: what arrays hold, and paths."""

_EXPECTED = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "text",
    "string_too_long": "at most {max_length} characters",
    "finite_number": "a number that is finite",
    "list_type": "a list, as in [a, b]",
    "dict_type": "keys with values",
    "invalid_key": "a key that is text",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values",
    "literal_error": "{expected}",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
}
PATTERNS_IN_WORDS = {
    r"^[A-Za-z0-9][A-Za-z0-9_-]*$": "letters, digits, - and _, with a letter or digit first",
    r"^[A-Za-z0-9]+$": "a name of letters and digits only",
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$": "a commit of 40 hex digits, or the name of a tag or branch",
    r"^[a-z][a-z0-9_]*$": "lower-case letters, digits and _, with a letter first",
    r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$": "a Python module, as my_package.mine",
    r"^[0-9a-f]{40}$": "a commit of 40 hexadecimal digits (a branch or a tag can move)",
}
_NOT_FINITE = ("inf", "infinity", "nan")


def refuse_excess(config: Mapping[str, object]) -> None:
    """Raise `UserError` where a section holds more than any study needs.

    Before anything else is made of a config: whatever walks through it then comes to an end.
    """
    for section, content in config.items():
        if fault := _excess(section):
            raise UserError(f"the name of a section: {fault}; nothing was run")
        if fault := _excess(content):
            raise UserError(f"{printable(_step(section))}: {fault}; nothing was run")


def _excess(content: object) -> str | None:
    unseen, num_values = [(content, 0)], 0
    while unseen:
        value, depth = unseen.pop()
        num_values += 1
        if num_values > MAX_VALUES:
            return f"more than {MAX_VALUES:,} values; has it an alias that repeats others?"
        if depth > MAX_DEPTH:
            return f"nested deeper than {MAX_DEPTH} levels; a config needs four"
        if isinstance(value, str) and len(value) > MAX_TEXT:
            return f"a text of {len(value):,} characters; expected at most {MAX_TEXT:,}"
        if isinstance(value, int) and value.bit_length() > 3 * MAX_DIGITS:
            return f"a number of about {int(value.bit_length() * 0.30103):,} digits; write less"
        if isinstance(value, Mapping):
            entries = cast(Mapping[object, object], value).items()
            unseen += [(part, depth + 1) for entry in entries for part in entry]
        elif isinstance(value, list | tuple | set):
            unseen += [(part, depth + 1) for part in cast(Collection[object], value)]
    return None


def printable(text: str) -> str:
    """A text on one line, with escapes for what could garble a terminal or a log."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def parse_sections(
    model: type[BaseModel], config: Mapping[str, object]
) -> tuple[dict[str, object], list[str]]:
    """Each field of `model` parsed by itself, so that a fault in one hides none in another.

    Returns the sections that hold, by name, and the faults of the others, one sentence each.
    """
    sections: dict[str, object] = {}
    fields = model.model_fields
    faults = [_unknown_key(_step(key), str(key), fields) for key in config if key not in fields]
    for name, field in fields.items():
        if name not in config:
            if field.is_required():
                faults.append(_missing(name, field))
            else:
                sections[name] = field.get_default(call_default_factory=True)
            continue
        # The field's constraints and discriminator are part of its metadata.
        adapter: TypeAdapter[object] = TypeAdapter(Annotated[field.annotation, field])  # type: ignore[valid-type]
        try:
            section = adapter.validate_python(_as_text(config[name]))
        except ValidationError as error:
            faults += [_in_words(name, field.annotation, detail) for detail in error.errors()]
            continue
        if too_large := list(_too_large(name, adapter.dump_python(section))):
            faults += too_large
        else:
            sections[name] = section
    return sections, faults


def _too_large(key: str, value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in cast(dict[str, object], value).items():
            yield from _too_large(f"{key}.{name}", part)
    elif isinstance(value, list):
        for part in cast(list[object], value):
            yield from _too_large(key, part)
    elif isinstance(value, int) and value > _LARGEST:
        yield f"{key}: {_found(value)}; expected at most {_LARGEST}"


def _as_text(value: object) -> object:
    """Turn what pydantic would take for a number without a word into text, which it refuses.

    `true` is 1 to it, infinity a number, for which JSON has no word, a set a list in any order, and
    bytes text.
    """
    if isinstance(value, Mapping):
        return {key: _as_text(part) for key, part in cast(Mapping[object, object], value).items()}
    if isinstance(value, list | tuple):
        return [_as_text(part) for part in cast(Sequence[object], value)]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, set | bytes):
        return type(value)
    if isinstance(value, float | str) and str(value).lower().lstrip("+-") in _NOT_FINITE:
        return f".{value}"
    return value


def _in_words(section: str, annotation: object, detail: ErrorDetails) -> str:
    """One error of pydantic: key, what was found, what was expected, what to do."""
    kind, found, context = detail["type"], detail["input"], detail.get("ctx", {})
    location = detail["loc"]
    key = _key(section, annotation, location)
    if kind in ("missing", "extra_forbidden"):
        fields = _fields(_at(annotation, location[:-1]))
        name = str(location[-1])
        return _missing(key, fields[name]) if kind == "missing" else _unknown_key(key, name, fields)
    if kind.startswith("union_tag"):
        return _wrong_source(key, _tags(_at(annotation, location)), found)
    if kind == "too_short":
        return f"{key}: empty; list at least one entry"
    if kind == "value_error":
        return f"{key}: {context['error']}"
    if kind == "string_pattern_mismatch":
        pattern = str(context["pattern"])
        expected = PATTERNS_IN_WORDS.get(pattern, f"text that matches {pattern}")
    elif kind == "string_type" and location[-1:] == ("[key]",):
        return f"{key}: YAML reads this name as {found!r}, which is not text; put it in quotes"
    else:
        words = _EXPECTED.get(kind)
        expected = words.format(**context) if words else detail["msg"]
        expected += _correction(kind, found)
    return f"{key}: {_found(found)}; expected {expected}"


def _unknown_key(key: str, name: str, fields: Iterable[str]) -> str:
    alike = difflib.get_close_matches(name, list(fields), n=1)
    remedy = f"did you mean {alike[0]}?" if alike else f"expected one of {', '.join(fields)}"
    return f"{key}: unknown key; {remedy}"


def _missing(key: str, field: FieldInfo) -> str:
    meaning = f" ({field.description.rstrip('.')})" if field.description else ""
    return f"{key}: missing; add it{meaning}"


def _wrong_source(key: str, tags: Mapping[str, object], found: object) -> str:
    """`data` is one of several models; its `source` says which."""
    expected = " or ".join(map(repr, tags))
    if not isinstance(found, Mapping) or "source" not in found:
        return f"{key}.source: missing; add it, {expected}"
    source = cast(Mapping[str, object], found)["source"]
    return f"{key}.source: {_found(source)}; expected {expected}"


def _correction(kind: str, found: object) -> str:
    """How to write what was probably meant."""
    if kind == "string_type" and isinstance(found, int | float):
        return "; put it in quotes"
    if kind == "int_parsing":
        try:
            number = float(str(found))
        except ValueError:
            return ""
        return f"; write {number:.0f}" if number.is_integer() else ""
    is_infinite = kind == "float_parsing" and str(found).lower().strip(".+-") in _NOT_FINITE
    return " that is finite" if is_infinite else ""


def _found(value: object) -> str:
    if value is None:
        return "nothing stands after the colon"
    text = repr(value)
    return f"found {text if len(text) <= 60 else text[:57] + '...'}"


# Where in the config a fault is. pydantic's location also names the member of a union, and counts
# the entries of a list.


def _key(section: str, annotation: object, location: Sequence[str | int]) -> str:
    """The key as a person wrote it."""
    steps = [
        _step(step)
        for number, step in enumerate(location)
        if isinstance(step, str)
        and step != "[key]"
        and not _tags(_at(annotation, location[:number]))
    ]
    return ".".join([section, *steps])


def _step(key: object) -> str:
    text = str(key) if str(key).strip() else repr(key)
    return text if len(text) <= 60 else text[:57] + "..."


def _at(annotation: object, location: Sequence[str | int]) -> object:
    """The type at this place of the config."""
    for step in location:
        if tags := _tags(annotation):
            annotation = tags[str(step)]
        elif fields := _fields(annotation):
            annotation = fields[str(step)].annotation if step in fields else None
        else:  # the values of a dict, the entries of a list
            annotation = next(reversed(get_args(annotation)), None)
    return annotation


def _fields(annotation: object) -> Mapping[str, FieldInfo]:
    if NoneType in get_args(annotation):  # a section that may be left out
        return _fields(get_args(annotation)[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.model_fields
    return {}


def _tags(annotation: object) -> dict[str, object]:
    """The models of a union by their `source`."""
    if get_origin(annotation) not in (Union, UnionType):
        return {}
    return {
        get_args(fields["source"].annotation)[0]: member
        for member in get_args(annotation)
        if "source" in (fields := _fields(member))
    }
