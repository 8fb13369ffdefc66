"""
The methods that optimize against a proxy reward model, as data.

Nothing is imported here, so that Snakemake may read the table before any job runs, and that no job
depends on the settings of a method that it does not know.
"""

import importlib
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from overopt.errors import UserError


@dataclass(frozen=True)
class Method:
    """One way to optimize against a proxy reward model; its contract is the curve it writes.

    Attributes
    ----------
    name
        In configs, paths and tables.
    label
        In sentences and legends.
    form
        Law of gold against sqrt(KL) that is fitted to its curves: a form of `overopt.theory`.
    point
        Column that numbers the points of a curve: the n of best-of-n, or a training step.
    is_binned
        Whether every run has a KL of its own at each point, so that its points are averaged in
        bins of sqrt(KL). Otherwise seeds are averaged point by point.
    axes
        Axes of the grid that are its own, by the names of their fields in `Run`.
    name_in_tables
        Name in the column `method`, where it differs: large-n best-of-n follows the law of
        best-of-n, and its curves have tables of their own.
    in_sweeps
        Whether a sweep of the config may name it.
    job, options
        Of a method without rules of its own: the function (job, settings, files) that writes its
        curve, as "package.module:function", and the model of its section in `methods` of the
        config, itself or as "package.module:Class"; none: it has no settings. Every method of a
        plugin is one.

    """

    name: str
    label: str
    form: str
    point: Literal["n", "step"]
    is_binned: bool
    axes: tuple[str, ...] = ()
    name_in_tables: str = ""
    in_sweeps: bool = True
    job: str = ""
    options: type[BaseModel] | str | None = None

    @property
    def options_model(self) -> type[BaseModel] | None:
        """Model of the method's section, imported where `options` names it."""
        if not isinstance(self.options, str):
            return self.options
        module, _, name = self.options.partition(":")
        return getattr(importlib.import_module(module), name)

    @property
    def column(self) -> str:
        """Value of the column `method` in tables."""
        return self.name_in_tables or self.name

    @property
    def title(self) -> str:
        """Label as the first word of a sentence."""
        return self.label[0].upper() + self.label[1:]


METHODS: dict[str, Method] = {}


def register_method(method: Method) -> Method:
    """Add a method to METHODS, in the order of registration.

    Raises
    ------
    UserError
        Where a method of this name is registered already, or the name is no name of a folder.
    """
    if method.name in METHODS:
        raise UserError(
            f"method {method.name!r} is registered already, as {METHODS[method.name].label!r}; "
            "give the new method another name"
        )
    if not (method.name.isidentifier() and method.name.islower()):
        raise UserError(
            f"method {method.name!r}: found {method.name!r}; expected lower-case letters, digits "
            "and _ with a letter first, because the name becomes a folder"
        )
    METHODS[method.name] = method
    return method


BEST_OF_N = "best_of_n"
"""The method whose curves hold, at n = 1, the scores before optimization."""

register_method(Method(BEST_OF_N, "best-of-n", "best_of_n", "n", is_binned=False))
register_method(Method("ppo", "PPO", "rl", "step", is_binned=True, axes=("kl_coef",)))
register_method(
    Method(
        *("deep_best_of_n", "large-n best-of-n", "best_of_n", "n"),
        is_binned=False,
        name_in_tables=BEST_OF_N,
    )
)
_POLICY_GRADIENTS = "overopt.methods.policy_gradient.job"
for _name, _label, _options in (
    ("rloo", "RLOO", "GroupConfig"),
    ("grpo", "GRPO", "GroupConfig"),
    ("dr_grpo", "Dr. GRPO", "GroupConfig"),
    ("reinforce_pp", "REINFORCE++", "PolicyGradientConfig"),
):
    register_method(
        Method(
            *(_name, _label, "rl", "step"),
            is_binned=True,
            axes=("kl_coef",),
            job=f"{_POLICY_GRADIENTS}:optimize_by_{_name}",
            options=f"overopt.config.policy_gradient:{_options}",
        )
    )
# The distribution of highest proxy score at each KL: PPO's ideal, computed from a pool.
register_method(Method("tilted", "tilted", "rl", "step", is_binned=True, in_sweeps=False))
# Other weightings of a pool than best-of-n: the rules of `overopt.theory.selection`.
for _name, _label in (
    ("soft_best_of_n", "soft best-of-n"),
    ("best_of_poisson", "best-of-Poisson"),
    ("pessimistic", "pessimistic best-of-n"),
    ("quantilizer", "quantilizer"),
):
    register_method(Method(_name, _label, "best_of_n", "step", is_binned=False, in_sweeps=False))


def sweep_methods() -> list[str]:
    """Names of the methods that a sweep of the config may list."""
    return [name for name, method in METHODS.items() if method.in_sweeps]


def job_methods() -> list[str]:
    """Names of the methods that one rule runs, each by the function that it names."""
    return [name for name, method in METHODS.items() if method.job]


def main_methods() -> list[str]:
    """Names of the methods whose curves are fitted together, on the prompts of best-of-n."""
    return [name for name in sweep_methods() if METHODS[name].column == name]


def label_of(name: str) -> str:
    """Label of a method; its name where the method is not registered."""
    return METHODS[name].label if name in METHODS else name


SHARED_FORM = "rl_shared_alpha"
"""Name in tables of the RL form with one alpha for all RM sizes."""


def shares_alpha(name: str) -> bool:
    """Whether one alpha is also fitted to all RM sizes of a method, as the paper does for RL."""
    return METHODS[name].form == "rl"
