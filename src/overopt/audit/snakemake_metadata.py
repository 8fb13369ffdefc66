"""
What Snakemake noted of each job: one JSON file per output in .snakemake/metadata.

An output without it is up to date for Snakemake whatever changes, and its record has no witness.
"""

import ast
import json
import os
from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from overopt.audit.findings import DISAGREES, NO_METADATA, Finding
from overopt.audit.records import Record
from overopt.audit.study_folder import StudyFolder

_LONGEST_NAME = 254


class SnakemakeMetadata:
    """The metadata of the folder that Snakemake ran in; there may be none."""

    def __init__(self, root: Path) -> None:
        self._folder = root / ".snakemake" / "metadata"
        self.exists = self._folder.is_dir()
        self._names = set(os.listdir(self._folder)) if self.exists else set[str]()

    def has(self, path: str) -> bool:
        """Whether Snakemake noted anything of this output."""
        parts = _parts(path)
        return parts[0] in self._names and (len(parts) == 1 or self._place(path).is_file())

    def read(self, path: str) -> dict[str, Any]:
        """What Snakemake noted of an output; empty where it noted nothing that can be read."""
        try:
            content: Any = json.loads(self._place(path).read_bytes())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _place(self, path: str) -> Path:
        return self._folder.joinpath(*_parts(path))


def _parts(path: str) -> list[str]:
    """Snakemake's name for an output: base64, in folders where it is too long for one name."""
    name = urlsafe_b64encode(path.encode()).decode()
    parts = [name[i : i + _LONGEST_NAME] for i in range(0, len(name), _LONGEST_NAME)]
    return [f"@{part}" for part in parts[:-1]] + parts[-1:]


def check_metadata(
    study: StudyFolder, records: Collection[Record], metadata: SnakemakeMetadata
) -> Iterator[Finding]:
    """Outputs that Snakemake does not know, and records that differ from what it noted."""
    if not metadata.exists:
        return
    made = [path for record in records for path in (record.path, *record.written)]
    if made and not any(metadata.has(path) for path in made):
        detail = f"all {len(made)} files: .snakemake/metadata knows none of them"
        yield Finding(NO_METADATA, study.name, detail)
        return
    for record in records:
        unknown = [path for path in (record.path, *record.written) if not metadata.has(path)]
        for path in unknown:
            yield Finding(NO_METADATA, path, f"{record.script} wrote it")
        if record.path in unknown:
            continue
        noted = metadata.read(record.path)
        if not noted:
            detail = "what Snakemake noted cannot be read"
            yield Finding(NO_METADATA, record.path, detail)
        elif differences := _differences(record, noted):
            yield Finding(DISAGREES, record.path, "; ".join(differences))


def _differences(record: Record, noted: dict[str, Any]) -> list[str]:
    """What the two say differently. Snakemake notes params as texts without their names."""
    params = noted.get("params", [])
    differences: list[str] = []
    if record.config is not None and repr(record.config) not in params:
        differences.append(f"other settings ({_noted_settings(record, params)})")
    if repr(record.code) not in params:
        differences.append(f"another code digest than {record.code[:8]}")
    command = noted.get("shellcmd")
    if command and f"/{record.script} " not in command:
        differences.append(f"another script than {record.script}")
    unknown = record.inputs.keys() - set(noted.get("input") or record.inputs)
    differences += [f"other inputs than {path}" for path in sorted(unknown)]
    checksums: dict[str, str] = noted.get("input_checksums") or {}
    differences += [
        f"another SHA-256 of the input {path}"
        for path, used in record.inputs.items()
        if path in checksums and checksums[path] != f"sha256:{used}"
    ]
    return differences


def _noted_settings(record: Record, params: list[str]) -> str:
    """Which settings differ, as far as that can be read."""
    for param in params:
        try:
            settings = json.loads(ast.literal_eval(param))
        except (ValueError, SyntaxError, TypeError):
            continue
        if isinstance(settings, dict):
            keys = settings.keys() | record.settings.keys()
            differing = sorted(key for key in keys if settings.get(key) != record.settings.get(key))
            return ", ".join(differing) or "written differently"
    return "none noted"
