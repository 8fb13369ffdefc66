"""Settings of language-model training (initial policies, RM backbones) and of sampling."""

from pydantic import Field, NonNegativeInt, PositiveInt

from overopt.strict_model import StrictModel
from overopt.training_config import Numerics, OptimizationConfig, TextConfig, TransformerConfig


class LanguageModelSettings(StrictModel):
    """One job: fit a language model to the demonstrations (Gao et al. 2022, section 2)."""

    shape: TransformerConfig
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
    seed: NonNegativeInt
