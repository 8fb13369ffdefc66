"""What a model starts from: random weights of a given shape, or a pretrained checkpoint."""

import hashlib
import os.path
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from overopt.config.strict_model import StrictModel
from overopt.config.training import TransformerConfig, require_divisor

_SHAPE = tuple(TransformerConfig.model_fields)
Revision = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
Role = Literal["language_model", "reward_model"]
_CHECKPOINT = "Pretrained checkpoint: a local folder, or a repository of the Hugging Face hub."
_REVISION = "Of a hub repository: a commit, or a tag or branch that does not move."


class CheckpointSettings(StrictModel):
    """One job: make a published checkpoint usable."""

    checkpoint: str
    revision: str | None
    role: Role

    @property
    def is_local(self) -> bool:
        """Whether it is a folder, not a repository of the hub."""
        return self.revision is None

    @property
    def slug(self) -> str:
        """The name of its folder under results/<name>/checkpoints/."""
        last = os.path.basename(os.path.normpath(self.checkpoint))
        name = re.sub(r"[^A-Za-z0-9.]+", "-", last).strip("-.") or "checkpoint"
        key = f"{self.checkpoint}@{self.revision}@{self.role}"
        return f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"

    def files(self) -> list[str]:
        """The files of a local folder that a model is read from; none of the hub's."""
        if not self.is_local:
            return []
        kinds = ("*.json", "*.safetensors", "*.jinja", "*/*.jinja", "*.model", "*.txt")
        return sorted(str(path) for kind in kinds for path in Path(self.checkpoint).glob(kind))


class CheckpointConfig(StrictModel):
    """A published checkpoint, where one is used."""

    checkpoint: str | None = Field(default=None, description=_CHECKPOINT)
    revision: Revision | None = Field(default=None, description=_REVISION)

    @model_validator(mode="after")
    def _revision_has_a_checkpoint(self) -> Self:
        if self.revision is not None and self.checkpoint is None:
            raise ValueError("revision without checkpoint; add checkpoint, or remove revision")
        return self

    def checkpoint_settings(self, role: Role) -> CheckpointSettings | None:
        """Settings of the job that fetches the checkpoint; None where there is none."""
        if self.checkpoint is None:
            return None
        return CheckpointSettings(checkpoint=self.checkpoint, revision=self.revision, role=role)


class ModelConfig(CheckpointConfig):
    """A model from scratch, by its shape, or a pretrained one."""

    hidden_size: PositiveInt | None = Field(
        default=None, description="Width of the residual stream (d_model), from scratch."
    )
    num_layers: PositiveInt | None = Field(
        default=None, description="Number of transformer blocks, from scratch."
    )
    num_heads: PositiveInt | None = Field(
        default=None, description="Attention heads; must divide hidden_size."
    )

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        given = [name for name in _SHAPE if getattr(self, name) is not None]
        missing = [name for name in _SHAPE if name not in given]
        if self.checkpoint is not None and given:
            raise ValueError(
                f"has a checkpoint and {', '.join(given)}; a checkpoint has its own shape, so keep "
                "one of both"
            )
        if self.checkpoint is None and missing:
            raise ValueError(
                f"{', '.join(missing)} missing; a model from scratch needs {', '.join(_SHAPE)}, a "
                "pretrained one checkpoint instead"
            )
        if self.hidden_size is not None and self.num_heads is not None:
            require_divisor(self.hidden_size, self.num_heads)
        return self

    @property
    def shape(self) -> TransformerConfig | None:
        """Shape of a model from scratch; None of a pretrained one."""
        if self.hidden_size is None or self.num_layers is None or self.num_heads is None:
            return None
        return TransformerConfig(
            hidden_size=self.hidden_size, num_layers=self.num_layers, num_heads=self.num_heads
        )
