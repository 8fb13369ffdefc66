"""Settings that all RL methods share (Gao et al. 2022, section 2 and Appendix C; TRL's names)."""

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from overopt.config.strict_model import StrictModel
from overopt.config.training import Numerics, TextConfig
from overopt.config.world import PLAIN_WORLD, WorldConfig, is_plain

MICRO_BATCH_SIZE = 64
"""Micro-batch of episodes on a CPU: they are of similar length and fit its cache."""


class RLConfig(StrictModel):
    """The loop of one RL run: rollouts, evaluations and when it ends."""

    num_iterations: PositiveInt = Field(default=100, description="Rollout-and-update rounds.")
    batch_size: PositiveInt = Field(default=256, description="Responses per rollout.")
    max_grad_norm: PositiveFloat = Field(default=1.0, description="Gradient clipping.")
    missing_eos_penalty: NonNegativeFloat = Field(
        default=0.0, description="Taken from the reward of a response that was cut. 0: none."
    )
    stop_kl: PositiveFloat = Field(
        default=45.0, description="Stop when an evaluation's KL exceeds this (nats)."
    )
    evaluate_every: PositiveInt = Field(
        default=5, description="Iterations between evaluations, at most."
    )
    evaluate_at_sqrt_kl: PositiveFloat = Field(
        default=0.2,
        description="Also evaluate when sqrt(KL), KL in nats, has moved by this since the last.",
    )
    num_evaluation_responses: PositiveInt = Field(
        default=4, description="Responses per evaluation prompt at each evaluation."
    )
    num_normalization_responses: PositiveInt = Field(
        default=1024,
        description="Responses of the initial policy that set the zero and unit of the reward.",
    )


class EvaluationSettings(StrictModel):
    """What a job that optimizes a policy needs to measure its curve."""

    num_evaluation_prompts: PositiveInt
    has_hidden_utility: bool
    world: WorldConfig = Field(default=PLAIN_WORLD, exclude_if=is_plain)
    text: TextConfig
    numerics: Numerics = Numerics()
    seed: NonNegativeInt
