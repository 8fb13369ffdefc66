"""Settings of the human side: prompts, demonstrations and comparisons, embedded or from files."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from overopt.config.strict_model import StrictModel
from overopt.config.training import TextConfig
from overopt.config.world import PLAIN_WORLD, WorldConfig, is_plain, is_zero


class SplitConfig(StrictModel):
    """Shares of the prompts, split once, by prompt, into disjoint parts; they sum to 1."""

    sft: PositiveFloat = Field(description="Demonstrations: SFT and RM backbones.")
    rm: PositiveFloat = Field(description="Comparisons, human and synthetic.")
    rm_validation: PositiveFloat = Field(description="Comparisons held out of RM training.")
    ppo: PositiveFloat = Field(description="Prompts PPO trains on.")
    evaluation: PositiveFloat = Field(description="Prompts every curve is measured on.")


class CandidateConfig(StrictModel):
    """Who wrote the responses that the annotators compare; the rest are degenerate texts."""

    policy_share: float = Field(ge=0, le=1, description="Samples of the main policy.")
    writer_share: float = Field(ge=0, le=1, description="Writers, from careful to careless.")
    exuberant_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        exclude_if=is_zero,
        description="Writers who are fond of adjectives, of very and so, of thanks and of !.",
    )


class AnnotatorConfig(StrictModel):
    """The people of the embedded world: a shared utility, weighed by each a little otherwise."""

    num_annotators: PositiveInt = Field(description="People; each comparison is judged by one.")
    weight_spread: NonNegativeFloat = Field(description="Sd of the log of their weights.")
    inverse_temperature: PositiveFloat = Field(
        description="How surely the better response wins: sigmoid(this * utility difference)."
    )
    label_noise: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        exclude_if=is_zero,
        description="Share of their choices that are noted the wrong way round.",
    )


class EmbeddedDataConfig(StrictModel):
    """The embedded world: text with a hidden utility, generated from scratch, offline."""

    source: Literal["embedded"]
    num_demonstrations: PositiveInt = Field(description="Texts written by demonstrators.")
    candidates: CandidateConfig
    annotators: AnnotatorConfig
    world: WorldConfig = Field(default=PLAIN_WORLD, description="Dials of what people like.")


class FileDataConfig(StrictModel):
    """The user's own files, one JSON object a line."""

    source: Literal["files"]
    demonstrations: str = Field(description="Path of a jsonl file with prompt, response.")
    comparisons: str = Field(description="Path of a jsonl file with prompt, chosen, rejected.")
    vocabulary_size: PositiveInt = Field(
        description="Entries of the byte-level BPE tokenizer trained on the files; at least 259."
    )


class EmbeddedDemonstrationSettings(StrictModel):
    """One job: write the demonstrations of the embedded world."""

    num_demonstrations: PositiveInt
    splits: SplitConfig
    seed: NonNegativeInt


class EmbeddedComparisonSettings(StrictModel):
    """One job: have annotators of the embedded world compare responses."""

    num_comparisons: NonNegativeInt
    num_validation: PositiveInt
    candidates: CandidateConfig
    annotators: AnnotatorConfig
    world: WorldConfig = Field(default=PLAIN_WORLD, exclude_if=is_plain)
    text: TextConfig
    seed: NonNegativeInt


class FeatureSettings(StrictModel):
    """One job: correlate reward models with the features of the hidden utility."""

    world: WorldConfig = Field(default=PLAIN_WORLD, exclude_if=is_plain)


class FileSettings(StrictModel):
    """One job: read the user's files, split their prompts, train the tokenizer."""

    splits: SplitConfig
    vocabulary_size: PositiveInt
