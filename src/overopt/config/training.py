"""Settings that training jobs share: shape of a model, optimization, text, numerics."""

from typing import Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from overopt.config.strict_model import StrictModel

Precision = Literal["fp32", "bf16"]


class TransformerConfig(StrictModel):
    """Shape of a transformer that is trained from scratch."""

    hidden_size: PositiveInt = Field(description="Width of the residual stream (d_model).")
    num_layers: PositiveInt = Field(description="Number of transformer blocks.")
    num_heads: PositiveInt = Field(description="Attention heads; must divide hidden_size.")

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        require_divisor(self.hidden_size, self.num_heads)
        return self


def require_divisor(hidden_size: int, num_heads: int) -> None:
    """Raise ValueError where the heads of a shape do not divide its width."""
    if hidden_size % num_heads:
        raise ValueError(
            f"hidden_size {hidden_size} is not a multiple of num_heads {num_heads}; "
            "choose a divisor"
        )


class OptimizationConfig(StrictModel):
    """Step size, batches and epochs of one training job."""

    learning_rate: PositiveFloat = Field(description="Peak learning rate of AdamW.")
    batch_size: PositiveInt = Field(description="Examples per optimizer step.")
    num_epochs: NonNegativeInt = Field(
        default=1, description="Passes over the training examples; 0: none, as it was loaded."
    )


class TextConfig(StrictModel):
    """Limits of the text, in tokens. Their sum is the context length of every model."""

    max_prompt_tokens: PositiveInt = Field(
        description="Longest prompt, `<bos>` included. A longer one is an error, never cut."
    )
    max_response_tokens: PositiveInt = Field(
        description="Longest response, `<eos>` included. A longer one is cut and has no `<eos>`."
    )

    @property
    def context_length(self) -> int:
        """Tokens of prompt and response together."""
        return self.max_prompt_tokens + self.max_response_tokens


class Numerics(StrictModel):
    """What changes the numbers of a training job."""

    precision: Precision = Field(
        default="fp32",
        description="Of the body's matrix products in training. Weights, heads, scores, "
        "log-probabilities and losses are fp32 under both.",
    )
    lora_rank: PositiveInt | None = Field(
        default=None,
        description="Rank of the adapters that are trained in place of the whole body (LoRA); "
        "none: everything is trained.",
    )
