"""Rows of a data set, from the hub or from a local folder in the same layout.

A repository is fetched whole (or its `data_dir`) at the pinned commit into the hub's own cache,
and read from there as a local folder. So both take one path, a second run needs no network, and a
cached copy of another revision is never taken for the pinned one (`load_dataset` would take it
where the hub cannot be reached). A data set with a script is refused: the code of others does not
run here.

`datasets` says which files belong to a subset and a split: it knows the cards and the names that
the hub knows. The files themselves are read by `tables`, which rewrites no text.
"""

import csv
import dataclasses
import lzma
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from overopt.config.hub import HubDatasetConfig
from overopt.data.hub.local_files import CARDS, MAX_FILES, files_of
from overopt.data.hub.readers import Row, Unusable
from overopt.data.hub.tables import rows_of_file
from overopt.errors import UserError
from overopt.jobs.hub_fetch import fetched

MAX_SHOWN = 8
NUM_LOOKED_AT = 100
"""First rows whose columns count as those of the data set: a row of JSON may lack some."""
_FORMATS = "Parquet, JSON lines, CSV or Arrow"
_BUILDERS = {"Parquet", "Json", "Csv", "Arrow"}
"""Classes of `datasets`; of the others, some unpack archives or decode pictures."""
# Options of a card that say how to cut CSV, that this reader has no need of, or that name the part.
_SERVED = {
    *("sep", "delimiter", "features", "chunksize", "batch_size", "block_size", "use_threads"),
    *("on_mixed_types", "parse_agent_traces", "data_files", "data_dir"),
    *("name", "version", "description"),
}


def read_rows(key: str, config: HubDatasetConfig) -> tuple[list[str], Iterator[Row | Unusable]]:
    """Columns and rows of one split of a data set, in its order.

    `key` names the data set in messages: comparisons or demonstrations. In place of a row that
    cannot be read stands the reason.

    Raises
    ------
    UserError: the data set cannot be fetched or read, at once or while its rows are read; the
    message says what to do.
    """
    name, folder = f"data.{key}: {config.dataset}", Path(config.dataset)
    if config.revision is not None:
        folder = fetched(
            config.dataset,
            config.revision,
            "dataset",
            named=name,
            key=f"data.{key}.dataset",
            patterns=[f"{config.data_dir}/**", *CARDS] if config.data_dir else None,
        )
    rows = _with_faults_in_words(name, _stream(name, folder, config))
    first = list(islice(rows, NUM_LOOKED_AT))
    if not first:
        raise UserError(f"{name}: the split {config.split!r} has no rows; name another split")
    columns = dict.fromkeys(chain.from_iterable(row for row in first if isinstance(row, Mapping)))
    return list(columns), chain(first, rows)


def _stream(name: str, folder: Path, config: HubDatasetConfig) -> Iterator[Row | Unusable]:
    """Rows as they are read. None is written to a cache, in which a stale copy could be found."""
    _refuse_script(name, folder, [f"{Path(config.dataset).name}.py"])
    if not (folder / (config.data_dir or "")).is_dir():
        raise UserError(f"{name}: has no folder {config.data_dir!r}; correct data_dir")
    files, builder, separator = _files(name, folder.resolve(), config)
    for file in files:
        try:
            yield from rows_of_file(file, builder, separator)
        except UserError as error:
            raise UserError(f"{name}: {error}") from error


def _files(name: str, folder: Path, config: HubDatasetConfig) -> tuple[list[Path], str, str]:
    """The files of a split in their order, the builder of `datasets` for them, CSV's separator."""
    with TemporaryDirectory() as place:
        # `datasets` takes brackets in a path for a pattern: it would read another folder, or none.
        twin = Path(place).resolve() / "data"
        if _link_files(folder, twin, config.data_dir) > MAX_FILES:
            raise UserError(f"{name}: holds more than {MAX_FILES:,} files; name a data_dir")
        builder = _builder(name, folder, twin, config)
    files = builder.config.data_files or {}
    if config.split not in files:
        raise UserError(
            f"{name}: has no split {config.split!r}; name one of {_listed(files)} as split"
        )
    kinds = _BUILDERS.intersection(kind.__name__ for kind in type(builder).__mro__)
    if not kinds:
        raise UserError(f"{name}: holds files of another kind; expected {_FORMATS} files")
    named = [os.path.normpath(file) for file in files[config.split]]
    if elsewhere := [file for file in named if not file.startswith(f"{twin}/")]:
        raise UserError(
            f"{name}: its card names data from elsewhere ({elsewhere[0]}), which no revision "
            "pins; download it into the folder and correct the card"
        )
    _refuse_options(name, builder.config)
    found = [folder / Path(file).relative_to(twin) for file in named]
    return found, kinds.pop(), getattr(builder.config, "sep", ",")


def _link_files(folder: Path, twin: Path, data_dir: str | None) -> int:
    """Make a folder of links to the files of another one; their number."""
    (twin / (data_dir or "")).mkdir(parents=True)
    files = files_of(str(folder), data_dir)
    for file in files:
        link = twin / Path(file).relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)
    return len(files)


def _refuse_options(name: str, options: Any) -> None:
    """Refuse what a card asks of the readers of `datasets` and this reader does not do."""
    given = [
        field.name
        for field in dataclasses.fields(options)
        if field.name not in _SERVED and getattr(options, field.name) != field.default
    ]
    if given:
        raise UserError(
            f"{name}: its card sets {_listed(given)}, which is not read here; write the data as "
            "JSON lines or Parquet, and remove it from the card"
        )


def _builder(name: str, folder: Path, twin: Path, config: HubDatasetConfig) -> Any:
    """What `datasets` has found in the folder, by its twin."""
    import datasets

    datasets.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    path, cache = str(twin), str(twin.parent / "cache")  # the cache: for a lock file
    try:
        return datasets.load_dataset_builder(
            path, config.subset, data_dir=config.data_dir, cache_dir=cache
        )
    except FileNotFoundError as error:
        _refuse_script(name, folder, [file.name for file in folder.glob("*.py")])
        reason = _first_line(error).replace(path, str(folder))
        raise UserError(f"{name}: holds no data ({reason}); expected {_FORMATS} files") from error
    except ValueError as error:
        subsets = datasets.get_dataset_config_names(path)
        if config.subset in subsets:
            raise
        wrong = f"has no subset {config.subset!r}" if config.subset else "has several subsets"
        raise UserError(f"{name}: {wrong}; name one of {_listed(subsets)} as subset") from error


def _refuse_script(name: str, folder: Path, scripts: list[str]) -> None:
    """Code of others does not run here; `datasets` itself would not run it either."""
    if found := [script for script in scripts if (folder / script).is_file()]:
        raise UserError(
            f"{name}: is made by a script ({found[0]}), and code of others does not run here. Many "
            "such data sets are there as Parquet too: give the commit of the branch "
            "refs/convert/parquet as revision, and the folder of the subset as data_dir"
        )


def _with_faults_in_words(name: str, rows: Iterator[Row | Unusable]) -> Iterator[Row | Unusable]:
    import pyarrow
    import yaml

    unreadable = (OSError, ValueError, EOFError, zlib.error, lzma.LZMAError, csv.Error)
    unreadable += (pyarrow.ArrowException, yaml.YAMLError)
    try:
        yield from rows
    except unreadable as error:
        raise UserError(
            f"{name}: cannot be read ({type(error).__name__}: {_first_line(error)}). Expected "
            f"whole {_FORMATS} files"
        ) from error


def _first_line(error: object) -> str:
    text = str(error).strip()
    return (text.splitlines() or [type(error).__name__])[0][:200]


def _listed(names: Iterable[object]) -> str:
    shown = [str(name) for name in names]
    more = [f"{len(shown) - MAX_SHOWN} more"] if len(shown) > MAX_SHOWN else []
    return ", ".join([*shown[:MAX_SHOWN], *more])
