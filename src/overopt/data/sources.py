"""Where human data can come from: one table of what the rest of the package asks of a source.

A source is a config model with a `source` key, an entry of `SOURCES` and the rule files it names,
which make prompts, demonstrations, the tokenizer and human comparisons.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from overopt.config.data import EmbeddedDataConfig, FileDataConfig
from overopt.config.hub import HubDataConfig
from overopt.config.strict_model import StrictModel
from overopt.data.world.vocabulary import VOCABULARY

DataConfig = Annotated[
    EmbeddedDataConfig | FileDataConfig | HubDataConfig, Field(discriminator="source")
]


@dataclass(frozen=True)
class Source:
    """One source of human data.

    Attributes
    ----------
    name : `data.source` in configs.
    config : the model of the config's section `data`.
    rule_files : files of workflow/rules, by stem.
    is_generated : whether the study makes all texts itself. Then prompts and lengths are known
        before any job has run, and people compare samples of the main policy; otherwise text is
        read, and a tokenizer of `data.vocabulary_size` entries is trained on it.
    is_fetched : whether a job first writes the data as jsonl below data/hub of the results.
    has_hidden_utility : whether `overopt.data.hidden_utility` knows what people truly like.

    """

    name: str
    config: type[StrictModel]
    rule_files: tuple[str, ...]
    is_generated: bool = False
    is_fetched: bool = False
    has_hidden_utility: bool = False


SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            name="embedded",
            config=EmbeddedDataConfig,
            rule_files=("embedded_world",),
            is_generated=True,
            has_hidden_utility=True,
        ),
        Source(name="files", config=FileDataConfig, rule_files=("human_files",)),
        Source(
            name="hub",
            config=HubDataConfig,
            rule_files=("human_files", "hub_data"),
            is_fetched=True,
        ),
    )
}


def vocabulary_size(data: DataConfig) -> int:
    """Count the entries of the tokenizer: words of the world, or those to train on the text."""
    return len(VOCABULARY) if isinstance(data, EmbeddedDataConfig) else data.vocabulary_size


def local_paths(data: DataConfig) -> list[str]:
    """Paths of the user's own files and folders that the human data is read from."""
    if isinstance(data, FileDataConfig):
        return [data.demonstrations, data.comparisons]
    if isinstance(data, HubDataConfig):
        datasets = [data.comparisons, data.demonstrations]
        return [dataset.dataset for dataset in datasets if dataset and dataset.revision is None]
    return []
