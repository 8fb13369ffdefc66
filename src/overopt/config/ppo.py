"""Settings of PPO (Gao et al. 2022, section 2 and Appendix C; TRL's names)."""

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from overopt.config.cells import Run
from overopt.config.rl import EvaluationSettings, RLConfig


class PPOConfig(RLConfig):
    """One PPO run, but for what the grid sets (policy, proxy RM, KL penalty, seed)."""

    num_ppo_epochs: PositiveInt = Field(default=2, description="Passes over each rollout.")
    num_mini_batches: PositiveInt = Field(default=1, description="Optimizer steps per epoch.")
    value_learning_rate_factor: PositiveFloat = Field(
        default=10.0, description="Learning rate of the value head, times the policy's."
    )
    num_value_warmup_iterations: NonNegativeInt = Field(
        default=4, description="First iterations, which train the value head only."
    )
    num_value_warmup_epochs: PositiveInt = Field(
        default=8, description="Passes over each rollout during the value head's warm-up."
    )
    num_ramp_iterations: PositiveInt = Field(
        default=3, description="Iterations over which the policy's learning rate then rises."
    )
    cliprange: PositiveFloat = Field(default=0.2, description="Clip of the ratio (Table 1).")
    gamma: PositiveFloat = Field(default=1.0, le=1.0, description="Discount; 1: none.")
    lam: float = Field(default=0.95, ge=0, le=1, description="GAE's lambda (Table 1).")
    vf_coef: NonNegativeFloat = Field(default=0.5, description="Weight of the value loss.")


class PPOSettings(EvaluationSettings):
    """One job: one PPO run."""

    run: Run
    ppo: PPOConfig
    learning_rate: PositiveFloat
