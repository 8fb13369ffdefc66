"""A lineage for a person: one job a paragraph, what it used below it."""

import textwrap
from collections.abc import Iterator, Sequence

from rich.text import Text
from rich.tree import Tree

from overopt.audit.digests import Digests
from overopt.audit.lineage import Node
from overopt.audit.records import Record, flat_settings
from overopt.audit.snakemake_metadata import SnakemakeMetadata
from overopt.audit.study_folder import StudyFolder

WIDTH = 100
MAX_LINES = 3  # of settings
MAX_NAMES = 4
CELL = ("run.", "proxy_rm.")  # settings that say which cell it is come first


class LineageText:
    """Writes trees of one study.

    `full` shows all settings, whatever their length.
    """

    def __init__(
        self, study: StudyFolder, metadata: SnakemakeMetadata, digests: Digests, *, full: bool
    ) -> None:
        self._study = study
        self._metadata = metadata
        self._digests = digests
        self._full = full

    def tree(self, node: Node) -> Tree:
        """What a node's jobs made, how, and from what."""
        head = self._files(node)
        if not node.jobs:
            return Tree(Text(f"{head}  {self._without_maker(node)}"))
        if node.is_repeated:
            # The job may be above under another of its files.
            return Tree(Text(f"{head}  by {self._rule(node.jobs[0])}, shown above"))
        details = self._one(node.jobs[0]) if len(node.jobs) == 1 else self._many(node.jobs)
        tree = Tree(Text("\n  ".join([head, *details])))
        tree.children = [self.tree(child) for child in node.children]
        return tree

    def _files(self, node: Node) -> str:
        """Names with short hashes, and whether the bytes are still those that were used."""
        files = {self._study.short(path): self._digest(path, u) for path, u in node.files.items()}
        if len(node.jobs) > 1:
            changed = sum("(" in digest for digest in files.values())
            note = f" ({changed} of them changed since)" if changed else ""
            return f"{_pattern(list(files))}: {len(files)} files{note}"
        folders = {path.rpartition("/")[0] for path in files}
        folder = f"{folders.pop()}/" if len(folders) == 1 and "" not in folders else ""
        shown = [f"{path.removeprefix(folder)} {digest}" for path, digest in files.items()]
        if len(shown) > MAX_NAMES and not self._full:
            shown[MAX_NAMES:] = [f"... ({len(files)} in all)"]
        text = ", ".join(shown)
        return f"{folder}{{{text}}}" if folder and len(files) > 1 else folder + text

    def _without_maker(self, node: Node) -> str:
        if any(self._study.is_inside(path) for path in node.files):
            return "no record says which job made it"
        return "a source: it came into the study from outside"

    def _digest(self, path: str, used: str) -> str:
        """The short hash of what was used, with a word where it is no longer there."""
        now = self._digests.sha256(self._study.place(path))
        if now is None:
            return f"{used[:8]} (GONE)"
        return used[:8] if now == used else f"{used[:8]} (NOW {now[:8]})"

    def _one(self, job: Record) -> Iterator[str]:
        commit = f"commit {job.commit_in_short}" if job.commit else job.commit_in_short
        parts = [self._script(job), f"code {job.code[:8]}", commit]
        if job.seed is not None:
            parts.append(f"seed {job.seed}")
        yield "  ".join(parts)
        yield f"{job.finished:%Y-%m-%d %H:%M %Z} on {job.where}, {job.wall_seconds:.0f} s"
        settings = flat_settings(job.settings)
        settings.pop("seed", None)
        shown = sorted(settings.items(), key=lambda item: not item[0].startswith(CELL))
        yield from self._wrapped([f"{key}={value}" for key, value in shown])

    def _many(self, jobs: Sequence[Record]) -> Iterator[str]:
        codes, commits = (
            _distinct(job.code[:8] for job in jobs),
            _distinct(job.commit_in_short for job in jobs),
        )
        yield "  ".join(
            [
                f"{len(jobs)} jobs of {self._script(jobs[0])}",
                f"code {_some(codes)}",
                f"commit {_some(commits)}",
            ]
        )
        ends = sorted(job.finished for job in jobs)
        places = _some(_distinct(job.where for job in jobs))
        is_one_day = ends[0].date() == ends[-1].date()
        last = f"{ends[-1]:%H:%M %Z}" if is_one_day else f"{ends[-1]:%Y-%m-%d %H:%M %Z}"
        yield f"{ends[0]:%Y-%m-%d %H:%M} to {last} on {places}"
        values: dict[str, list[str]] = {}
        for job in jobs:
            for key, value in flat_settings(job.settings).items():
                values.setdefault(key, []).append(value)
        differing = {key: _distinct(each) for key, each in values.items() if len(set(each)) > 1}
        shared = [f"{key}={each[0]}" for key, each in values.items() if len(set(each)) == 1]
        yield from self._wrapped([f"{key} {_some(each)}" for key, each in differing.items()])
        yield from self._wrapped(shared)

    def _rule(self, job: Record) -> str:
        """The rule's name, where Snakemake knows it; the script's otherwise."""
        return self._metadata.read(job.path).get("rule") or job.script

    def _script(self, job: Record) -> str:
        rule = self._rule(job)
        return job.script if rule == job.script else f"{rule} ({job.script})"

    def _wrapped(self, settings: list[str]) -> list[str]:
        """Settings in lines of equal width; cut where there are many."""
        lines = textwrap.wrap("  ".join(settings), WIDTH, break_on_hyphens=False)
        if len(lines) > MAX_LINES and not self._full:
            lines[MAX_LINES:] = ["... (--full shows all settings)"]
        return lines


def _distinct(values: Iterator[str] | Sequence[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _some(values: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    if len(values) <= MAX_NAMES:
        return ", ".join(values)
    return f"{', '.join(values[:MAX_NAMES])}, ... ({len(values)} in all)"


def _pattern(paths: Sequence[str]) -> str:
    """What paths have in common: `best_of_n/.../curve.parquet`."""
    parts = [path.split("/") for path in paths]
    start = 0
    while all(len(p) > start + 1 and p[start] == parts[0][start] for p in parts):
        start += 1
    names = _distinct([p[-1] for p in parts])
    return "/".join(
        [*parts[0][:start], "...", names[0] if len(names) == 1 else f"{{{_some(names)}}}"]
    )
