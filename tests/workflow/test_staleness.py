"""
Exact staleness: edit by edit, the jobs that Snakemake then wants, on a finished tiny study.

docs/staleness.md has the same table in words; a test keeps the two equal.
"""

import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from overopt.audit.audit import audit_study
from staleness_table import JOBS, PROXY_RM, STUDY, TABLE, append, described
from workflow_example import ROOT, snakemake


@dataclass(frozen=True)
class Job:
    rule: str
    wildcards: str


def planned_jobs(folder: Path) -> list[Job]:
    """The jobs that a dry run would run, targets left out."""
    done = snakemake(
        folder, "--dry-run", "--workflow-profile", "none", "--max-checksum-file-size", "1TB"
    )
    blocks = re.split(r"^(?:local)?rule ", done.stdout, flags=re.MULTILINE)[1:]
    assert blocks or "Nothing to be done" in done.stdout + done.stderr
    jobs: list[Job] = []
    for block in blocks:
        wildcards = re.search(r"^    wildcards: (.*)$", block, flags=re.MULTILINE)
        jobs.append(Job(block.split(":")[0], wildcards[1] if wildcards else ""))
    return [job for job in jobs if job.rule != "all"]


@pytest.fixture
def study(finished_study: Path, tmp_path: Path) -> Path:
    """A copy of the finished study, to edit."""
    folder = tmp_path / "study"
    shutil.copytree(finished_study, folder, copy_function=shutil.copy2)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLE)
def test_an_edit_reruns_what_it_touches_and_nothing_else(name: str, study: Path) -> None:
    row = TABLE[name]
    row.edit(study)
    jobs = planned_jobs(study)
    assert Counter(job.rule for job in jobs) == row.runs
    assert [job for job in jobs if "seed=" in job.wildcards and row.cell not in job.wildcards] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.audit])
def test_the_audit_finds_what_snakemake_cannot_see(name: str, study: Path) -> None:
    TABLE[name].edit(study)
    found = {finding.path for finding in audit_study(study / STUDY).problems}
    assert f"{STUDY}/{TABLE[name].audit}" in found


@pytest.mark.slow
def test_jobs_of_the_table_are_those_of_the_study(study: Path) -> None:
    shutil.rmtree(study / "results")
    assert Counter(job.rule for job in planned_jobs(study)) == JOBS


@pytest.mark.slow
def test_a_job_refuses_an_input_edited_unseen_and_says_what_to_do(study: Path) -> None:
    edited = f"{STUDY}/analysis/proxy_rms.csv"
    content = (study / edited).read_bytes()
    append("analysis/proxy_rms.csv", keep_time=True)(study)
    claims = f"{STUDY}/claims.csv"
    arguments = ("--cores", "1", "--workflow-profile", "none", claims)
    refused = snakemake(study, "--forcerun", "claims", *arguments, check=False)
    assert refused.returncode == 1
    log = (study / STUDY / "logs/claims.log").read_text()
    assert re.fullmatch(rf"error: .* wrote .*: {re.escape(edited)}\. Remove it, .*\n", log)
    (study / edited).unlink()
    snakemake(study, *arguments)
    assert (study / edited).read_bytes() == content


@pytest.mark.slow
def test_results_of_a_cell_that_left_the_grid_stay(study: Path) -> None:
    orphan = f"{STUDY}/best_of_n/small/{PROXY_RM}/curve.parquet".replace(
        "2000-comparisons/1-epochs", "500-comparisons/4-epochs"
    )
    assert ",500,4," in (study / STUDY / "coefficients.csv").read_text()
    TABLE["a cell less"].edit(study)
    coefficients = f"{STUDY}/coefficients.csv"
    snakemake(study, "--cores", "1", "--workflow-profile", "none", coefficients)
    assert ",500,4," not in (study / coefficients).read_text()
    assert (study / orphan).exists()


def test_the_documented_table_is_the_tested_one() -> None:
    text = (ROOT / "docs/staleness.md").read_text()
    documented = re.findall(r"^\| (.+) \| (.+) \| (\d+) \|$", text, flags=re.MULTILINE)
    rows = [(name, described(row.runs), str(row.runs.total())) for name, row in TABLE.items()]
    assert documented == rows
