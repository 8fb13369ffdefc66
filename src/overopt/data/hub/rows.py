"""Rows of a data set, from the hub or from a local folder in the same layout.

A repository is fetched whole (or its `data_dir`) at the pinned commit into the hub's own cache,
and read from there as a local folder. So both take one path, a second run needs no network, and a
cached copy of another revision is never taken for the pinned one (`load_dataset` would take it
where the hub cannot be reached). A data set with a script is refused: the code of others does not
run here.
"""

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from overopt.config.hub import HubDatasetConfig
from overopt.data.hub.local_files import CARDS
from overopt.errors import UserError

MAX_SHOWN = 8
_FORMATS = "Parquet, JSON lines, CSV or Arrow"
_BUILDERS = {"Parquet", "Json", "Csv", "Arrow"}
"""Classes of `datasets`; of the others, some unpack archives or decode pictures."""
_BY_HAND = (
    "`hf download {dataset} --repo-type dataset --revision {revision} --local-dir FOLDER` on a "
    "machine with network, and give FOLDER as data.{key}.dataset, without revision"
)


def read_rows(key: str, config: HubDatasetConfig) -> tuple[list[str], Iterator[dict[str, Any]]]:
    """Columns and rows of one split of a data set, in its order.

    `key` names the data set in messages: comparisons or demonstrations.

    Raises
    ------
    UserError: the data set cannot be fetched or read, at once or while its rows are read; the
    message says what to do.
    """
    folder = Path(config.dataset) if config.revision is None else _fetched(key, config)
    name = f"data.{key}: {config.dataset}"
    rows = _with_faults_in_words(name, _stream(name, folder, config))
    first = next(rows, None)
    if first is None:
        raise UserError(f"{name}: the split {config.split!r} has no rows; name another split")
    return list(first), chain([first], rows)


def _fetched(key: str, config: HubDatasetConfig) -> Path:
    """The folder of the hub's cache that holds the data set at its revision."""
    # Imported here: it takes a second that nobody need pay who reads a local folder.
    from huggingface_hub import errors, snapshot_download

    dataset, revision = config.dataset, config.revision
    name, page = f"data.{key}: {dataset}", f"https://huggingface.co/datasets/{dataset}"
    by_hand = _BY_HAND.format(dataset=dataset, revision=revision, key=key)
    patterns = [f"{config.data_dir}/**", *CARDS] if config.data_dir else None
    try:
        folder = snapshot_download(
            dataset, repo_type="dataset", revision=revision, allow_patterns=patterns
        )
    except errors.GatedRepoError as error:
        raise UserError(
            f"{name}: is gated; accept its terms at {page}, log in with `hf auth login`, and run "
            "the same command again"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise UserError(
            f"{name}: has no revision {revision}; take a commit from {page}/commits/main"
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise UserError(
            f"{name}: the hub has no data set of this name, or it is private; correct the name, or "
            "log in with `hf auth login`"
        ) from error
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        cause = error.__cause__ or error
        is_offline = isinstance(cause, errors.OfflineModeIsEnabled)
        reason = "HF_HUB_OFFLINE is set" if is_offline else _first_line(cause)
        raise UserError(
            f"{name}: is not in the hub's cache on this machine, and the hub cannot be reached "
            f"({reason}). Connect this machine, or run {by_hand}"
        ) from error
    except (
        errors.HTTPError,  # pyright: ignore[reportPrivateImportUsage]  of whichever httpx it uses
        OSError,
    ) as error:
        raise UserError(
            f"{name}: cannot be fetched ({_first_line(error)}). Try again later, or run {by_hand}"
        ) from error
    return Path(folder)


def _stream(name: str, folder: Path, config: HubDatasetConfig) -> Iterator[dict[str, Any]]:
    """Rows as they are read. None is written to a cache, in which a stale copy could be found."""
    _refuse_script(name, folder, [f"{Path(config.dataset).name}.py"])
    if not (folder / (config.data_dir or "")).is_dir():
        raise UserError(f"{name}: has no folder {config.data_dir!r}; correct data_dir")
    path = str(folder.resolve())
    builder = _builder(name, path, config)
    files = builder.config.data_files or {}
    if config.split not in files:
        raise UserError(
            f"{name}: has no split {config.split!r}; name one of {_listed(files)} as split"
        )
    if _BUILDERS.isdisjoint(kind.__name__ for kind in type(builder).__mro__):
        raise UserError(f"{name}: holds files of another kind; expected {_FORMATS} files")
    named = chain.from_iterable(files.values())
    if elsewhere := [file for file in named if not file.startswith(f"{path}/")]:
        raise UserError(
            f"{name}: its card names data from elsewhere ({elsewhere[0]}), which no revision "
            "pins; download it into the folder and correct the card"
        )
    yield from builder.as_streaming_dataset(split=config.split)


def _builder(name: str, path: str, config: HubDatasetConfig) -> Any:
    """What `datasets` has found in the folder."""
    import datasets

    datasets.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    try:
        with TemporaryDirectory() as cache:  # for a lock file
            return datasets.load_dataset_builder(
                path, config.subset, data_dir=config.data_dir, cache_dir=cache
            )
    except FileNotFoundError as error:
        _refuse_script(name, Path(path), [file.name for file in Path(path).glob("*.py")])
        raise UserError(
            f"{name}: holds no data ({_first_line(error)}); expected {_FORMATS} files"
        ) from error
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


def _with_faults_in_words(name: str, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    import pyarrow
    import yaml

    unreadable = (OSError, ValueError, EOFError, zlib.error, pyarrow.ArrowException, yaml.YAMLError)
    try:
        yield from rows
    except unreadable as error:
        raise UserError(
            f"{name}: cannot be read ({type(error).__name__}: {_first_line(error)}). Expected "
            f"whole {_FORMATS} files, with the same columns in every file of a split"
        ) from error


def _first_line(error: object) -> str:
    text = str(error).strip()
    return (text.splitlines() or [type(error).__name__])[0][:200]


def _listed(names: Iterable[object]) -> str:
    shown = [str(name) for name in names]
    more = [f"{len(shown) - MAX_SHOWN} more"] if len(shown) > MAX_SHOWN else []
    return ", ".join([*shown[:MAX_SHOWN], *more])
