"""
Variants of the proxy reward models, as data: how a proxy is trained, and what then scores.

Nothing heavy is imported here, so that Snakemake may read the table before any job runs.
"""

from dataclasses import dataclass

from overopt.errors import UserError


@dataclass(frozen=True)
class Variant:
    """One way to train a proxy reward model and to score by it.

    Attributes
    ----------
    name
        In configs, paths and tables.
    label
        In sentences and legends.
    num_models
        Models that its training fits, which is what it costs in units of the plain proxy.
    train, load
        Functions of a plugin, as "package.module:function"; empty for the project's own variants
        (`overopt.reward_model.variant_training`, `overopt.reward_model.variants`).

    """

    name: str
    label: str
    num_models: int = 1
    train: str = ""
    load: str = ""


VARIANTS: dict[str, Variant] = {}


def register_variant(variant: Variant) -> Variant:
    """Add a variant to VARIANTS, in the order of registration.

    Raises
    ------
    UserError
        Where a variant of this name is registered already, the name is no name of a folder, or it
        trains no model.
    """
    if variant.name in VARIANTS:
        raise UserError(
            f"variant {variant.name!r} is registered already, as "
            f"{VARIANTS[variant.name].label!r}; give the new variant another name"
        )
    if not (variant.name.isidentifier() and variant.name.islower()):
        raise UserError(
            f"variant: found the name {variant.name!r}; expected lower-case letters, digits and _ "
            "with a letter first, because the name becomes a folder"
        )
    if variant.num_models < 1:
        raise UserError(f"variant {variant.name!r}: num_models is {variant.num_models}, not 1 up")
    VARIANTS[variant.name] = variant
    return variant


PLAIN = "plain"
"""One model, fitted to the comparisons: the proxy RM of the paper."""

register_variant(Variant(PLAIN, "plain"))
register_variant(Variant("ensemble_mean", "mean of an ensemble", num_models=3))
register_variant(Variant("weight_average", "average of weights", num_models=3))
