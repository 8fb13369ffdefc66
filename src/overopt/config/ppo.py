"""Settings of PPO (Gao et al. 2022, section 2 and Appendix C; TRL's names)."""

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from overopt.config.cells import PPORun
from overopt.config.strict_model import StrictModel
from overopt.config.training import Numerics, TextConfig

PIECE_SIZE = 64
"""Episodes that a processor reads at once: they are of like length, and stay in its cache."""


class PPOConfig(StrictModel):
    """One PPO run, but for what the grid sets (policy, proxy RM, KL penalty, seed)."""

    num_iterations: PositiveInt = Field(default=100, description="Rollout-and-update rounds.")
    batch_size: PositiveInt = Field(default=256, description="Responses per rollout.")
    num_ppo_epochs: PositiveInt = Field(default=2, description="Passes over each rollout.")
    num_mini_batches: PositiveInt = Field(default=1, description="Optimizer steps per pass.")
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


class PPOSettings(StrictModel):
    """One job: one PPO run."""

    run: PPORun
    ppo: PPOConfig
    learning_rate: PositiveFloat
    num_evaluation_prompts: PositiveInt
    has_hidden_utility: bool
    text: TextConfig
    numerics: Numerics = Numerics()
    seed: NonNegativeInt
