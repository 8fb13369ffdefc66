"""Settings of gold that is no reward model, but the embedded world's hidden utility itself."""

from pydantic import Field, PositiveFloat, PositiveInt

from overopt.config.strict_model import StrictModel
from overopt.config.world import PLAIN_WORLD, WorldConfig, is_plain

UTILITY_FILE = "utility.json"
"""In place of a model's weights, in the folder of a gold RM that is the hidden utility."""


class UtilityGold(StrictModel):
    """The hidden utility as gold: what `gold_rm/utility.json` holds.

    Its score is `inverse_temperature` times the utility, in logits: of two responses an annotator
    of mean weights prefers the first with probability sigmoid of the difference.
    """

    inverse_temperature: PositiveFloat
    world: WorldConfig = Field(default=PLAIN_WORLD, exclude_if=is_plain)


class UtilityGoldSettings(StrictModel):
    """One job: write down the hidden utility as gold, and measure it on human comparisons."""

    utility: UtilityGold
    num_validation: PositiveInt
