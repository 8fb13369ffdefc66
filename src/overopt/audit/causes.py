"""
Why a result differs between two studies: back from the result to settings, code or data that do.

Every difference on the way counts, and the way goes on through every input that differs. Where
nothing differs but the bytes, the job is not deterministic, or machine or versions made them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from overopt.audit.records import Record, flat_settings
from overopt.audit.sides import Side

Change = tuple[str, str]
ABSENT = "absent"


@dataclass
class Cause:
    """One difference, wherever it occurs.

    Attributes
    ----------
    kind : "settings", "code", "inputs", "source", "edited", "unexplained" or "stale".
    name : of the setting, the source file, the side that was edited; the two commits; ...
    scripts : the jobs' scripts with what changed in them: values, code digests, paths.
    jobs : how often it occurs: paths of the records.
    results : all that differ because of it.

    """

    kind: str
    name: str
    scripts: dict[str, set[Change]] = field(default_factory=dict[str, set[Change]])
    jobs: set[str] = field(default_factory=set[str])
    results: set[str] = field(default_factory=set[str])


class Causes:
    """All causes of what differs between two sides."""

    def __init__(self, first: Side, second: Side) -> None:
        self._first = first
        self._second = second
        self._causes: dict[tuple[str, str], Cause] = {}
        self._known: dict[str, frozenset[tuple[str, str]]] = {}

    def explain(self, results: list[str]) -> list[Cause]:
        """The causes of these results, which both sides have; those with most results first."""
        for result in results:
            for key in self._of_result(result):
                self._causes[key].results.add(result)
        return sorted(self._causes.values(), key=lambda cause: -len(cause.results))

    def _of_result(self, result: str) -> frozenset[tuple[str, str]]:
        sides = (self._first, self._second)
        edited = [
            self._add("edited", side.label, "", (result, ""), result)
            for side in sides
            if side.results.get(result, side.recorded(result)) != side.recorded(result)
        ]
        first, second = (side.maker(result) for side in sides)
        if first is None or second is None:
            return frozenset(edited)
        if self._first.recorded(result) == self._second.recorded(result):
            return frozenset(edited or [self._stale(first)])
        return frozenset(edited) | self._of_jobs(first, second)

    def _stale(self, job: Record) -> tuple[str, str]:
        """An input that differed when it was used, and is the same on both sides now."""
        return self._add("stale", "", job.script, ("", ""), self._first.study.short(job.path))

    def _of_jobs(self, first: Record, second: Record) -> frozenset[tuple[str, str]]:
        path = self._first.study.short(first.path)
        if path not in self._known:
            self._known[path] = frozenset()  # for records that, against all sense, form a circle
            found = {*self._settings(first, second, path), *self._code(first, second, path)}
            found |= self._inputs(first, second, path)
            self._known[path] = frozenset(found or {self._unexplained(first, second, path)})
        return self._known[path]

    def _add(self, kind: str, name: str, script: str, change: Change, job: str) -> tuple[str, str]:
        # The same setting may be edited in two places: by script, it stays apart.
        key = (kind, f"{name} {script}" if kind == "settings" and name != "seed" else name)
        cause = self._causes.setdefault(key, Cause(kind, name))
        cause.scripts.setdefault(script, set()).add(change)
        cause.jobs.add(job)
        return key

    def _settings(self, first: Record, second: Record, path: str) -> set[tuple[str, str]]:
        changes = setting_changes(first.settings, second.settings)
        found: set[tuple[str, str]] = set()
        for name, change in changes.items():
            # Each job's seeds derive from the study's and the job's name: one cause, not hundreds.
            is_seed = name.endswith("seed")
            found.add(
                self._add("settings", "seed" if is_seed else name, first.script, change, path)
            )
        return found

    def _code(self, first: Record, second: Record, path: str) -> set[tuple[str, str]]:
        if first.code == second.code:
            return set()
        name = f"{first.commit_in_short} -> {second.commit_in_short}"
        return {self._add("code", name, first.script, (first.code, second.code), path)}

    def _inputs(self, first: Record, second: Record, path: str) -> set[tuple[str, str]]:
        before, after = self._first.inputs(first), self._second.inputs(second)
        found: set[tuple[str, str]] = set()
        for name in before.keys() & after.keys():
            if before[name] == after[name]:
                continue
            if self._first.maker(name) and self._second.maker(name):
                found |= self._of_result(name)
            else:
                change = (before[name], after[name])
                found.add(self._add("source", name, first.script, change, path))
        gone = {name for name in before.keys() - after.keys() if before[name] not in after.values()}
        new = {name for name in after.keys() - before.keys() if after[name] not in before.values()}
        changes = [(name, "") for name in gone] + [("", name) for name in new]
        found |= {self._add("inputs", "", first.script, change, path) for change in changes}
        return found

    def _unexplained(self, first: Record, second: Record, path: str) -> tuple[str, str]:
        versions = setting_changes(first.versions, second.versions)
        if first.where != second.where:
            versions["machine"] = (first.where, second.where)
        name = ", ".join(f"{key} {old} -> {new}" for key, (old, new) in versions.items())
        return self._add("unexplained", name, first.script, ("", ""), path)


def setting_changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Change]:
    """Settings that differ, `a.b` for the key b below a, with both values as JSON."""
    before, after = flat_settings(first), flat_settings(second)
    return {
        name: (before.get(name, ABSENT), after.get(name, ABSENT))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }
