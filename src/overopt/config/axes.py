"""
Axes of the grid: what paths, sweeps and reports know of a field, and paths that name its values.

An axis is declared beside the field of a cell that holds its values (`overopt.config.cells`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel


@dataclass(frozen=True)
class Axis:
    r"""What the grid, paths, sweeps and reports know of one axis.

    Attributes
    ----------
    path
        Part of a path, with {} for the value.
    header, number
        Header of its column in a report, and how a value is written there.
    sweep, text
        Key of a sweep in the config that lists values, and what the key means; no key: the axis
        is no list of a sweep.
    plain
        Value in a sweep over another axis: the `default`; the `most` or the `fewest` there is;
        the `main` policy; `every` value.
    pattern
        Regular expression of a value in a path.
    is_optional
        Whether paths and seeds leave the axis out at its default. An axis that is added later
        needs it: results that were made before keep their paths and numbers.

    """

    path: str
    header: str
    number: str = "{}"
    sweep: str = ""
    text: str = ""
    plain: Literal["default", "most", "fewest", "main", "every"] = "default"
    pattern: str = r"\d+"
    is_optional: bool = False

    def part(self, value: object) -> str:
        """Part of a path that names this value."""
        return self.path.format(f"{value:g}" if isinstance(value, float) else value)

    def read(self, text: str) -> str:
        """Value in a part of a path, as text."""
        before, after = self.path.split("{}")
        return text.removeprefix("/").removeprefix(before).removesuffix(after)


NUMBER = r"[0-9.e+-]+"
"""Pattern of a decimal number in a path."""


def axes_of(model: type[BaseModel]) -> dict[str, Axis]:
    """Axes of a cell's model by the names of its fields, in their order."""
    return {
        name: axis
        for name, field in model.model_fields.items()
        for axis in field.metadata
        if isinstance(axis, Axis)
    }


def is_default(model: BaseModel, name: str) -> bool:
    """Whether an axis of a cell stands at its default."""
    return getattr(model, name) == type(model).model_fields[name].default


def omitted_axes(model: BaseModel) -> list[str]:
    """Axes that paths and seeds leave out."""
    axes = axes_of(type(model)).items()
    return [name for name, axis in axes if axis.is_optional and is_default(model, name)]


def path_parts(model: BaseModel, names: Collection[str] | None = None) -> list[str]:
    """Parts of a path that name a cell, those of all its axes or of these `names`."""
    axes, omitted = axes_of(type(model)), omitted_axes(model)
    return [
        axis.part(getattr(model, name))
        for name, axis in axes.items()
        if name not in omitted and (names is None or name in names)
    ]


def _optional(axis: Axis) -> str:
    return f"(/{axis.path.format(axis.pattern)})?"


def path_pattern(model: type[BaseModel]) -> str:
    """Path that names a cell, with a wildcard for each axis; optional axes hold their slash."""
    parts = [
        f"{{{name},{_optional(axis)}}}"  # Snakemake constrains no wildcard of a pathvar elsewhere
        if axis.is_optional
        else f"/{axis.path.format(f'{{{name}}}')}"
        for name, axis in axes_of(model).items()
    ]
    return "".join(parts).removeprefix("/")


def wildcard_patterns(model: type[BaseModel]) -> dict[str, str]:
    """Regular expression of the wildcard of each axis of a cell."""
    return {
        name: _optional(axis) if axis.is_optional else axis.pattern
        for name, axis in axes_of(model).items()
    }


def values_in_path(model: type[BaseModel], wildcards: Mapping[str, str]) -> dict[str, str]:
    """Values of a cell's axes as the wildcards of a path give them; optional ones may lack."""
    return {
        name: axis.read(wildcards[name]) if axis.is_optional else wildcards[name]
        for name, axis in axes_of(model).items()
        if wildcards.get(name)
    }
