"""Settings of the reward models and of the comparisons they learn from."""

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from overopt.cells import ProxyRM
from overopt.strict_model import StrictModel
from overopt.training_config import Numerics, OptimizationConfig, TextConfig


class GoldRMConfig(StrictModel):
    """The gold RM: the reward model that stands for the human (section 2.1)."""

    backbone: str = Field(description="Policy whose SFT checkpoint the gold RM starts from.")
    num_comparisons: PositiveInt = Field(description="Human comparisons it is trained on.")
    num_validation: PositiveInt = Field(description="Human comparisons held out, by prompt.")
    learning_rate: PositiveFloat = Field(description="Peak learning rate.")
    batch_size: PositiveInt = Field(default=32, description="Comparisons per optimizer step.")
    num_epochs: PositiveInt = Field(default=1, description="Passes over the comparisons.")
    seed: NonNegativeInt = Field(
        default=0, description="Another gold RM of the same world: other labels, other batches."
    )


class SyntheticComparisonsConfig(StrictModel):
    """Pairs of responses of the initial policy, labelled by the gold RM (section 2.1)."""

    policy: str | None = Field(
        default=None, description="Policy whose responses are compared; none: `main_policy`."
    )
    num_comparisons: PositiveInt = Field(description="Comparisons for training proxies.")
    num_validation: PositiveInt = Field(description="Comparisons held out, by prompt.")


class ProxyRMConfig(StrictModel):
    """What the proxy RMs of all sizes share."""

    learning_rate_factor: PositiveFloat = Field(
        default=0.5, description="Learning rate as a multiple of the size's backbone rate."
    )
    batch_size: PositiveInt = Field(
        default=32,
        description="Comparisons per step; fewer for small data (a sixteenth, at least 8).",
    )


class RewardModelSettings(StrictModel):
    """One job: fit one reward model to comparisons."""

    proxy_rm: ProxyRM | None = Field(description="The cell of the grid; none for the gold RM.")
    num_comparisons: PositiveInt
    num_validation: PositiveInt
    optimization: OptimizationConfig
    text: TextConfig
    numerics: Numerics = Numerics()
    seed: NonNegativeInt
    subset_seed: NonNegativeInt = Field(
        description="Seed of the random subset of comparisons, shared by all sizes of a seed."
    )


class LabelSettings(StrictModel):
    """One job: label pairs with the gold RM; the seed is for the coin of exact ties."""

    seed: NonNegativeInt
