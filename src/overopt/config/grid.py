"""
The grid: which reward models are trained and which optimizations run against them.

Written once, in the config, as named sweeps (the paper's sections); each is a product of its
axes, and the study is their union, so that a cell two sweeps share is computed once. The lists of
a sweep are those of the axes in `overopt.config.cells`.
"""

import itertools
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, NonNegativeInt, WithJsonSchema, create_model
from pydantic_core import PydanticCustomError, PydanticUndefined

from overopt.config.axes import axes_of
from overopt.config.cells import ProxyRM, Run
from overopt.config.methods import METHODS, sweep_methods
from overopt.config.strict_model import StrictModel


def _known_method(name: str) -> str:
    known = sweep_methods()
    if name not in known:
        expected = f"{', '.join(map(repr, known[:-1]))} or {known[-1]!r}"
        raise PydanticCustomError("literal_error", "expected {expected}", {"expected": expected})
    return name


MethodName = Annotated[
    str,
    AfterValidator(_known_method),
    WithJsonSchema({"enum": sweep_methods(), "type": "string"}),
]
SweepName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]


class _SweepHead(StrictModel):
    enabled: bool = Field(default=True, description="Whether the study computes this sweep.")
    methods: list[MethodName] = Field(
        min_length=1, description="How the proxy is optimized against."
    )


def _lists_of(model: type[BaseModel]) -> dict[str, Any]:
    """One list of values for each axis of a cell, by its key in a sweep."""
    lists: dict[str, Any] = {}
    for name, axis in axes_of(model).items():
        if axis.sweep:
            field = model.model_fields[name]
            default: Any = PydanticUndefined if field.is_required() else [field.default]
            values = list[Annotated[field.annotation, *field.metadata]]  # type: ignore[valid-type]
            lists[axis.sweep] = (values, Field(default, min_length=1, description=axis.text))
    return lists


_SweepLists = create_model(
    "_SweepLists", __base__=_SweepHead, **_lists_of(ProxyRM), **_lists_of(Run)
)


class SweepConfig(_SweepLists):
    """One sweep of the paper: a product of axes."""

    seeds: list[NonNegativeInt] | None = Field(
        default=None, min_length=1, description="In place of `grid.seeds`, for this sweep."
    )

    def values(self, name: str) -> list[Any]:
        """Values of an axis, by the name of its field in `ProxyRM` or `Run`."""
        return getattr(self, SWEEP_KEYS[name])


SWEEP_KEYS = {
    name: axis.sweep
    for model in (Run, ProxyRM)
    for name, axis in axes_of(model).items()
    if axis.sweep
}
"""Key of a sweep that lists the values of an axis, by the name of the axis."""


class GridConfig(StrictModel):
    """All sweeps and the seeds they are repeated with."""

    seeds: list[NonNegativeInt] = Field(
        min_length=1, description="Seeds of the proxy RMs (backbone, RM, PPO)."
    )
    sweeps: dict[SweepName, SweepConfig] = Field(
        min_length=1, description="Sweeps, by name; each is a target of its own."
    )

    def seeds_of(self, sweep: SweepConfig) -> list[int]:
        """Seeds that a sweep is repeated with."""
        return self.seeds if sweep.seeds is None else sweep.seeds

    def runs(self, method: str) -> list[Run]:
        """Cells of a method in the enabled sweeps, each once, in the order of the config."""
        sweeps = (s for s in self.sweeps.values() if s.enabled and method in s.methods)
        return list(dict.fromkeys(run for sweep in sweeps for run in self._product(method, sweep)))

    def _product(self, method: str, sweep: SweepConfig) -> Iterator[Run]:
        axes = {name: sweep.values(name) for name in ("policy_size", *METHODS[method].axes)}
        for *values, proxy_rm in itertools.product(*axes.values(), self._proxy_rms(sweep)):
            cell = dict(zip(axes, values, strict=True))
            yield Run.model_validate({"method": method, "proxy_rm": proxy_rm, **cell})

    def _proxy_rms(self, sweep: SweepConfig) -> list[ProxyRM]:
        axes = {
            name: sweep.values(name) if axis.sweep else self.seeds_of(sweep)
            for name, axis in axes_of(ProxyRM).items()
        }
        return [
            ProxyRM.model_validate(dict(zip(axes, cell, strict=True)))
            for cell in itertools.product(*axes.values())
        ]
