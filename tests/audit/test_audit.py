"""The audit on a small study made by real jobs: every flipped byte, every gap, no false alarm."""

import json
import os
import shutil
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from audit_example import (
    COEFFICIENTS,
    COMMIT,
    FIGURE,
    MODELS,
    STUDY,
    WORDS,
    edit_record,
    flip,
    make_study,
    overopt,
    records,
    write_metadata,
)
from overopt.audit.audit import audit_artifact, audit_study
from overopt.audit.findings import Finding
from overopt.audit.records import parse_record
from overopt.audit.snakemake_metadata import SnakemakeMetadata
from overopt.jobs.provenance import file_sha256

CLEAN = {"not-checked"}  # no config describes this study, so nothing is known of its grid


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("made"))


@pytest.fixture
def study(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    folder = tmp_path / "copy"
    shutil.copytree(made, folder, copy_function=shutil.copy2)
    return folder


def findings(folder: Path) -> list[Finding]:
    return audit_study(folder / STUDY).findings


def kinds(folder: Path) -> set[str]:
    return {finding.kind.name for finding in findings(folder)}


def problems(folder: Path) -> dict[str, list[str]]:
    """Paths of the problems by kind."""
    found: dict[str, list[str]] = {}
    for finding in audit_study(folder / STUDY).problems:
        found.setdefault(finding.kind.name, []).append(finding.path)
    return found


def audit_command(folder: Path, *arguments: str) -> tuple[int, str]:
    return overopt(folder, "audit", *arguments)


# No false alarm.


def test_a_clean_study_is_well(study):
    assert kinds(study) == CLEAN
    assert audit_command(study, "--study", "tiny")[0] == 0


def test_so_is_a_copy_elsewhere_without_snakemakes_records(study, tmp_path):
    shutil.copytree(study / STUDY, tmp_path / "other/results/tiny")
    (tmp_path / "other/my").mkdir()
    shutil.copy(study / WORDS, tmp_path / "other" / WORDS)
    assert kinds(tmp_path / "other") == CLEAN


def test_so_is_a_study_whose_folder_was_renamed(study):
    (study / STUDY).rename(study / "results/archived")
    assert {f.kind.name for f in audit_study(study / "results/archived").findings} == CLEAN


def test_logs_and_snakemakes_report_need_no_record(study):
    (study / STUDY / "logs/deep").mkdir(parents=True)
    (study / STUDY / "logs/deep/train.log").write_text("a log")
    (study / STUDY / "report.html").write_text("a report")
    assert kinds(study) == CLEAN


# One flipped byte.


def test_every_flipped_byte_of_a_result_is_found(study):
    results = [path for path in (study / STUDY).rglob("*") if path.is_file()]
    results = [path for path in results if not path.name.endswith("record.json")]
    assert {path.suffix for path in results} == {
        ".parquet",
        ".json",
        ".safetensors",
        ".csv",
        ".svg",
    }
    for path in results:
        name = path.relative_to(study).as_posix()
        for position in (0, path.stat().st_size // 2, -1):
            flip(path, position)
            assert problems(study).get("changed") == [name]
            assert audit_command(study, "--study", "tiny")[0] == 1
            flip(path, position)
    assert kinds(study) == CLEAN


def test_every_flipped_byte_of_a_record_is_found(study):
    path = f"{STUDY}/models/seed-0/run_record.json"
    content = (study / path).read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1
        with pytest.raises(ValueError, match="not |is missing"):
            parse_record(path, bytes(damaged))


def test_a_flip_in_any_record_names_it(study):
    for path in records(study):
        for position in (0, 1, -1):
            flip(study / path, position)
            assert path in problems(study)["unreadable"]
            flip(study / path, position)


# Inputs.


def test_who_used_the_bytes_before_a_change_is_told(study):
    flip(study / MODELS[0], 3)
    [finding] = audit_study(study / STUDY).problems
    assert "1 job used what was written, before the change" in finding.detail


def test_who_used_changed_bytes_is_told(study):
    flip(study / MODELS[0], 3)
    changed = file_sha256(study / MODELS[0])
    path = f"{STUDY}/analysis/fits_record.json"
    inputs = json.loads((study / path).read_text())["inputs"]
    edit_record(study, path, inputs=inputs | {MODELS[0]: changed})
    details = {f.kind.name: f.detail for f in audit_study(study / STUDY).problems}
    assert "1 job used the changed bytes" in details["changed"]


def test_an_input_that_was_made_anew_since_makes_its_users_stale(study):
    path = f"{STUDY}/models/seed-1/run_record.json"
    flip(study / MODELS[1], 3)
    digest = file_sha256(study / MODELS[1])
    outputs = json.loads((study / path).read_text())["outputs"]
    edit_record(study, path, outputs=outputs | {MODELS[1]: digest})
    assert problems(study) == {"stale": [f"{STUDY}/analysis/fits_record.json"]}


def test_a_source_from_outside_that_changed_is_told(study):
    (study / WORDS).write_text("other words\n")
    assert problems(study) == {"source-changed": [WORDS]}
    (study / WORDS).unlink()
    assert problems(study) == {"source-changed": [WORDS]}


# Files without records, records without files.


def test_a_file_without_a_record_is_told(study):
    (study / STUDY / "analysis/extra.csv").write_text("1\n")
    assert problems(study) == {"unrecorded": [f"{STUDY}/analysis/extra.csv"]}


def test_a_file_whose_name_is_not_unicode_is_told_in_a_way_that_can_be_printed(study):
    with open(os.fsencode(study / STUDY) + b"/\xff.csv", "wb"):
        pass
    assert problems(study) == {"unrecorded": [f"{STUDY}/\\xff.csv"]}
    audit_command(study, "--study", "tiny")[1].encode()


def test_a_missing_output_is_told(study):
    (study / COEFFICIENTS).unlink()
    assert problems(study) == {"missing": [COEFFICIENTS]}


def test_a_missing_record_is_told_of_all_that_it_listed(study):
    (study / STUDY / "models/seed-2/run_record.json").unlink()
    inside = f"{STUDY}/models/seed-2"
    assert problems(study) == {
        "unrecorded": [f"{inside}/config.json", f"{inside}/model.safetensors"]
    }
    assert "no record says which job made it" in audit_command(study, FIGURE)[1]


def test_an_input_of_which_nothing_is_left_is_told(study):
    shutil.rmtree(study / STUDY / "models/seed-2")
    assert problems(study) == {"no-maker": [MODELS[2]]}


def test_a_copied_record_is_told(study):
    shutil.copytree(study / STUDY / "models/seed-0", study / STUDY / "models/copy")
    write_metadata(study)
    found = problems(study)
    assert set(found) == {"listed-twice", "unrecorded"}
    assert MODELS[0] in found["listed-twice"]


def test_records_of_before_outputs_were_listed_are_told_once_each(study):
    for path in records(study):
        record = json.loads((study / path).read_text())
        del record["outputs"], record["sha256"]
        (study / path).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    assert set(problems(study)) == {"no-outputs"}


def test_leftovers_of_a_killed_job_are_a_note(study):
    folder = study / STUDY / "models/seed-0/.unfinished-train"
    folder.mkdir()
    (folder / "training_state.safetensors").write_bytes(b"half")
    assert kinds(study) == CLEAN | {"leftovers"}
    assert not problems(study)


# What the jobs ran from.


def test_a_dirty_tree_is_told(study):
    path = f"{STUDY}/models/seed-0/run_record.json"
    edit_record(study, path, git={"commit": COMMIT, "dirty": True})
    assert problems(study) == {"dirty": [path]}


def test_no_repository_is_a_note(study):
    edit_record(study, records(study)[0], git={"commit": None, "dirty": None})
    assert kinds(study) == CLEAN | {"no-commit"}
    assert not problems(study)


def test_code_that_differs_within_a_product_is_told_where_it_meets(study):
    edit_record(study, f"{STUDY}/models/seed-3/run_record.json", code="a" * 64)
    write_metadata(study)
    [finding] = audit_study(study / STUDY).problems
    assert finding.kind.name == "mixed-code"
    assert finding.path == f"{STUDY}/analysis/fits_record.json"
    assert "train.py: 1 job with code aaaaaaaa" in finding.detail
    assert "models/seed-3" in finding.detail
    assert "4 jobs with code" in finding.detail


def test_code_that_differs_between_products_is_none_of_its_business(study):
    """Two versions that never meet in one product mix nothing."""
    edit_record(study, f"{STUDY}/figures/figures_record.json", code="a" * 64)
    write_metadata(study)
    assert not problems(study)


def test_other_versions_of_packages_are_a_note(study):
    path = f"{STUDY}/models/seed-0/run_record.json"
    versions = json.loads((study / path).read_text())["versions"]
    edit_record(study, path, versions=versions | {"numpy": "0.1"})
    [note] = [finding for finding in findings(study) if finding.kind.name == "mixed-versions"]
    assert note.path == "numpy"
    assert "0.1 (1 jobs)" in note.detail
    assert not problems(study)


# Snakemake's side.


def test_an_output_that_snakemake_does_not_know_is_told(study):
    name = urlsafe_b64encode(MODELS[0].encode()).decode()
    (study / ".snakemake/metadata" / name).unlink()
    assert problems(study) == {"no-metadata": [MODELS[0]]}


def test_a_study_that_snakemake_does_not_know_at_all_is_told_once(study):
    for path in (study / ".snakemake/metadata").iterdir():
        path.unlink()
    assert problems(study) == {"no-metadata": [STUDY]}


def test_a_record_that_differs_from_what_snakemake_noted_is_told(study):
    path = f"{STUDY}/models/seed-0/run_record.json"
    edit_record(study, path, config='{"run": {"size": "s1"}, "seed": 99}')
    [finding] = audit_study(study / STUDY).problems
    assert (finding.kind.name, finding.path) == ("disagrees", path)
    assert finding.detail == "other settings (seed)"


def test_names_too_long_for_a_file_are_found_in_folders(study):
    long = f"{STUDY}/{'deep/' * 60}curve.parquet"
    name = urlsafe_b64encode(long.encode()).decode()
    folder = study / ".snakemake/metadata" / f"@{name[:254]}"
    folder.mkdir()
    (folder / name[254:]).write_text('{"rule": "long"}')
    metadata = SnakemakeMetadata(study)
    assert metadata.has(long)
    assert metadata.read(long) == {"rule": "long"}
    assert not metadata.has(long.replace("curve", "other"))


# One file and its sources.


def test_the_tree_of_a_figure_goes_back_to_the_users_file(study):
    code, text = audit_command(study, FIGURE)
    assert code == 0
    lines = text.splitlines()
    assert lines[1].startswith("figures/figure_01.svg ")
    assert [line.strip("│└├─ ").split()[0] for line in lines if "─ " in line] == [
        "coefficients.csv",
        "models/.../model.safetensors:",
        "data/prompts.parquet",
        WORDS,
    ]
    assert "5 jobs of train (train.py)" in text
    assert "seed 0, 1, 2, 3, ... (5 in all)" in text
    assert "a source: it came into the study from outside" in text
    assert COMMIT[:8] in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_the_tree_is_printed_whatever_the_encoding(study, encoding):
    """Names that the encoding lacks are escaped, and so are bytes that are no text at all."""
    for name in ["café.csv", "数.csv"]:
        (study / STUDY / name).write_text("1\n")
    Path(os.fsdecode(bytes(study / STUDY / "odd") + b"\xff.csv")).write_text("1\n")

    def audit(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "overopt.cli", "audit", *arguments],
            cwd=study,
            env={**os.environ, "PYTHONIOENCODING": encoding},
            stdout=subprocess.PIPE,
        )
        return done.returncode, done.stdout.decode(encoding)

    code, text = audit(FIGURE)
    assert code == 0
    assert ("└── " in text, "`-- " in text) == (encoding == "utf-8", encoding != "utf-8")
    assert not [line for line in text.splitlines() if line.endswith(" ")]
    code, text = audit("--study", "tiny")
    assert code == 1
    assert "PROBLEM unrecorded, 3 found" in text
    assert ("caf\\xe9.csv" in text) == (encoding == "ascii")
    assert ("\\u6570.csv" in text) == (encoding != "utf-8")
    assert "odd\\xff.csv" in text


def test_the_full_tree_shows_each_job_and_what_was_shown_only_by_name(study):
    text = audit_command(study, FIGURE, "--full")[1]
    assert text.count("train (train.py)") == 5
    assert text.count("data/prompts.parquet") == 5
    assert text.count("shown above") == 4


def test_json_has_full_hashes_and_settings(study):
    code, text = audit_command(study, FIGURE, "--json")
    content = json.loads(text)
    assert code == 0
    assert content["is_well"]
    job = content["jobs"][f"{STUDY}/analysis/fits_record.json"]
    assert job["settings"] == {"bins": 3}
    used = job["inputs"][MODELS[4]]
    assert used["made_by"] == f"{STUDY}/models/seed-4/run_record.json"
    assert used["sha256"] == content["jobs"][used["made_by"]]["outputs"][MODELS[4]]
    assert len(used["sha256"]) == 64
    assert content["jobs"][used["made_by"]]["seed"] == 4


def test_only_what_a_file_comes_from_counts_for_it(study):
    flip(study / COEFFICIENTS, 1)
    assert audit_command(study, MODELS[0])[0] == 0
    code, text = audit_command(study, FIGURE)
    assert code == 1
    assert "(NOW " in text
    assert "PROBLEM changed, 1 found. Differs from what its job wrote: " in text
    assert "What to do: `dvc checkout --force PATH` brings back what was recorded" in text
    assert text.splitlines()[-1].startswith(f"{FIGURE}: 1 problem (changed)")


def test_a_record_can_be_asked_for_its_job(study):
    code, text = audit_command(study, f"{STUDY}/models/seed-0/run_record.json")
    assert code == 0
    assert "models/seed-0/{config.json " in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--study", "nowhere"], "error: nowhere: no such folder"),
        (["results/tiny/nothing.csv"], "error: results/tiny/nothing.csv: no such file"),
        (["my/words.txt"], "error: my/words.txt: not below results/<name>/"),
        (["results/tiny/models"], "is a folder; name a file, such as results/tiny/models/seed-0"),
        (["my/words.txt", "--study", "tiny"], "error: my/words.txt: not in the study"),
        (["--study", "my"], "no job has left a record there"),
    ],
)
def test_a_mistake_is_one_sentence(study, arguments, message):
    code, text = audit_command(study, *arguments)
    assert code == 1
    assert message in text
    assert len(text.splitlines()) == 1


def test_a_file_without_a_record_has_no_tree(study):
    (study / STUDY / "extra.csv").write_text("1\n")
    code, text = audit_command(study, f"{STUDY}/extra.csv")
    assert code == 1
    assert text == (
        f"error: {STUDY}/extra.csv: no record of a job lists it, so where it comes from is not "
        "known\n"
    )


# Records.

Damage = Callable[[dict], object]


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.pop("code"),
        lambda record: record.update(code="short"),
        lambda record: record.update(config="not JSON"),
        lambda record: record.update(config="[]"),
        lambda record: record.update(inputs=[]),
        lambda record: record.update(outputs={"a": "b"}),
        lambda record: record.update(git={"commit": "HEAD", "dirty": False}),
        lambda record: record.update(git={"commit": None}),
        lambda record: record.update(versions=None),
        lambda record: record.update(finished="yesterday"),
        lambda record: record.update(finished="2026-01-01T00:00:00"),
        lambda record: record.update(wall_seconds="1"),
        lambda record: record.update(machine=""),
    ],
)
def test_a_record_with_a_damaged_field_is_not_read(study, damage: Damage):
    path = records(study)[0]
    record = json.loads((study / path).read_text())
    damage(record)
    content = (json.dumps(record, indent=2, sort_keys=True) + "\n").encode()
    with pytest.raises(ValueError, match="is missing or wrong"):
        parse_record(path, content)


def test_only_the_form_that_jobs_write_is_read(study):
    path = records(study)[0]
    content = (study / path).read_bytes()
    assert parse_record(path, content).script == "fits.py"
    for other in (
        content.rstrip(),
        content.replace(b"  ", b"   ", 1),
        b"[]",
        b"[" * 100_000,
        b"\xff",
        b"",
    ):
        with pytest.raises(ValueError, match=r"^not "):
            parse_record(path, other)


def test_an_artifacts_audit_reads_only_what_it_needs(study):
    done = audit_artifact(study / MODELS[0], study / STUDY)
    assert len(done.jobs) == 2
    assert done.num_files == 6
