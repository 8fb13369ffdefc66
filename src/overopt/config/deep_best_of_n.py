"""Settings of large-n best-of-n, to n = 60,000 (Gao et al. 2022, section 3.1)."""

from pydantic import Field, NonNegativeInt, PositiveInt

from overopt.config.cells import Run
from overopt.config.strict_model import StrictModel
from overopt.config.training import TextConfig
from overopt.config.world import PLAIN_WORLD, WorldConfig, is_plain


class DeepBestOfNConfig(StrictModel):
    """One larger pool per policy, on the first of the evaluation prompts."""

    num_prompts: PositiveInt = Field(default=32, description="Evaluation prompts of the pool.")
    num_responses: PositiveInt = Field(
        default=65_536, description="Responses per prompt: the pool. At least max_n."
    )
    max_n: PositiveInt = Field(default=60_000, description="Largest n (paper: 60,000).")
    num_scored_responses: PositiveInt = Field(
        default=2048,
        description="First responses of each prompt, all scored by gold: they give n up to a "
        "quarter of their number. Larger n needs the gold score of the best by the proxy only.",
    )


class DeepPoolSettings(StrictModel):
    """One job: draw the larger pool of one policy."""

    num_prompts: PositiveInt
    num_responses: PositiveInt
    text: TextConfig
    sampler: str = "native"
    seed: NonNegativeInt


class DeepBestOfNSettings(StrictModel):
    """One job: score a larger pool by one proxy RM and estimate the curve."""

    run: Run
    max_n: PositiveInt
    num_scored_responses: PositiveInt
    has_hidden_utility: bool
    world: WorldConfig = Field(default=PLAIN_WORLD, exclude_if=is_plain)
