"""An audit in plain words, and as JSON."""

import json
from typing import Any

from rich.console import Console

from overopt.audit.audit import Audit
from overopt.audit.findings import Finding
from overopt.audit.lineage import trace
from overopt.audit.lineage_text import LineageText
from overopt.audit.records import Record
from overopt.audit.study_folder import in_words

MAX_LISTED = 10
LONGEST_LINE = 100_000


def print_audit(audit: Audit, *, full: bool = False) -> None:
    """Print the tree of a file, what was found by kind with its remedy, and the conclusion last.

    `full` cuts nothing. There is no colour, and no line is broken, so that a path stays in one
    piece. The tree is drawn in ASCII where stdout is not UTF-8.
    """
    if audit.artifact is not None:
        writer = LineageText(audit.study, audit.metadata, audit.digests, full=full)
        print(f"Below {audit.study.name}/:")
        console = Console(width=LONGEST_LINE, color_system=None, legacy_windows=False)
        console.print(writer.tree(trace(audit.study, audit.artifact, full=full)))
        print()
    notes = [finding for finding in audit.findings if finding.kind.is_note]
    paragraphs = [*_described(audit.problems, full), *_described(notes, full), _conclusion(audit)]
    print("\n\n".join(paragraphs))


def _described(findings: list[Finding], full: bool) -> list[str]:
    """One paragraph a kind."""
    kinds = {finding.kind.name: finding.kind for finding in findings}
    paragraphs: list[str] = []
    for kind in kinds.values():
        alike = [finding for finding in findings if finding.kind is kind]
        word = "Note" if kind.is_note else "PROBLEM"
        shown = alike if full else alike[:MAX_LISTED]
        title = kind.title[0].upper() + kind.title[1:]
        lines = [f"{word} {kind.name}, {len(alike)} found. {title}."]
        lines += [f"  {finding.path}: {finding.detail}" for finding in shown]
        if len(shown) < len(alike):
            lines.append(f"  ... and {len(alike) - len(shown)} more (--full lists all)")
        paragraphs.append("\n".join([*lines, f"  What to do: {kind.remedy}"]))
    return paragraphs


def _conclusion(audit: Audit) -> str:
    what = audit.study.name if audit.artifact is None else audit.artifact
    seen = f"{len(audit.jobs)} jobs, {audit.num_files} files, {in_words(audit.num_bytes)}"
    if not audit.problems:
        return f"{what}: all is well ({seen} checked)."
    names = ", ".join(dict.fromkeys(finding.kind.name for finding in audit.problems))
    count = len(audit.problems)
    noun = "problem" if count == 1 else "problems"
    return f"{what}: {count} {noun} ({names}); {seen} checked."


def audit_json(audit: Audit) -> str:
    """All that is known: findings, and every job with full hashes and settings, by its record."""
    study = audit.study
    content: dict[str, Any] = {
        "study": study.name,
        "folder": str(study.folder),
        "artifact": audit.artifact,
        "is_well": not audit.problems,
        "num_files": audit.num_files,
        "num_bytes": audit.num_bytes,
        "findings": [
            {
                "kind": finding.kind.name,
                "is_note": finding.kind.is_note,
                "path": finding.path,
                "detail": finding.detail,
                "title": finding.kind.title,
                "remedy": finding.kind.remedy,
            }
            for finding in audit.findings
        ],
        "jobs": {job.path: _job(audit, job) for job in audit.jobs},
    }
    return json.dumps(content, indent=2, sort_keys=True)


def _job(audit: Audit, job: Record) -> dict[str, Any]:
    makers = {path: maker.path for path in job.inputs if (maker := audit.study.maker(path))}
    return {
        "rule": audit.metadata.read(job.path).get("rule"),
        "script": job.script,
        "code": job.code,
        "commit": job.commit,
        "is_dirty": job.dirty,
        "seed": job.seed,
        "settings": job.settings,
        "inputs": {
            path: {"sha256": digest, "made_by": makers.get(path)}
            for path, digest in job.inputs.items()
        },
        "outputs": dict(job.written),
        "versions": dict(job.versions),
        "device": job.device,
        "machine": job.machine,
        "finished": job.finished.isoformat(),
        "wall_seconds": job.wall_seconds,
    }
