"""Settings of the reward models and of the comparisons they learn from."""

from typing import Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from overopt.config.cells import ProxyRM
from overopt.config.chat_format import ChatFormat
from overopt.config.model import CheckpointConfig
from overopt.config.strict_model import StrictModel
from overopt.config.training import Numerics, OptimizationConfig, TextConfig


class GoldRMConfig(CheckpointConfig):
    """Gold: what stands for the human (section 2.1).

    A reward model, trained here on human comparisons, or published by others and taken as it is; or
    the embedded world's hidden utility, exact.
    """

    source: Literal["model", "utility"] = Field(
        default="model",
        description="A reward model, or the embedded world's hidden utility, exact.",
    )
    backbone: str | None = Field(
        default=None, description="Policy whose SFT checkpoint the gold RM starts from."
    )
    num_comparisons: PositiveInt | None = Field(
        default=None, description="Human comparisons it is trained on."
    )
    num_validation: PositiveInt = Field(description="Human comparisons held out, by prompt.")
    learning_rate: PositiveFloat | None = Field(default=None, description="Peak learning rate.")
    batch_size: PositiveInt = Field(default=32, description="Comparisons per optimizer step.")
    num_epochs: PositiveInt = Field(default=1, description="Passes over the comparisons.")
    seed: NonNegativeInt = Field(
        default=0, description="Another gold RM of the same world: other labels, other batches."
    )
    chat: ChatFormat = Field(
        default=ChatFormat(), description="Published: how its chat template is used."
    )

    @model_validator(mode="after")
    def _is_trained_or_published(self) -> Self:
        if self.is_utility:
            return self._has_nothing_to_train()
        of_training = ("backbone", "num_comparisons", "learning_rate")
        given = [name for name in of_training if getattr(self, name) is not None]
        missing = [name for name in of_training if name not in given]
        if self.checkpoint is not None and given:
            raise ValueError(
                f"has a checkpoint and {', '.join(given)}; a published reward model is taken as it "
                "is, so remove these, or the checkpoint to train one"
            )
        if self.checkpoint is None and missing:
            raise ValueError(
                f"{', '.join(missing)} missing; a gold RM that is trained needs "
                f"{', '.join(of_training)}, a published one checkpoint instead"
            )
        if self.checkpoint is None and self.chat != ChatFormat():
            raise ValueError("has chat without a checkpoint; only a published one has a template")
        return self

    def _has_nothing_to_train(self) -> Self:
        used = ("source", "num_validation", "seed")
        excess = [
            name
            for name, field in type(self).model_fields.items()
            if name not in used and getattr(self, name) != field.default
        ]
        if excess:
            raise ValueError(
                f"has source: utility and {', '.join(excess)}; the hidden utility is no model, so "
                "remove these, or source to have a reward model"
            )
        return self

    @property
    def is_utility(self) -> bool:
        """Whether it is the hidden utility itself."""
        return self.source == "utility"

    @property
    def is_published(self) -> bool:
        """Whether it is a reward model that is taken as it is."""
        return self.checkpoint is not None

    @property
    def rule_file(self) -> str:
        """The file of workflow/rules that makes it, by its stem."""
        if self.is_utility:
            return "utility_gold_rm"
        return "published_gold_rm" if self.is_published else "gold_rm"


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


class PublishedGoldRMSettings(StrictModel):
    """One job: measure a published reward model on human comparisons."""

    num_validation: PositiveInt
    chat: ChatFormat = ChatFormat()


class LabelSettings(StrictModel):
    """One job: label pairs with the gold RM; the seed is for the coin of exact ties."""

    seed: NonNegativeInt
