"""Settings of human data of the hub."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt, WithJsonSchema
from pydantic_core import PydanticCustomError

from overopt.config.strict_model import StrictModel
from overopt.errors import UserError

Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]


@dataclass(frozen=True)
class Reader:
    """One schema of comparisons.

    Attributes
    ----------
    name
        In configs.
    columns, read
        Of a plugin's reader: the columns it needs, and the function from a row (a mapping of
        columns to values) to `prompt`, `chosen` and `rejected`, as "package.module:function".
        The project's own stand in `overopt.data.hub.readers`.

    """

    name: str
    columns: tuple[str, ...] = ()
    read: str = ""


READERS: dict[str, Reader] = {
    name: Reader(name)
    for name in ("standard", "hh_rlhf", "summarize_from_feedback", "ultrafeedback_binarized")
}


def register_reader(reader: Reader) -> Reader:
    """Add a reader to READERS; UserError where one of this name is there already."""
    if reader.name in READERS:
        raise UserError(
            f"reader {reader.name!r} is registered already (of {', '.join(READERS)}); give the "
            "new reader another name"
        )
    READERS[reader.name] = reader
    return reader


def _known_reader(name: str) -> str:
    if name not in READERS:
        expected = f"{', '.join(map(repr, list(READERS)[:-1]))} or {list(READERS)[-1]!r}"
        raise PydanticCustomError("literal_error", "expected {expected}", {"expected": expected})
    return name


ReaderName = Annotated[
    str,
    AfterValidator(_known_reader),
    WithJsonSchema({"enum": list(READERS), "type": "string"}),
]


class HubDatasetConfig(StrictModel):
    """One data set of the hub, or of a local folder in the same layout."""

    dataset: str = Field(description="Repository of the hub, or path of a local folder.")
    revision: Commit | None = Field(
        default=None, description="Commit of the repository; none for a local folder."
    )
    subset: str | None = Field(default=None, description="Subset (configuration) of the data set.")
    data_dir: str | None = Field(default=None, description="Folder of the repository to read.")
    split: str = Field(default="train", description="Split to read.")
    max_rows: PositiveInt | None = Field(
        default=None, description="Most rows to keep: a random subset, the same in every order."
    )


class HubComparisonsConfig(HubDatasetConfig):
    """Comparisons of the hub, with the reader for their schema."""

    reader: ReaderName | None = Field(
        default=None, description="Schema; by default that of the data set of this name."
    )


class HubDataConfig(StrictModel):
    """Human data of the hub."""

    source: Literal["hub"]
    comparisons: HubComparisonsConfig = Field(description="The data set of comparisons.")
    demonstrations: HubDatasetConfig | None = Field(
        default=None, description="The data set of demonstrations; none: the chosen responses."
    )
    max_prompt_characters: PositiveInt | None = Field(
        default=None, description="Rows with a longer prompt are dropped."
    )
    vocabulary_size: PositiveInt = Field(
        default=4096, description="Entries of the byte-level BPE tokenizer of models from scratch."
    )


class HubSettings(StrictModel):
    """One job: fetch data sets of the hub and write them in the form of the user's files."""

    comparisons: HubComparisonsConfig
    demonstrations: HubDatasetConfig | None
    max_prompt_characters: PositiveInt | None
    seed: NonNegativeInt
