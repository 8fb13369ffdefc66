"""
One job's record, read strictly: a record that lies is worse than one that is missing.

`overopt.jobs.job` writes each record in one canonical form and seals it with its own SHA-256
(`provenance.sealed`), so any other bytes were not written by a job.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, cast

from overopt.jobs.provenance import canonical_json, sealed

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_NUMBERS = ("wall_seconds", "cpu_seconds", "startup_cpu_seconds", "peak_memory_mb")


@dataclass(frozen=True, eq=False)
class Record:
    """What one job says of itself.

    Attributes
    ----------
    path : of the record, named as the records name files: `results/<name>/...`.
    script : file name of the job's script.
    code : digest of the script and of all it imports from the package.
    config : the job's settings as JSON text; None where the job has none.
    inputs, outputs : SHA-256 by path; `outputs` is None in records of before they were listed.
    commit, dirty : state of the repository; None where there was none.

    """

    path: str
    script: str
    code: str
    config: str | None
    inputs: Mapping[str, str]
    outputs: Mapping[str, str] | None
    commit: str | None
    dirty: bool | None
    versions: Mapping[str, str]
    device: str
    machine: str
    finished: datetime
    wall_seconds: float

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The job's settings."""
        return json.loads(self.config) if self.config else {}

    @property
    def seed(self) -> int | None:
        """The job's seed; None where its settings have none."""
        return self.settings.get("seed")

    @property
    def written(self) -> Mapping[str, str]:
        """SHA-256 of every file that the job wrote, by path."""
        return self.outputs or {}

    @property
    def where(self) -> str:
        """The machine and its processor or accelerator."""
        return f"{self.machine}, {self.device}"

    @property
    def commit_in_short(self) -> str:
        """The commit, with a word where the tree was dirty."""
        if self.commit is None:
            return "unknown commit"
        return self.commit[:8] + (" (dirty)" if self.dirty else "")


def parse_record(path: str, content: bytes) -> Record:
    """The record in these bytes.

    Raises
    ------
    ValueError
        Saying in a few words what is wrong.
    """
    try:
        fields: Any = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(fields, dict):
        raise ValueError("not a record")
    if content != canonical_json(fields):
        raise ValueError("not in the form that jobs write; it was edited or damaged")
    record = _Fields(cast(dict[str, Any], fields)).record(path)
    without_seal = {name: value for name, value in fields.items() if name != "sha256"}
    is_old = not fields.keys() & {"outputs", "sha256"}
    if not is_old and fields != sealed(without_seal):
        raise ValueError("not what its own SHA-256 says; it was edited or damaged")
    return record


def flat_settings(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Settings one by one, `a.b` for the key b below a; values as JSON, but text without quotes."""
    flat: dict[str, str] = {}
    for key, value in sorted(settings.items(), key=lambda item: isinstance(item[1], dict)):
        if isinstance(value, dict):
            flat |= flat_settings(cast(dict[str, Any], value), f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


class _Fields:
    """The fields of a record, each checked when it is taken."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields

    def record(self, path: str) -> Record:
        git = self._mapping("git")
        commit, dirty = git.get("commit"), git.get("dirty")
        self._check("git.commit", commit is None or _matches(_COMMIT, commit))
        self._check("git.dirty", dirty is None or isinstance(dirty, bool))
        self._check("git", set(git) == {"commit", "dirty"})
        self._check("code", _matches(_SHA256, self._fields.get("code")))
        for name in _NUMBERS:
            number = self._fields.get(name)
            self._check(name, isinstance(number, int | float) and number >= 0)
        return Record(
            path=path,
            script=self._text("rule_script"),
            code=self._fields["code"],
            config=self._config(),
            inputs=self._digests("inputs"),
            outputs=self._digests("outputs") if "outputs" in self._fields else None,
            commit=commit,
            dirty=dirty,
            versions=self._versions(),
            device=self._text("device"),
            machine=self._text("machine"),
            finished=self._time("finished"),
            wall_seconds=self._fields["wall_seconds"],
        )

    @staticmethod
    def _check(name: str, holds: bool) -> None:
        if not holds:
            raise ValueError(f"its field {name!r} is missing or wrong")

    def _mapping(self, name: str) -> dict[str, Any]:
        value = self._fields.get(name)
        self._check(name, isinstance(value, dict))
        return cast(dict[str, Any], value)

    def _text(self, name: str) -> str:
        value = self._fields.get(name)
        self._check(name, isinstance(value, str) and value != "")
        return cast(str, value)

    def _digests(self, name: str) -> dict[str, str]:
        digests = self._mapping(name)
        self._check(name, all(_matches(_SHA256, digest) for digest in digests.values()))
        return digests

    def _versions(self) -> dict[str, str]:
        versions = self._mapping("versions")
        self._check("versions", all(isinstance(version, str) for version in versions.values()))
        return versions

    def _config(self) -> str | None:
        config = self._fields.get("config")
        if config is None and "config" in self._fields:
            return None
        try:
            is_settings = isinstance(config, str) and isinstance(json.loads(config), dict)
        except ValueError:
            is_settings = False
        self._check("config", is_settings)
        return cast(str, config)

    def _time(self, name: str) -> datetime:
        try:
            time = datetime.fromisoformat(self._text(name))
        except ValueError:
            time = None
        self._check(name, time is not None and time.tzinfo is not None)
        return cast(datetime, time)


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
