"""What the jobs ran from: the commit, the code of each script, the packages."""

from collections import Counter
from collections.abc import Collection, Iterator

from overopt.audit.findings import DIRTY, MIXED_CODE, MIXED_VERSIONS, NO_COMMIT, Finding
from overopt.audit.records import Record
from overopt.audit.study_folder import StudyFolder

CodeOfScripts = dict[str, frozenset[str]]


def check_commits(records: Collection[Record]) -> Iterator[Finding]:
    """Jobs that ran from a dirty tree, or outside of a repository."""
    for record in records:
        if record.commit is None:
            yield Finding(NO_COMMIT, record.path, f"{record.script}, {record.machine}")
        elif record.dirty is not False:
            state = "with changes" if record.dirty else "in an unknown state"
            yield Finding(DIRTY, record.path, f"{record.script} at {record.commit[:8]} {state}")


def check_code(study: StudyFolder, records: Collection[Record]) -> Iterator[Finding]:
    """Products that rest on several versions of one script.

    Told of the first product in which they meet, not of all that follows from it.
    """
    code = _code_behind(study, records)
    for record in records:
        behind = code[record.path]
        inputs = [code[maker.path] for maker in _makers(study, record)]
        for script, digests in behind.items():
            mixed_before = any(len(each.get(script, ())) > 1 for each in inputs)
            if len(digests) > 1 and not mixed_before:
                yield Finding(MIXED_CODE, record.path, _versions_of(study, record, script))


def _code_behind(study: StudyFolder, records: Collection[Record]) -> dict[str, CodeOfScripts]:
    """Digests of each script among a job and all it rests on, by the path of the job's record."""
    behind: dict[str, CodeOfScripts] = {}
    # Sources first: a job is looked at again when all that it rests on is done.
    waiting = list(records)
    open_jobs: set[str] = set()
    while waiting:
        record = waiting[-1]
        makers = [] if record.path in open_jobs else _makers(study, record)
        missing = [maker for maker in makers if maker.path not in behind]
        open_jobs.add(record.path)
        if record.path not in behind and missing:
            waiting += missing
            continue
        waiting.pop()
        if record.path not in behind:
            behind[record.path] = _joined(
                [{record.script: frozenset([record.code])}]
                + [behind[maker.path] for maker in _makers(study, record) if maker.path in behind]
            )
    return behind


def _joined(parts: list[CodeOfScripts]) -> CodeOfScripts:
    joined: CodeOfScripts = {}
    for part in parts:
        for script, digests in part.items():
            joined[script] = joined.get(script, digests) | digests
    return joined


def _makers(study: StudyFolder, record: Record) -> list[Record]:
    makers = {maker.path: maker for path in record.inputs if (maker := study.maker(path))}
    return list(makers.values())


def _versions_of(study: StudyFolder, record: Record, script: str) -> str:
    """Which versions of a script a product rests on: the rarer first, with an example."""
    jobs = [job for job in study.sources_of([record]) if job.script == script]
    counts = Counter(job.code for job in jobs).most_common()
    parts: list[str] = []
    for code, count in reversed(counts):
        example = next(job for job in jobs if job.code == code)
        noun = "job" if count == 1 else "jobs"
        parts.append(
            f"{count} {noun} with code {code[:8]} at {example.commit_in_short}, e.g. "
            f"{study.short(example.path)}"
        )
    return f"{script}: {'; '.join(parts)}"


def check_versions(records: Collection[Record]) -> Iterator[Finding]:
    """Packages of which different jobs used different versions."""
    jobs: dict[str, Counter[str]] = {}
    for record in records:
        for package, version in record.versions.items():
            jobs.setdefault(package, Counter())[version] += 1
    for package, versions in sorted(jobs.items()):
        if len(versions) > 1:
            counts = [f"{version} ({count} jobs)" for version, count in versions.most_common()]
            yield Finding(MIXED_VERSIONS, package, ", ".join(counts))
