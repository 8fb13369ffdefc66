"""The files of a data set that lies in a local folder, laid out as a repository of the hub."""

import os
from pathlib import Path

from overopt.config.hub import HubDatasetConfig

MAX_FILES = 10_000
CARDS = ("README.md", ".huggingface.yaml")
"""Files that say which files belong to which subset and split."""


def files_of(folder: str, data_dir: str | None) -> list[str]:
    """Paths of the files that a data set is read from, sorted: its card, and all of its data.

    Hidden files and folders (.git, .cache) are left out. No more than MAX_FILES + 1 are listed.
    """
    found = {path for name in CARDS if os.path.isfile(path := os.path.join(folder, name))}
    for place, folders, names in os.walk(os.path.join(folder, data_dir or "")):
        folders[:] = [name for name in folders if not name.startswith(".")]
        visible = [name for name in names if not name.startswith(".")]
        found.update(os.path.normpath(os.path.join(place, name)) for name in visible)
        if len(found) > MAX_FILES:
            break
    return sorted(found)


def local_files(config: HubDatasetConfig | None) -> list[str]:
    """The files that a data set is read from, where it lies in a folder; none of the hub's."""
    if config is None or config.revision is not None:
        return []
    return files_of(config.dataset, config.data_dir)


def size_of(files: list[str]) -> int:
    """Bytes of these files together."""
    return sum(Path(file).stat().st_size for file in files)
