"""
Orphans: results of cells that the config no longer has.

Snakemake forgets what it no longer makes. The cells of a sweep that is switched off are no orphans:
each sweep can be run by its name.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import yaml

from overopt.audit.findings import NOT_CHECKED, ORPHANS, Finding
from overopt.audit.study_folder import RESULTS, UNFINISHED, StudyFolder, in_words
from overopt.errors import UserError

if TYPE_CHECKING:
    from overopt.study.study import Study


@dataclass(frozen=True)
class Orphans:
    """Files of a study's folder that the grid does not explain.

    Attributes
    ----------
    results : the study's folder.
    files : files of cells in no sweep of the config, with their sizes, by folder.
    of_disabled_sweeps : the same for cells that only sweeps which are switched off have.

    Paths are relative to `results`.
    """

    results: Path
    files: Mapping[str, Mapping[str, int]]
    of_disabled_sweeps: Mapping[str, Mapping[str, int]]


def read_config(path: Path) -> "Study":
    """The study that a config file describes.

    Raises
    ------
    UserError
        Where the file cannot be read, or has faults.
    """
    from overopt.study.study import read_study

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError:
        raise UserError(f"{path}: no config that can be read; name one with --configfile") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = str(getattr(error, "problem_mark", "")).strip()
        raise UserError(f"{path} is not YAML: {place or error}") from None
    try:
        return read_study(content)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def find_orphans(results: Path, study: "Study") -> Orphans:
    """Every file of the folder that belongs to a cell which the study does not have.

    Raises
    ------
    UserError
        Where there is no such folder.
    """
    from overopt.study.paths import TILTED_FILES, cell_folders, grid_folders, tilted_folders

    if not results.is_dir():
        raise UserError(f"{results}: no such folder; nothing of this study has been made yet")
    disabled = [name for name, sweep in study.grid.sweeps.items() if not sweep.enabled]
    on_demand = [study.of_sweep(name) for name in disabled]
    wanted, tilted = cell_folders(study), tilted_folders(study)
    possible = wanted.union(*map(cell_folders, on_demand))
    possibly_tilted = tilted.union(*map(tilted_folders, on_demand))

    files: dict[str, dict[str, int]] = {}
    off: dict[str, dict[str, int]] = {}
    for path, size in _files_below(results, grid_folders()):
        parts = [part for part in path.parent.parts if not part.startswith(UNFINISHED)]
        folder = "/".join(parts)
        is_tilted = path.name in TILTED_FILES
        if folder not in possible or (is_tilted and folder not in possibly_tilted):
            files.setdefault(folder, {})[path.as_posix()] = size
        elif folder not in wanted or (is_tilted and folder not in tilted):
            off.setdefault(folder, {})[path.as_posix()] = size
    return Orphans(results, files, off)


def remove_orphans(orphans: Orphans) -> None:
    """Delete them, and the folders that are then empty; nothing outside of the study's folder.

    Raises
    ------
    UserError
        Where a folder on the way is a link to another place.
    """
    root = orphans.results.resolve()
    paths = [orphans.results / path for files in orphans.files.values() for path in files]
    for path in paths:
        if not path.parent.resolve().is_relative_to(root):
            raise UserError(f"{path} lies outside of {orphans.results}; nothing was removed")
    for path in paths:
        path.unlink()
        parent = path.parent
        while parent != orphans.results and not any(parent.iterdir()):
            parent.rmdir()
            parent = parent.parent


def _files_below(results: Path, folders: tuple[str, ...]) -> Iterator[tuple[PurePosixPath, int]]:
    for top in folders:
        for parent, _, names in os.walk(results / top):
            for name in names:
                path = Path(parent, name)
                yield PurePosixPath(path.relative_to(results).as_posix()), path.lstat().st_size


def check_orphans(study: StudyFolder, config: Path | None) -> Iterator[Finding]:
    """Cells that the config no longer has, as notes."""
    try:
        path = config or config_of(study)
        orphans = find_orphans(study.folder, read_config(path))
    except UserError as error:
        yield Finding(NOT_CHECKED, "the grid", str(error).splitlines()[0])
        return
    for folder, files in orphans.files.items():
        yield Finding(ORPHANS, f"{study.name}/{folder}", _size(files))


def config_of(study: StudyFolder) -> Path:
    """The config in config/ whose study has this name; UserError where there is none."""
    name = study.name.removeprefix(f"{RESULTS}/")
    pattern = re.compile(rf"^name:\s*['\"]?{re.escape(name)}['\"]?\s*(#.*)?$", re.MULTILINE)
    for path in sorted((study.root / "config").rglob("*.yaml")):
        if pattern.search(path.read_text(encoding="utf-8", errors="replace")):
            return path
    raise UserError(f"no file in config/ describes the study {name}; name one with --configfile")


def describe_orphans(orphans: Orphans, *, removed: bool = False) -> str:
    """What there is, by folder with sizes, and what to do about it."""
    off = _total(orphans.of_disabled_sweeps)
    kept = f"Of sweeps that are switched off, no orphans: {off}." if off else ""
    if not orphans.files:
        return "\n".join(filter(None, [f"{orphans.results}: no orphans.", kept]))
    verb = "Removed" if removed else "No sweep of the config makes these"
    lines = [f"{verb}, below {orphans.results}:"]
    lines += [f"  {folder}: {_size(files)}" for folder, files in sorted(orphans.files.items())]
    lines.append(f"In all {_total(orphans.files)}.")
    if not removed:
        lines.append("`overopt orphans --remove` deletes them.")
    return "\n".join(filter(None, [*lines, kept]))


def _total(folders: Mapping[str, Mapping[str, int]]) -> str:
    files = {path: size for each in folders.values() for path, size in each.items()}
    return f"{_size(files)} in {len(folders)} folders" if files else ""


def _size(files: Mapping[str, int]) -> str:
    noun = "file" if len(files) == 1 else "files"
    return f"{len(files)} {noun}, {in_words(sum(files.values()))}"
