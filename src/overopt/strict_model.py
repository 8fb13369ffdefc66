"""The base of every settings model."""

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """Immutable settings that refuse unknown keys, so that a misspelt key stops the run."""

    model_config = ConfigDict(extra="forbid", frozen=True)
