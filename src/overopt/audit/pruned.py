"""Files that are gone because the study does not keep them (`keep` of its config): no fault."""

from collections.abc import Iterable
from pathlib import Path

from overopt.audit.findings import MISSING, Finding
from overopt.audit.orphans import config_of, read_config
from overopt.audit.study_folder import StudyFolder
from overopt.config.keep import KeepConfig
from overopt.errors import UserError
from overopt.study.paths import is_temporary


def without_pruned(
    findings: Iterable[Finding], study: StudyFolder, config: Path | None = None
) -> list[Finding]:
    """The findings, without missing files that the study's config does not keep.

    `config` is the study's config; by default the file of config/ that has the study's name.
    Where there is none that can be read, everything missing is a fault.
    """
    listed = list(findings)
    if not any(finding.kind == MISSING for finding in listed):
        return listed
    try:
        keep = read_config(config or config_of(study)).keep
    except UserError:
        keep = KeepConfig()
    return [
        finding
        for finding in listed
        if finding.kind != MISSING or not is_temporary(keep, study.short(finding.path))
    ]
