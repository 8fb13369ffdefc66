"""
What dvc.lock says the results are, read without DVC, which would take a second to import.

A file has an MD5 there; a folder has that of the list of its files, the manifest, which lies in
DVC's cache where the folder was recorded or fetched.
"""

import configparser
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from overopt.errors import UserError

Read = Callable[[str], str | None]
"""Text of a file of the repository, by its path from the root; None where there is none."""


@dataclass(frozen=True)
class LockedOut:
    """One output of a stage, as dvc.lock has it.

    `path` is relative to the root of the repository; `md5` of a folder ends in `.dir`.
    """

    path: str
    md5: str
    stage: str
    lock: str

    @property
    def is_folder(self) -> bool:
        """Whether the output is a folder."""
        return self.md5.endswith(".dir")


def lock_files(root: Path) -> list[str]:
    """Every dvc.lock, from the root down to two folders below it."""
    found = [path for pattern in ("", "*/", "*/*/") for path in root.glob(f"{pattern}dvc.lock")]
    return sorted(path.relative_to(root).as_posix() for path in found)


def locked_outs(lock: str, read: Read) -> list[LockedOut]:
    """All outputs that a dvc.lock records; those with another hash than DVC 3's MD5 are left out.

    Raises
    ------
    UserError
        Where the file is no dvc.lock.
    """
    folder = os.path.dirname(lock)
    stages = _stages(lock, read(lock))
    work_folders = _work_folders(read(os.path.join(folder, "dvc.yaml")))
    outs: list[LockedOut] = []
    for stage, content in stages.items():
        work_folder = work_folders.get(stage.split("@")[0], ".")
        for out in content.get("outs") or []:
            if out.get("hash") == "md5":
                path = os.path.normpath(os.path.join(folder, work_folder, out["path"]))
                outs.append(LockedOut(path, out["md5"], stage, lock))
    return outs


def _stages(lock: str, text: str | None) -> Mapping[str, Any]:
    try:
        stages = _load_yaml(text or "")["stages"] or {}
        for content in stages.values():
            for out in content.get("outs") or []:
                if not isinstance(out["path"], str):
                    raise TypeError
                if out.get("hash") == "md5" and not isinstance(out["md5"], str):
                    raise TypeError
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"{lock} is not what DVC writes; `git checkout HEAD {lock}` restores it"
        ) from None
    return stages


def _work_folders(text: str | None) -> dict[str, str]:
    """`wdir` of the stages that have one."""
    try:
        stages = (_load_yaml(text or "") or {}).get("stages") or {}
    except (yaml.YAMLError, AttributeError):
        return {}
    return {
        name: stage["wdir"]
        for name, stage in stages.items()
        if isinstance(stage, dict) and isinstance(stage.get("wdir"), str)
    }


def _load_yaml(text: str) -> Any:
    # libyaml is ten times as fast as the Python loader, where it was built in.
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


class Cache:
    """DVC's cache of one repository."""

    def __init__(self, root: Path) -> None:
        self._folder = _cache_folder(root) / "files" / "md5"

    def place(self, md5: str) -> Path:
        """Where the bytes of this MD5 lie, if they are here."""
        return self._folder / md5[:2] / md5[2:]

    def manifest(self, out: LockedOut) -> dict[str, str] | None:
        """MD5 of every file of a folder, by its path from the root; None if not in the cache."""
        try:
            entries = json.loads(self.place(out.md5).read_bytes())
            return {f"{out.path}/{entry['relpath']}": entry["md5"] for entry in entries}
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _cache_folder(root: Path) -> Path:
    """`.dvc/cache`, or what the configuration says instead."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read([root / ".dvc" / "config", root / ".dvc" / "config.local"], encoding="utf-8")
        folder = parser.get("cache", "dir", fallback="cache").strip("'\"")
    except (configparser.Error, UnicodeDecodeError):
        folder = "cache"
    return root / ".dvc" / folder


def folder_md5(md5_by_path: Mapping[str, str]) -> str:
    """The MD5 that DVC gives a folder with these files; paths are relative to the folder."""
    entries = [{"md5": md5_by_path[path], "relpath": path} for path in sorted(md5_by_path)]
    text = json.dumps(entries, sort_keys=True).encode()
    return f"{hashlib.md5(text, usedforsecurity=False).hexdigest()}.dir"


def files_of_folder(folder: Path, ignored: Iterable[str]) -> list[str]:
    """Paths of the files that DVC sees in a folder, from the folder on.

    Of the patterns of `.dvcignore` those are understood that name a file or folder anywhere.
    """
    patterns = [pattern.rstrip("/") for pattern in ignored]
    found: list[str] = []
    for parent, folders, names in os.walk(folder):
        for listed in (folders, names):
            listed[:] = [n for n in listed if not any(fnmatch(n, pattern) for pattern in patterns)]
        found += [Path(parent, name).relative_to(folder).as_posix() for name in names]
    return found


def ignored_patterns(root: Path) -> list[str]:
    """Patterns of `.dvcignore`."""
    try:
        lines = (root / ".dvcignore").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
