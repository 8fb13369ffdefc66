"""
What a finished study is: its cells, and from its run records what made it and what it cost.

Every job of the workflow leaves a record (`overopt.jobs.job`); this reads them all.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from overopt.config.methods import sweep_methods
from overopt.config.rules import stage_of
from overopt.report.fit_names import fit_name

Record = dict[str, Any]


def read_records(results: Path) -> list[Record]:
    """Every run record below the folder of a study, each with its `stage` (`config.rules`).

    Jobs may run at the same time: what they have not finished is left out.
    """
    return [_read(path, results) for path in _files(results, "record.json")]


def _files(folder: Path, ending: str) -> list[Path]:
    """Files below a folder whose names end so; hidden folders, which jobs remove, are left out."""
    found: list[Path] = []
    for root, folders, names in os.walk(folder):  # passes over a folder that goes meanwhile
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(root, name) for name in names if name.endswith(ending)]
    return sorted(found)


def _read(path: Path, results: Path) -> Record:
    record: Record = json.loads(path.read_text(encoding="utf-8"))
    made = path.relative_to(results).as_posix()
    return record | {"stage": stage_of(record["rule_script"], made)}


def costs(results: Path) -> pd.DataFrame:
    """Jobs, CPU seconds, of these start and import, wall seconds, largest memory, by stage.

    The most expensive stage first; no rows where there are no records.
    """
    records = read_records(results)
    if not records:
        return pd.DataFrame()
    table = pd.DataFrame(records).groupby("stage", sort=False)
    return pd.DataFrame(
        {
            "jobs": table.size(),
            "cpu_seconds": table["cpu_seconds"].sum(),
            "startup_cpu_seconds": table["startup_cpu_seconds"].sum(),
            "wall_seconds": table["wall_seconds"].sum(),
            "peak_memory_mb": table["peak_memory_mb"].max(),
        }
    ).sort_values("cpu_seconds", ascending=False)


def diverged_runs(results: Path) -> dict[str, str]:
    """RL runs that ended because a number was not finite: the folder below `results`, and why."""
    runs = {}
    for path in (
        path for name in sweep_methods() for path in _files(results / name, "metrics.json")
    ):
        ended = json.loads(path.read_text(encoding="utf-8")).get("ended", "")
        if ended.startswith("diverged"):
            runs[path.parent.relative_to(results).as_posix()] = ended
    return runs


def study_record(results: Path, settings: Mapping[str, Any]) -> Record:
    """Settings, size, provenance and cost of a study, ready for JSON.

    `settings` is the whole study as the config has it. Keys: name, settings, cells (fits by kind),
    num_prompts, num_seeds (of the cell with most); commits (jobs by commit, "+" where tracked files
    differed from it), versions (of each package, those that jobs ran with), devices, machines
    (jobs by each), started and finished (ISO 8601, UTC), num_jobs, cpu_seconds, cost (rows of
    `costs`), diverged (`diverged_runs`).
    """
    fits = pd.read_csv(results / "coefficients.csv")
    records = read_records(results)
    table = costs(results)
    ends = [datetime.fromisoformat(record["finished"]) for record in records]
    starts = [
        end - timedelta(seconds=record["wall_seconds"])
        for end, record in zip(ends, records, strict=True)
    ]
    return {
        "name": settings["name"],
        "settings": dict(settings),
        "cells": _counted_fits(fits),
        "num_prompts": int(fits["num_prompts"].max()),
        "num_seeds": int(fits["num_seeds"].max()),
        "commits": _counts(_commit(record) for record in records),
        "versions": _versions(records),
        "devices": _counts(record["device"] for record in records),
        "machines": _counts(record["machine"] for record in records),
        "started": min(starts).isoformat(timespec="seconds"),
        "finished": max(ends).isoformat(timespec="seconds"),
        "num_jobs": len(records),
        "cpu_seconds": round(float(table["cpu_seconds"].sum()), 1),
        "cost": table.round(1).reset_index().to_dict(orient="records"),
        "diverged": diverged_runs(results),
    }


def _counted_fits(fits: pd.DataFrame) -> dict[str, int]:
    """Number of fits of each kind, by its name in words."""
    kinds = fits.groupby(["form", "method"]).size().items()
    return {fit_name(str(method), str(form)): int(count) for (form, method), count in kinds}  # type: ignore[misc]


def _commit(record: Record) -> str:
    git = record["git"]
    if git["commit"] is None:
        return "unknown (no git repository)"
    return git["commit"] + ("+" if git["dirty"] else "")


def _counts(values: Any) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _versions(records: list[Record]) -> dict[str, list[str]]:
    """Versions by package; more than one where jobs ran in different environments."""
    versions: dict[str, set[str]] = {}
    for record in records:
        for package, version in record["versions"].items():
            versions.setdefault(package, set()).add(version)
    return {package: sorted(versions[package]) for package in sorted(versions)}
