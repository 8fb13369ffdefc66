"""A comparison of two studies in plain words: one paragraph a cause."""

from collections import Counter
from collections.abc import Sequence

from overopt.audit.causes import Cause, Change
from overopt.audit.compare import Comparison

MAX_LISTED = 5


def describe_comparison(comparison: Comparison) -> str:
    """What differs, then every cause with what it explains; the last line is the conclusion."""
    first, second = comparison.first, comparison.second
    parts = [f"A: {first.label} ({first.study.name})\nB: {second.label} ({second.study.name})"]
    for label, only in (("A", comparison.only_first), ("B", comparison.only_second)):
        if only:
            parts.append(f"Only in {label}, {len(only)} results: {_folders(only)}")
    if comparison.settings and not comparison.is_equal:
        changes = [f"{name}: {_change(change)}" for name, change in comparison.settings.items()]
        parts.append(_listed("The studies' settings that differ (A -> B):", changes))
    for number, cause in enumerate(_merged(comparison), start=1):
        parts.append(f"{number}. {_cause(comparison, cause)}")
    return "\n\n".join([*parts, _conclusion(comparison)])


def _conclusion(comparison: Comparison) -> str:
    count = len(comparison.different)
    if comparison.is_equal:
        return f"All {comparison.num_common} results are the same, byte by byte."
    return f"{count} of {comparison.num_common} results that both have differ."


def _merged(comparison: Comparison) -> list[Cause]:
    """A setting that changed in the same way in several scripts is one cause.

    It has the study's name for it where a job's ends in that: `hyperparameters.ppo.lam`.
    """
    merged: dict[tuple[object, ...], Cause] = {}
    for cause in comparison.causes:
        changes = frozenset(change for each in cause.scripts.values() for change in each)
        is_setting = cause.kind == "settings" and cause.name != "seed"
        ends = [name for name in comparison.settings if cause.name.endswith(f".{name}")]
        name = max(ends, key=len) if is_setting and ends else cause.name
        one = merged.setdefault(
            (cause.kind, name, changes if is_setting else None), Cause(cause.kind, name)
        )
        one.scripts |= cause.scripts
        one.jobs |= cause.jobs
        one.results |= cause.results
    return sorted(merged.values(), key=lambda cause: -len(cause.results))


def _cause(comparison: Comparison, cause: Cause) -> str:
    lines = _DESCRIPTIONS[cause.kind](comparison, cause)
    count = len(cause.results)
    noun = "result differs" if count == 1 else "results differ"
    return "\n".join(
        [*lines, f"   {count} {noun} because of it: {_folders(sorted(cause.results))}"]
    )


def _settings(_: Comparison, cause: Cause) -> list[str]:
    changes = sorted({change for each in cause.scripts.values() for change in each})
    if cause.name == "seed":
        head = "Settings: the seeds of the jobs, which derive from the study's `seed`"
        return [f"{head} ({_jobs(cause)} of {_names(cause)})"]
    shown = "; ".join(_change(change) for change in changes[:MAX_LISTED])
    more = f"; and {len(changes) - MAX_LISTED} more" if len(changes) > MAX_LISTED else ""
    return [f"Settings: {cause.name} {shown}{more} ({_jobs(cause)} of {_names(cause)})"]


def _code(comparison: Comparison, cause: Cause) -> list[str]:
    lines = [f"Code: {cause.name} ({_jobs(cause)} of {_names(cause)})"]
    for script, changes in sorted(cause.scripts.items())[:MAX_LISTED]:
        digests = ", ".join(f"{old[:8]} -> {new[:8]}" for old, new in sorted(changes))
        lines.append(f"   {script}: code digest {digests}")
    files = comparison.changed_files.get(cause.name)
    if files is None:
        lines.append("   git does not have both commits here, so which files changed is not known")
    elif files:
        lines.append(f"   files they use in which a statement changed: {', '.join(files)}")
    else:
        lines.append("   the two commits have the same code; what ran had not been committed")
    if "(dirty)" in cause.name and files:
        lines.append("   and a tree was dirty: what ran there is not exactly the commit's code")
    return lines


def _inputs(_: Comparison, cause: Cause) -> list[str]:
    changes = sorted({change for each in cause.scripts.values() for change in each})
    lines = [f"Inputs: {_names(cause)} did not use the same files ({_jobs(cause)})"]
    for label, index in (("A", 0), ("B", 1)):
        only = [change[index] for change in changes if change[index]]
        if only:
            lines.append(f"   only in {label}, {len(only)} files: {_folders(only)}")
    return lines


def _source(_: Comparison, cause: Cause) -> list[str]:
    changes = sorted({change for each in cause.scripts.values() for change in each})
    digests = ", ".join(f"{old[:8]} -> {new[:8]}" for old, new in changes)
    return [f"Data: {cause.name}, from outside the study, SHA-256 {digests} ({_names(cause)})"]


def _edited(_: Comparison, cause: Cause) -> list[str]:
    paths = sorted(path for path, _ in cause.scripts[""])
    head = f"Edited: in {cause.name} files are not what their jobs wrote (see `overopt audit`)"
    return [_listed(head, paths)]


def _stale(_: Comparison, cause: Cause) -> list[str]:
    head = "Stale: these jobs' outputs are the same, but results rest on earlier ones (see `overopt"
    return [_listed(f"{head} audit`)", sorted(cause.jobs))]


def _unexplained(_: Comparison, cause: Cause) -> list[str]:
    head = (
        f"Same settings, code and inputs, and yet other bytes ({_jobs(cause)} of {_names(cause)})"
    )
    if cause.name:
        return [head, f"   another machine or version: {cause.name}"]
    return [head, "   same machine and versions, too: the job is not deterministic"]


_DESCRIPTIONS = {
    "settings": _settings,
    "code": _code,
    "inputs": _inputs,
    "source": _source,
    "edited": _edited,
    "stale": _stale,
    "unexplained": _unexplained,
}


def _jobs(cause: Cause) -> str:
    return "1 job" if len(cause.jobs) == 1 else f"{len(cause.jobs)} jobs"


def _names(cause: Cause) -> str:
    return ", ".join(sorted(cause.scripts))


def _change(change: Change) -> str:
    return " -> ".join(change)


def _folders(results: list[str]) -> str:
    """`figures/ 64, ppo/ 16; claims.csv, peaks.csv`: how many lie in each folder, and the rest."""
    counts = Counter(f"{path.partition('/')[0]}/" for path in results if "/" in path)
    folders = ", ".join(f"{folder} {count}" for folder, count in counts.most_common())
    top = [path for path in results if "/" not in path]
    more = f" and {len(top) - MAX_LISTED} more" if len(top) > MAX_LISTED else ""
    return "; ".join(filter(None, [folders, ", ".join(top[:MAX_LISTED]) + more]))


def _listed(head: str, lines: Sequence[str]) -> str:
    shown = [f"   {line}" for line in lines[:MAX_LISTED]]
    if len(lines) > MAX_LISTED:
        shown.append(f"   ... and {len(lines) - MAX_LISTED} more")
    return "\n".join([head, *shown])
