"""Settings of language-model training (initial policies, RM backbones) and of sampling."""

from pydantic import Field, NonNegativeInt, PositiveInt

from overopt.config.strict_model import StrictModel
from overopt.config.training import (
    Numerics,
    OptimizationConfig,
    TextConfig,
    TransformerConfig,
)

SAMPLERS = {"native": "overopt.policy.samplers:NativeSampler"}
"""The class (module:name) of each sampler, by its name in `compute.sampler`.

Names only, so that a config is checked without torch; `overopt.policy.samplers` says what a sampler
is.
"""


class BackboneConfig(StrictModel):
    """Language-model pre-training of the proxy RMs' backbones, on the demonstrations."""

    num_epochs: int = Field(
        default=3, ge=0, description="Passes over the demonstrations; 0: checkpoints as they are."
    )
    batch_size: int = Field(default=64, gt=0, description="Demonstrations per step.")


class LanguageModelSettings(StrictModel):
    """One job: fit a language model to the demonstrations (Gao et al. 2022, section 2)."""

    shape: TransformerConfig | None = Field(description="From scratch; None: from a checkpoint.")
    optimization: OptimizationConfig
    text: TextConfig
    numerics: Numerics = Numerics()
    seed: NonNegativeInt


class SamplingSettings(StrictModel):
    """One job: draw responses of a policy to prompts of one or more parts."""

    num_responses: dict[str, PositiveInt] = Field(
        description="Responses to draw for the prompts of each part of the split."
    )
    text: TextConfig
    sampler: str = "native"
    seed: NonNegativeInt
