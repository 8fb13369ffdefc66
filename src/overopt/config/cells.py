"""
The cells of the grid: one proxy reward model, and one optimization against it.

An axis of the grid is one field here, with all that paths, sweeps and tables need to know of it
beside it. The keys of every table derive from the fields. Defaults are the plain cell.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from overopt.config.axes import NUMBER, Axis, axes_of, is_default, omitted_axes, path_parts
from overopt.config.methods import METHODS
from overopt.config.strict_model import StrictModel
from overopt.config.variants import PLAIN, VARIANTS

Labels = Literal["deterministic", "sampled"]


def _known_variant(name: str) -> str:
    if name not in VARIANTS:
        raise ValueError(f"{name!r} is no variant; expected one of {', '.join(VARIANTS)}")
    return name


class ProxyRM(StrictModel):
    """One proxy reward model.

    `labels`: the response with the higher gold score is chosen always, or with the probability
    that the gold RM gives it (Gao et al. 2022, footnote 4).
    """

    proxy_size: Annotated[
        str, Axis("{}", "RM", sweep="proxy_sizes", text="Keys of `proxy_sizes`.", plain="every")
    ]
    labels: Annotated[
        Labels,
        Axis(
            *("{}-labels", "labels"),
            sweep="labels",
            text="How the gold RM labels: the higher score wins, or a sampled choice.",
            pattern="deterministic|sampled",
        ),
    ] = "deterministic"
    num_comparisons: Annotated[
        PositiveInt,
        Axis(
            *("{}-comparisons", "comparisons", "{:,.0f}"),
            sweep="num_comparisons",
            text="Synthetic comparisons each proxy RM is trained on.",
            plain="most",
        ),
    ]
    num_epochs: Annotated[
        PositiveInt,
        Axis(
            *("{}-epochs", "epochs", "{:,.0f}"),
            sweep="num_epochs",
            text="Passes over these comparisons.",
            plain="fewest",
        ),
    ] = 1
    variant: Annotated[
        str,
        AfterValidator(_known_variant),
        Axis(
            *("{}-variant", "variant"),
            sweep="variants",
            text="How the proxy RM is trained and scores: "
            + ", ".join(VARIANTS)
            + ", or a plugin's.",
            pattern="[a-z][a-z0-9_]*",
            is_optional=True,
        ),
    ] = PLAIN
    seed: Annotated[NonNegativeInt, Axis("seed-{}", "seed", plain="every")]

    @property
    def path(self) -> str:
        """Part of a path that names this proxy RM."""
        return "/".join(path_parts(self))


class Run(StrictModel):
    """One optimization of one policy against one proxy RM.

    Axes that belong to a method (`Method.axes`) stand at their default for every other method.
    """

    method: str
    policy_size: Annotated[
        str, Axis("{}", "policy", sweep="policy_sizes", text="Keys of `policies`.", plain="main")
    ]
    kl_coef: Annotated[
        NonNegativeFloat,
        Axis(
            *("kl-{}", "KL penalty", "{:g}"),
            sweep="kl_coefs",
            text="KL penalties; PPO only.",
            pattern=NUMBER,
        ),
    ] = 0.0
    proxy_rm: ProxyRM

    @model_validator(mode="after")
    def _check_method(self) -> "Run":
        if self.method not in METHODS:
            raise ValueError(f"{self.method!r} is no method; expected one of {', '.join(METHODS)}")
        others = [name for name in METHOD_AXES if name not in METHODS[self.method].axes]
        if changed := [name for name in others if not is_default(self, name)]:
            raise ValueError(f"{', '.join(changed)} is no axis of {self.method}")
        return self

    @property
    def own_axes(self) -> tuple[str, ...]:
        """Names of the axes that belong to the method."""
        return METHODS[self.method].axes

    @property
    def folder(self) -> str:
        """Folder of the run, from the study's folder on."""
        own = [name for name in METHOD_AXES if name in self.own_axes]
        return "/".join([self.method, self.policy_size, *path_parts(self, own), self.proxy_rm.path])

    @property
    def seed_key(self) -> str:
        """Text that the run's random seed derives from: its axes as JSON.

        The method and optional axes at their default are left out.
        """
        others = {name for name in METHOD_AXES if name not in self.own_axes}
        left_out = others | {"method", *omitted_axes(self)}
        return self.model_dump_json(
            exclude={
                **dict.fromkeys(left_out, True),
                "proxy_rm": set(omitted_axes(self.proxy_rm)),
            }
        )

    def columns(self, num_parameters: int) -> dict[str, object]:
        """The cell as columns of a table: CELL_KEYS, with the size of the proxy RM."""
        values = dict(self) | dict(self.proxy_rm) | {"num_parameters": num_parameters}
        values["method"] = METHODS[self.method].column
        return {key: values[key] for key in CELL_KEYS}


# The keys of tables.

RM_AXES = axes_of(ProxyRM)
RUN_AXES = axes_of(Run)
ALL_AXES = {**RUN_AXES, **RM_AXES}
DEFAULTS: dict[str, object] = {
    name: field.default
    for model in (Run, ProxyRM)
    for name, field in model.model_fields.items()
    if name in ALL_AXES and not field.is_required()
}
PROXY_RM_KEYS = list(RM_AXES)
"""Columns that tell one proxy RM from another."""
RM_KEYS = [name for name in RM_AXES if name != "seed"]
"""Columns that all seeds of a proxy RM share."""
METHOD_AXES = [name for name in RUN_AXES if name != "policy_size"]
"""Axes of the grid that belong to a method."""
RM_COLUMNS = [PROXY_RM_KEYS[0], "num_parameters", *PROXY_RM_KEYS[1:]]
"""PROXY_RM_KEYS with the size of the proxy RM, which follows from `proxy_size`."""
RM_GROUP_KEYS = [key for key in RM_COLUMNS if key != "seed"]
"""Columns that all seeds of a proxy RM share, its size among them."""
GROUP_KEYS = ["method", "policy_size", *RM_GROUP_KEYS, *METHOD_AXES]
"""Columns that tell one group of cells, all seeds alike, from another."""
CELL_KEYS = [*GROUP_KEYS, "seed"]
"""Columns that tell the curve of one seed from another."""
SIZE_KEYS = ["proxy_size", "num_parameters"]
ALIKE_KEYS = [key for key in GROUP_KEYS if key not in SIZE_KEYS]
"""Columns that groups share which differ in the size of the proxy RM only."""
DATA_KEYS = ["num_comparisons", "num_epochs"]
"""What data a proxy RM is trained on, and how often."""
TREND_KEYS = ["policy_size", "proxy_size", "num_comparisons"]
"""Columns in a table of trends that say what was kept fixed."""
PROXY_RM_ORDER = [
    *("num_parameters", *(name for name in RM_AXES if name.startswith("num_")), "seed"),
]
"""Order of the proxy RMs in their table; the order of the grid decides between equals."""
GRID_ORDER = [
    *("method", "policy_size", *METHOD_AXES),
    *(name for name in RM_AXES if name in DEFAULTS),
    *("num_comparisons", "num_parameters", "seed"),
]
"""Order of the cells in tables of curves."""
