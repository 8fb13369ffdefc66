"""Dials of the embedded world: what people like beyond the eleven features of the plain world."""

from pydantic import Field, NonNegativeFloat

from overopt.config.strict_model import StrictModel


class WorldConfig(StrictModel):
    """Dials of the embedded world; at 0, their default, it is the plain world to the byte."""

    taste: NonNegativeFloat = Field(
        default=0.0, description="Weight of a liking for single words, other ones a topic and tone."
    )
    blind_spots: NonNegativeFloat = Field(
        default=0.0, description="Weight of flowery words: liked, but hated where there are many."
    )


PLAIN_WORLD = WorldConfig()
"""The world with every dial at 0."""


def is_plain(world: WorldConfig) -> bool:
    """Tell whether all dials are at 0: then jobs have the settings that they had without dials."""
    return world == PLAIN_WORLD


def is_zero(value: float) -> bool:
    """Tell whether a dial is at 0; then it is left out of the settings of jobs."""
    return value == 0
