"""The base of every settings model."""

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """Immutable settings that refuse unknown keys, so that a misspelt key stops the run.

    Numbers are finite: 1e999 is infinity to Python, for which JSON has no word.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
