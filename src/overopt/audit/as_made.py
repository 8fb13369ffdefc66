"""
Are the results of a DVC stage what its jobs wrote? Asked by each stage before DVC records them.

    python -m overopt.audit.as_made default-curves

DVC records whatever lies there, and Snakemake does not look at a file that nothing reads: without
this, a table edited by hand would be recorded as a result.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
import yaml

from overopt.audit.checks import check_outputs
from overopt.audit.digests import Digests
from overopt.audit.findings import Finding
from overopt.audit.pruned import without_pruned
from overopt.audit.study_folder import find_study, read_study_folder
from overopt.errors import UserError

NUM_NAMED = 10  # of the files that are wrong; a folder that was lost need not fill the screen


def not_as_made(outs: list[str]) -> list[Finding]:
    """Files below these outs of one study that differ from what their job wrote, or are gone."""
    study = read_study_folder(find_study(Path(outs[0])))
    records = [
        record
        for record in study.records.values()
        if any(_is_below(path, outs) for path in [record.path, *record.written])
    ]
    findings = without_pruned(check_outputs(study, records, Digests()), study)
    return [finding for finding in findings if _is_below(finding.path, outs)]


def _is_below(path: str, outs: list[str]) -> bool:
    return any(path == out or path.startswith(f"{out}/") for out in outs)


def _outs(stage: str) -> Iterator[str]:
    """What dvc.yaml, in this folder, says that the stage makes."""
    try:
        stages = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
        outs = stages[stage]["outs"]
    except (OSError, KeyError, TypeError, yaml.YAMLError):
        raise UserError(f"{stage}: no stage of dvc.yaml in this folder") from None
    for out in outs:
        yield from out if isinstance(out, dict) else [str(out)]


def main(stage: Annotated[str, typer.Argument(help="A stage of dvc.yaml.")]) -> None:
    """Fail where a result of a stage is not what its job wrote."""
    try:
        findings = not_as_made(list(_outs(stage)))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    if findings:
        print(_describe(stage, findings), file=sys.stderr)
        raise typer.Exit(1)


def _describe(stage: str, findings: list[Finding]) -> str:
    lines = [f"error: {stage} is not recorded. Of its results,"]
    for kind in sorted({finding.kind for finding in findings}, key=lambda kind: kind.name):
        paths = [finding.path for finding in findings if finding.kind == kind]
        lines.append(f"these {kind.title}:")
        lines += [f"  {path}" for path in paths[:NUM_NAMED]]
        lines += [f"  and {len(paths) - NUM_NAMED} more"] if len(paths) > NUM_NAMED else []
        lines.append(kind.remedy)
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
