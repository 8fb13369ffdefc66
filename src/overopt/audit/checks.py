"""Do files and records agree? Bytes, inputs, and files that only one of the two knows."""

from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

from overopt.audit.digests import Digests
from overopt.audit.findings import (
    CHANGED,
    LEFTOVERS,
    LISTED_TWICE,
    MISSING,
    NO_MAKER,
    NO_OUTPUTS,
    SOURCE_CHANGED,
    STALE,
    UNREADABLE,
    UNRECORDED,
    Finding,
)
from overopt.audit.records import Record
from overopt.audit.study_folder import NOT_RESULTS, StudyFolder, in_words


def check_outputs(
    study: StudyFolder, records: Collection[Record], digests: Digests
) -> Iterator[Finding]:
    """Files that are not what their job wrote, or are gone."""
    digests.read(study.place(path) for record in records for path in record.written)
    for record in records:
        if record.outputs is None:
            yield Finding(NO_OUTPUTS, record.path, f"the record of {record.script}")
        for path, recorded in record.written.items():
            if study.maker(path) is not record:
                continue
            now = digests.sha256(study.place(path))
            if now is None:
                yield Finding(MISSING, path, f"{record.script} wrote it ({record.path})")
            elif now != recorded:
                detail = f"its SHA-256 is {now[:12]}, {record.script} wrote {recorded[:12]}"
                yield Finding(CHANGED, path, detail + _use(study, path, recorded, now))


def _use(study: StudyFolder, path: str, recorded: str, now: str) -> str:
    """Which bytes the jobs used that read a changed file."""
    used = [record.inputs[path] for record in study.users.get(path, [])]
    if not used:
        return ""
    if changed := used.count(now):
        return f"; {_jobs(changed)} used the changed bytes"
    if used.count(recorded) == len(used):
        return f"; {_jobs(len(used))} used what was written, before the change"
    return f"; {_jobs(len(used))} used it"


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"


def check_inputs(
    study: StudyFolder, records: Collection[Record], digests: Digests
) -> Iterator[Finding]:
    """Inputs that are not what was used.

    An input that was changed by hand is told where its job's output is checked. Here: one that its
    job has made anew since, one from outside that has changed, one that nothing knows any more.
    """
    sources = {path for record in records for path in record.inputs if not study.maker(path)}
    digests.read(study.place(path) for path in sources)
    for record in records:
        for path, used in record.inputs.items():
            maker = study.maker(path)
            if maker and maker.written[path] != used:
                wrote = maker.written[path][:12]
                detail = f"{record.script} used {path} with SHA-256 {used[:12]}, "
                yield Finding(STALE, record.path, detail + f"{maker.script} has since made {wrote}")
    for path in sorted(sources):
        yield from _check_source(study, path, digests.sha256(study.place(path)))


def _check_source(study: StudyFolder, path: str, now: str | None) -> Iterator[Finding]:
    """An input without a maker: from outside the study, or with its maker's record lost."""
    users = study.users[path]
    if now is None and study.is_inside(path):
        yield Finding(NO_MAKER, path, f"used by {_scripts(users)}")
    elif now is None:
        yield Finding(SOURCE_CHANGED, path, f"gone; used by {_scripts(users)}")
    elif different := [record for record in users if record.inputs[path] != now]:
        used = different[0].inputs[path][:12]
        detail = f"its SHA-256 is {now[:12]}, {_scripts(different)} used {used}"
        yield Finding(SOURCE_CHANGED, path, detail)


def _scripts(records: list[Record]) -> str:
    if len(records) == 1:
        return f"{records[0].script} ({records[0].path})"
    names = ", ".join(sorted({record.script for record in records}))
    return f"{_jobs(len(records))} ({names})"


def check_files(study: StudyFolder) -> Iterator[Finding]:
    """Files without a record, records that cannot be read, two records of one file, leftovers."""
    for path, fault in study.unreadable.items():
        yield Finding(UNREADABLE, path, fault)
    is_old = any(record.outputs is None for record in study.records.values())
    known = study.listed_by.keys() | study.records.keys() | study.unreadable.keys()
    for path in sorted(study.files.keys() - known):
        if study.short(path) not in NOT_RESULTS and not is_old:
            users = study.users.get(path)
            detail = f"used by {_scripts(users)}" if users else "used by no job of the study"
            yield Finding(UNRECORDED, path, detail)
    for path, records in study.listed_by.items():
        if len(records) > 1:
            places = " and ".join(record.path for record in records)
            yield Finding(LISTED_TWICE, path, f"by {places}")
    folders: dict[str, int] = {}
    for path, size in study.leftovers.items():
        parent = PurePosixPath(path).parent.as_posix()
        folders[parent] = folders.get(parent, 0) + size
    for folder, size in folders.items():
        yield Finding(LEFTOVERS, folder, in_words(size))
