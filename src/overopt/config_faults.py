"""
The sections of a config, each parsed by itself, and every fault of theirs in words.

pydantic finds the faults; a person is told for each the key, what was found, what was expected and
what to do. Numbers may come as text: YAML 1.1 reads `1e-3` (without a dot) as text, and so does
whatever was written after `--config`.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Union, cast, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

_EXPECTED = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "text",
    "list_type": "a list, as in [a, b]",
    "dict_type": "keys with values",
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
}
_NOT_FINITE = ("inf", "infinity", "nan")


def parse_sections(
    model: type[BaseModel], config: Mapping[str, object]
) -> tuple[dict[str, object], list[str]]:
    """Each field of `model` parsed by itself, so that a fault in one hides none in another.

    Returns the sections that hold, by name, and the faults of the others, one sentence each.
    """
    sections: dict[str, object] = {}
    fields = model.model_fields
    faults = [_unknown_key(str(key), str(key), fields) for key in config if key not in fields]
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
            sections[name] = adapter.validate_python(_as_text(config[name]))
        except ValidationError as error:
            faults += [_in_words(name, field.annotation, detail) for detail in error.errors()]
    return sections, faults


def _as_text(value: object) -> object:
    """Turn what pydantic would take for a number without a word into text, which it refuses.

    `true` is 1 to it, and infinity a number, for which JSON has no word.
    """
    if isinstance(value, Mapping):
        return {key: _as_text(part) for key, part in cast(Mapping[object, object], value).items()}
    if isinstance(value, list):
        return [_as_text(part) for part in cast(list[object], value)]
    if isinstance(value, bool):
        return str(value).lower()
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
        str(step)
        for number, step in enumerate(location)
        if isinstance(step, str)
        and step != "[key]"
        and not _tags(_at(annotation, location[:number]))
    ]
    return ".".join([section, *steps])


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
