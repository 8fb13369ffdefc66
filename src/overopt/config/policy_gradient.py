"""Settings of RL methods without a value head: RLOO, GRPO, Dr. GRPO, REINFORCE++ (TRL's names)."""

from pydantic import Field, PositiveFloat, PositiveInt

from overopt.config.rl import RLConfig


class PolicyGradientConfig(RLConfig):
    """One run, but for what the grid sets (policy, proxy RM, KL penalty, seed)."""

    learning_rate: PositiveFloat | None = Field(
        default=None, description="Learning rate; none: the policy's ppo_learning_rate."
    )
    num_ppo_epochs: PositiveInt = Field(default=2, description="Passes over each rollout.")
    num_mini_batches: PositiveInt = Field(default=1, description="Optimizer steps per epoch.")
    num_ramp_iterations: PositiveInt = Field(
        default=3, description="Iterations over which the learning rate rises at first."
    )
    cliprange: PositiveFloat = Field(default=0.2, description="Clip of the ratio.")


class GroupConfig(PolicyGradientConfig):
    """The same, of a method that compares the responses to one prompt."""

    num_generations: PositiveInt = Field(
        default=4, ge=2, description="Responses of a rollout to each prompt."
    )
