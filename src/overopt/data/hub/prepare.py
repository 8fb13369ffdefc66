"""Human data of the hub, written in the form of the user's own files."""

import hashlib
import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from overopt.config.hub import HubDatasetConfig, HubSettings
from overopt.data.hub.readers import (
    NoPreference,
    Reader,
    Row,
    Texts,
    Unusable,
    comparison,
    comparison_reader,
    demonstration,
    demonstration_reader,
)
from overopt.data.hub.rows import read_rows
from overopt.errors import UserError
from overopt.jobs.job import Job

MAX_UNUSABLE = 0.1
"""Share of the rows that may be unusable; more of them, and the schema is another."""
MAX_ROWS_NAMED = 20
TIE = "without a preference"
TOO_LONG = "a prompt longer than data.max_prompt_characters"


def prepare_hub_data(
    job: Job, settings: HubSettings, comparisons: Path, demonstrations: Path
) -> None:
    """Write comparisons and demonstrations as jsonl; the log tells every row that was dropped.

    Without a data set of demonstrations, each response that was chosen counts as one, once.

    Raises
    ------
    UserError: a data set cannot be fetched or read, has other columns than its reader needs, or
    more than a tenth of its rows cannot be used.
    """
    judged = _comparisons(settings)
    if settings.demonstrations is None:
        chosen = [{"prompt": row["prompt"], "response": row["chosen"]} for row in judged]
        written = list({tuple(row.values()): row for row in chosen}.values())
        print(f"demonstrations: {len(written):,} responses that were chosen")
    else:
        written = _demonstrations(settings.demonstrations, settings)
    _write(comparisons, judged)
    _write(demonstrations, written)


def _comparisons(settings: HubSettings) -> list[Texts]:
    config = settings.comparisons
    columns, rows = read_rows("comparisons", config)
    name, reader = comparison_reader(config.reader, config.dataset)
    if missing := [column for column in reader.columns if column not in columns]:
        raise UserError(
            f"data.comparisons: {config.dataset}: has no column {', '.join(missing)}, which the "
            f"reader {name} needs; it has {', '.join(columns)}. Name another reader, subset or "
            "split"
        )
    print(f"comparisons: {_named(config)}, read as {name}")
    return _kept("comparisons", config, settings, rows, reader, comparison)


def _demonstrations(config: HubDatasetConfig, settings: HubSettings) -> list[Texts]:
    columns, rows = read_rows("demonstrations", config)
    reader = demonstration_reader(columns)
    if reader is None:
        raise UserError(
            f"data.demonstrations: {config.dataset}: has the columns {', '.join(columns)}; "
            "expected prompt with response or completion, or messages, or subreddit, title, post "
            "and summary. Leave data.demonstrations out to take the chosen responses"
        )
    print(f"demonstrations: {_named(config)}, read by {', '.join(reader.columns)}")
    return _kept("demonstrations", config, settings, rows, reader, demonstration)


def _named(config: HubDatasetConfig) -> str:
    revision = f" at {config.revision}" if config.revision else ""
    part = "".join(f", {part}" for part in (config.subset, config.data_dir) if part)
    return f"{config.dataset}{revision}{part}, split {config.split}"


def _kept(
    key: str,
    config: HubDatasetConfig,
    settings: HubSettings,
    rows: Iterable[Row | Unusable],
    reader: Reader,
    read: Callable[[Reader, Row], Texts],
) -> list[Texts]:
    """The texts of all rows that can be used, or of a random subset of them."""
    dropped: dict[str, list[int]] = defaultdict(list)
    texts: list[Texts] = []
    longest = settings.max_prompt_characters or float("inf")
    number = -1
    for number, row in enumerate(rows):
        try:
            if isinstance(row, Unusable):
                raise row
            text = read(reader, row)
        except NoPreference:
            dropped[TIE].append(number)
        except Unusable as fault:
            dropped[str(fault)].append(number)
        else:
            if len(text["prompt"]) > longest:
                dropped[TOO_LONG].append(number)
            else:
                texts.append(text)
    print(f"  {number + 1:,} rows, {len(texts):,} of them can be used")
    report = list(_told(dropped))
    print("".join(f"  {line}\n" for line in report), end="")
    unusable = Counter({reason: len(numbers) for reason, numbers in dropped.items()})
    del unusable[TIE], unusable[TOO_LONG]
    if unusable.total() > MAX_UNUSABLE * (number + 1) or not texts:
        raise UserError(
            f"data.{key}: {config.dataset}: {unusable.total():,} of {number + 1:,} rows cannot be "
            f"used, and {len(texts):,} are left; at most a tenth may be unusable. Name another "
            "subset, split or reader, or mend the data.\n"
            + "\n".join(f"  {line}" for line in report)
        )
    return _subset(texts, config.max_rows, settings.seed)


def _told(dropped: dict[str, list[int]]) -> Iterator[str]:
    """One line a reason, with the rows that it holds for, counted from 0 as the hub counts them."""
    for reason, numbers in sorted(dropped.items(), key=lambda item: -len(item[1])):
        named = ", ".join(map(str, numbers[:MAX_ROWS_NAMED]))
        more = ", ..." if len(numbers) > MAX_ROWS_NAMED else ""
        yield f"{len(numbers):,} dropped, {reason}: row {named}{more}"


def _subset(texts: list[Texts], max_rows: int | None, seed: int) -> list[Texts]:
    """At most this many rows, in their order: those with the smallest hash of seed and content.

    So it does not depend on the order of the rows, and a smaller subset is part of a larger one.
    """
    if max_rows is None or len(texts) <= max_rows:
        return texts
    numbers = heapq.nsmallest(max_rows, range(len(texts)), key=lambda i: _hash(seed, texts[i]))
    print(f"  {max_rows:,} of them taken at random")
    return [texts[number] for number in sorted(numbers)]


def _hash(seed: int, text: Texts) -> bytes:
    return hashlib.sha256(json.dumps([seed, *text.values()]).encode()).digest()


def _write(path: Path, rows: list[Texts]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
