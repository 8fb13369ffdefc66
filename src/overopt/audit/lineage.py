"""
The chain from a file back to its sources, as a tree of jobs.

Jobs that are alike (one script, the same files used by the same product) stand as one node where
there are many. What was shown once is only named afterwards.
"""

from collections.abc import Collection
from dataclasses import dataclass

from overopt.audit.records import Record
from overopt.audit.study_folder import StudyFolder

MANY = 3


@dataclass(frozen=True)
class Node:
    """Jobs that are shown as one, usually a single one.

    Attributes
    ----------
    jobs : empty for a source from outside, or a file whose maker is unknown.
    files : the files of these jobs that the node above used, with the SHA-256 that it used.
    children : what these jobs used; empty where they have been shown before.
    is_repeated : whether they have.

    """

    jobs: tuple[Record, ...]
    files: dict[str, str]
    children: tuple["Node", ...] = ()
    is_repeated: bool = False


def trace(study: StudyFolder, path: str, *, full: bool = False) -> Node:
    """The tree of a file, or of the job whose record it is. `full`: every job by itself."""
    record = study.records.get(path)
    if record:
        return _Tracer(study, full).node((record,), dict(record.written))
    maker = study.maker(path)
    if maker is None:
        raise KeyError(path)
    return _Tracer(study, full).node((maker,), {path: maker.written[path]})


class _Tracer:
    def __init__(self, study: StudyFolder, full: bool) -> None:
        self._study = study
        self._full = full
        self._shown: set[str] = set()

    def node(self, jobs: tuple[Record, ...], files: dict[str, str]) -> Node:
        if jobs and all(job.path in self._shown for job in jobs):
            return Node(jobs, files, is_repeated=True)
        self._shown.update(job.path for job in jobs)
        children: list[Node] = []
        for makers, used in self._inputs(jobs):
            children.append(self.node(makers, used))
        return Node(jobs, files, tuple(children))

    def _inputs(self, jobs: Collection[Record]) -> list[tuple[tuple[Record, ...], dict[str, str]]]:
        """What jobs used: by the job that made it, then alike jobs together."""
        by_maker: dict[str, tuple[Record | None, dict[str, str]]] = {}
        for job in jobs:
            for path, used in job.inputs.items():
                maker = self._study.maker(path)
                key = maker.path if maker else path
                by_maker.setdefault(key, (maker, {}))[1][path] = used
        alike: dict[tuple[str, ...], list[tuple[Record | None, dict[str, str]]]] = {}
        for maker, files in by_maker.values():
            alike.setdefault(self._kind(maker, files), []).append((maker, files))
        nodes: list[tuple[tuple[Record, ...], dict[str, str]]] = []
        for group in alike.values():
            parts = [group] if len(group) > MANY and not self._full else [[one] for one in group]
            for part in parts:
                makers = tuple(maker for maker, _ in part if maker)
                nodes.append((makers, {p: used for _, files in part for p, used in files.items()}))
        return nodes

    def _kind(self, maker: Record | None, files: dict[str, str]) -> tuple[str, ...]:
        """What makes jobs alike: the script, the part of the study, the names of what was used."""
        short = [self._study.short(path) for path in files]
        script = maker.script if maker else ""
        parts = {path.partition("/")[0] for path in short}
        return (script, *sorted(parts), *sorted({path.rpartition("/")[2] for path in short}))
