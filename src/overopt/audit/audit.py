"""An audit: everything that can be found wrong with a study, or with one file and its sources."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from overopt.audit.checks import check_files, check_inputs, check_outputs
from overopt.audit.digests import Digests
from overopt.audit.findings import LISTED_TWICE, UNREADABLE, UNRECORDED, Finding
from overopt.audit.lock_check import check_lock, locked_files
from overopt.audit.origins import check_code, check_commits, check_versions
from overopt.audit.orphans import check_orphans
from overopt.audit.pruned import without_pruned
from overopt.audit.records import Record
from overopt.audit.snakemake_metadata import SnakemakeMetadata, check_metadata
from overopt.audit.study_folder import StudyFolder, read_study_folder
from overopt.errors import UserError


@dataclass(frozen=True)
class Audit:
    """What was looked at and what was found.

    Attributes
    ----------
    jobs : the records of all jobs that were checked.
    num_files, num_bytes : of the files that were read.
    artifact : path of the file whose sources were checked; None for a whole study.

    """

    study: StudyFolder
    metadata: SnakemakeMetadata
    digests: Digests
    jobs: list[Record]
    num_files: int
    num_bytes: int
    findings: list[Finding]
    artifact: str | None = None

    @property
    def problems(self) -> list[Finding]:
        """Findings that are no notes."""
        return [finding for finding in self.findings if not finding.kind.is_note]


def audit_study(folder: Path, config: Path | None = None) -> Audit:
    """Check every file and record of a study.

    `config` is the study's config, for what the grid no longer has; by default the file of
    config/ that has the study's name.

    Raises
    ------
    UserError
        Where the folder is no study.
    """
    study = read_study_folder(folder)
    jobs = list(study.records.values())
    digests, metadata = Digests(), SnakemakeMetadata(study.root)
    locked = locked_files(study)
    digests.read(
        [study.place(path) for path in study.files],
        with_md5=[study.place(path) for path in study.files if locked.covers(path)],
    )
    findings = [
        *without_pruned(check_outputs(study, jobs, digests), study, config),
        *check_inputs(study, jobs, digests),
        *check_files(study),
        *check_lock(study, locked, digests),
        *check_metadata(study, jobs, metadata),
        *check_commits(jobs),
        *check_code(study, jobs),
        *check_versions(jobs),
        *check_orphans(study, config),
    ]
    size = sum(study.files.values())
    return Audit(study, metadata, digests, jobs, len(study.files), size, findings)


def audit_artifact(artifact: Path, folder: Path) -> Audit:
    """Check one file of a study and all that it comes from.

    Raises
    ------
    UserError
        Where the file is not in the study, or no record lists it.
    """
    study = read_study_folder(folder)
    path = _recorded_path(study, artifact)
    maker = study.records.get(path) or study.maker(path)
    if maker is None:
        raise UserError(_no_record(study, artifact, path))
    jobs = study.sources_of([maker])
    digests, metadata = Digests(), SnakemakeMetadata(study.root)
    made = {path for job in jobs for path in (job.path, *job.written)}
    used = {path for job in jobs for path in job.inputs}
    findings = [
        *without_pruned(check_outputs(study, jobs, digests), study),
        *check_inputs(study, jobs, digests),
        *(
            finding
            for finding in check_files(study)
            if finding.kind in (LISTED_TWICE, UNREADABLE, UNRECORDED)
            and finding.path in made | used
        ),
        *check_lock(study, locked_files(study), digests, only=made),
        *check_metadata(study, jobs, metadata),
        *check_commits(jobs),
        *check_code(study, jobs),
        *check_versions(jobs),
    ]
    files = (made | used) & study.files.keys()
    size = sum(study.files[path] for path in files)
    return Audit(study, metadata, digests, jobs, len(files), size, findings, artifact=path)


def _recorded_path(study: StudyFolder, artifact: Path) -> str:
    path = Path(artifact).absolute()
    for candidate in (path, path.resolve()):
        for folder in (study.folder, study.folder.resolve()):
            if candidate.is_relative_to(folder):
                return f"{study.name}/{candidate.relative_to(folder).as_posix()}"
    raise UserError(f"{artifact}: not in the study {study.folder}")


def _no_record(study: StudyFolder, artifact: Path, path: str) -> str:
    if not artifact.exists():
        return f"{artifact}: no such file, and no record of a job lists it"
    if artifact.is_dir():
        inside: Iterable[str] = (made for made in study.listed_by if made.startswith(f"{path}/"))
        example = min(inside, default=None)
        advice = f"; name a file, such as {example}" if example else ""
        return f"{artifact} is a folder{advice}"
    return f"{artifact}: no record of a job lists it, so where it comes from is not known"
