"""The cells of the grid: one proxy reward model, and one optimization against it."""

from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from overopt.config.strict_model import StrictModel

Labels = Literal["deterministic", "sampled"]


class ProxyRM(StrictModel):
    """One proxy reward model.

    `labels`: the response with the higher gold score is chosen always, or with the probability
    that the gold RM gives it (Gao et al. 2022, footnote 4).
    """

    proxy_size: str
    labels: Labels = "deterministic"
    num_comparisons: PositiveInt
    num_epochs: PositiveInt
    seed: NonNegativeInt


class BestOfNRun(StrictModel):
    """Best-of-n of one policy against one proxy RM."""

    policy_size: str
    proxy_rm: ProxyRM


class PPORun(StrictModel):
    """PPO of one policy against one proxy RM under one KL penalty."""

    policy_size: str
    kl_coef: NonNegativeFloat
    proxy_rm: ProxyRM
