"""Settings of best-of-n (Gao et al. 2022, sections 2 and 3.1)."""

from pydantic import Field, NonNegativeInt, PositiveInt

from overopt.config.cells import Run
from overopt.config.strict_model import StrictModel
from overopt.config.training import TextConfig
from overopt.config.world import PLAIN_WORLD, WorldConfig, is_plain


class BestOfNConfig(StrictModel):
    """One pool of responses per policy serves every proxy RM and every n."""

    num_prompts: PositiveInt = Field(
        default=64, description="Evaluation prompts, the same for best-of-n and PPO."
    )
    num_responses: PositiveInt = Field(
        default=2048, description="Responses per prompt: the pool. At least max_n."
    )
    max_n: PositiveInt = Field(default=1000, description="Largest n (paper: 1,000, then 60,000).")


class PoolSettings(StrictModel):
    """One job: draw the pool of one policy."""

    num_prompts: PositiveInt
    num_responses: PositiveInt
    text: TextConfig
    sampler: str = "native"
    seed: NonNegativeInt


class PoolScoreSettings(StrictModel):
    """One job: score a pool by the gold RM and, in the embedded world, by the hidden utility."""

    has_hidden_utility: bool
    world: WorldConfig = Field(default=PLAIN_WORLD, exclude_if=is_plain)


class BestOfNSettings(StrictModel):
    """One job: score a pool by one proxy RM and estimate the curve."""

    run: Run
    max_n: PositiveInt
