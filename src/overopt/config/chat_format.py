"""How a published reward model's chat template is used."""

import datetime

from pydantic import Field

from overopt.config.strict_model import StrictModel


class ChatFormat(StrictModel):
    """What a chat template leaves open, and what may be changed for it in a conversation."""

    template: str | None = Field(
        default=None, description="Name of one of several chat templates; none: the default one."
    )
    date: datetime.date = Field(
        default=datetime.date(2024, 7, 26), description="The day that a template reads as today."
    )
    join_system_message: bool = Field(
        default=False, description="The system message opens the first turn of the user."
    )
    merge_turns: bool = Field(
        default=False, description="Turns of one speaker in a row become one turn."
    )
