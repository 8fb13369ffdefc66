"""Which results of two studies differ, and what explains it: settings, code, data, or nothing."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from audit_example import COEFFICIENTS, MODELS, STUDY, WORDS, edit_record, flip, make_study
from overopt.audit.compare import Comparison, compare
from overopt.audit.compare_text import describe_comparison
from overopt.cli import app

ALL = 15  # results of the study


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("made"))


@pytest.fixture
def copies(made: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two copies that a test may change."""
    folders = tmp_path / "first", tmp_path / "second"
    for folder in folders:
        shutil.copytree(made, folder, copy_function=shutil.copy2)
    return folders


def compared(first: Path, second: Path) -> Comparison:
    return compare(str(first / STUDY), str(second / STUDY), root=first)


def text_of(first: Path, second: Path) -> str:
    return describe_comparison(compared(first, second))


def causes(first: Path, second: Path) -> list[tuple[str, str, int]]:
    """Kind, name and number of explained results of every cause."""
    return [(c.kind, c.name, len(c.results)) for c in compared(first, second).causes]


def test_a_study_is_the_same_as_its_copy_made_at_another_time(copies):
    first, second = copies
    shutil.rmtree(second / STUDY)
    make_study(second)
    comparison = compared(first, second)
    assert comparison.is_equal
    assert comparison.num_common == ALL
    assert "All 15 results are the same, byte by byte." in describe_comparison(comparison)
    done = CliRunner().invoke(app, ["diff", str(first / STUDY), str(second / STUDY)])
    assert done.exit_code == 0


def test_an_edited_setting_is_one_cause_of_all_that_follows(copies):
    first, second = copies
    make_study(second, copies=3)
    # The tokenizer and the configs of five models are as before.
    assert causes(first, second) == [("settings", "copies", ALL - 6)]
    text = text_of(first, second)
    assert "1. Settings: copies 2 -> 3 (1 job of data.py)" in text
    assert "models/ 5" in text and "coefficients.csv" in text
    done = CliRunner().invoke(app, ["diff", str(first / STUDY), str(second / STUDY)])
    assert done.exit_code == 3


def test_two_edits_are_two_causes_each_with_what_it_explains(copies):
    first, second = copies
    make_study(second, copies=3, bins=9)
    assert causes(first, second) == [("settings", "copies", 9), ("settings", "bins", 3)]


def test_other_data_from_outside_are_a_cause(copies):
    first, second = copies
    make_study(second, words="d e f\n")
    [(kind, name, _)] = causes(first, second)
    assert (kind, name) == ("source", WORDS)
    assert f"Data: {WORDS}, from outside the study, SHA-256" in text_of(first, second)


def test_more_cells_are_told_by_name(copies):
    first, second = copies
    shutil.rmtree(first / STUDY)
    make_study(first, seeds=4)
    comparison = compared(first, second)
    assert [Path(path).parent.name for path in comparison.only_second] == ["seed-4", "seed-4"]
    text = describe_comparison(comparison)
    assert "Only in B, 2 results: models/ 2" in text
    assert "Inputs: fits.py did not use the same files (1 job)" in text
    assert "only in B, 1 files: models/ 1" in text


def test_a_file_edited_afterwards_is_told_apart(copies):
    first, second = copies
    flip(second / COEFFICIENTS, 0)
    assert [kind for kind, *_ in causes(first, second)] == ["edited"]
    assert "   coefficients.csv\n" in text_of(first, second)


def test_other_versions_explain_what_nothing_else_does(copies):
    first, second = copies
    give_other_bytes(second, "models/seed-0", MODELS[0], versions={"numpy": "0.1"})
    [(kind, name, _)] = causes(first, second)
    assert kind == "unexplained"
    assert "numpy 2." in name and "-> 0.1" in name
    assert "another machine or version: " in text_of(first, second)


def test_a_job_that_is_not_deterministic_is_told(copies):
    first, second = copies
    give_other_bytes(second, "models/seed-0", MODELS[0])
    assert causes(first, second) == [("unexplained", "", 1)]
    assert "same machine and versions, too: the job is not deterministic" in text_of(first, second)


def give_other_bytes(folder: Path, job: str, output: str, **changes: object) -> None:
    """Let a job have written other bytes, and nothing else have changed but these fields."""
    from overopt.jobs.provenance import file_sha256

    path = f"{STUDY}/{job}/run_record.json"
    flip(folder / output, 0)
    outputs = json.loads((folder / path).read_text())["outputs"]
    outputs[output] = file_sha256(folder / output)
    edit_record(folder, path, outputs=outputs, **changes)


def test_seeds_that_derive_from_the_studys_are_one_cause(copies):
    first, second = copies
    for seed in range(5):
        config = {"run": {"size": "s1"}, "seed": seed + 100}
        give_other_bytes(second, f"models/seed-{seed}", MODELS[seed], config=json.dumps(config))
    assert causes(first, second) == [("settings", "seed", 5)]
    assert "the seeds of the jobs, which derive from the study's `seed`" in text_of(first, second)


def git(folder: Path, *arguments: str) -> str:
    names = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in WHAT}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env={**os.environ, **names},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


WHAT = ("NAME", "EMAIL")


def commit_code(folder: Path, files: dict[str, str]) -> str:
    """Write these files of the code and commit them; the commit."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "src", "workflow")
    git(folder, "commit", "-qm", "code")
    return git(folder, "rev-parse", "HEAD")


def test_another_code_digest_names_the_files_that_changed(copies):
    first, second = copies
    git(first, "init", "-q")
    code = {
        "workflow/scripts/train.py": "import overopt.used\n",
        "src/overopt/used.py": "import overopt.deeper\nx = 1\n",
        "src/overopt/deeper.py": "y = 1\n",
        "src/overopt/commented.py": "z = 1\n",
        "src/overopt/unused.py": "w = 1\n",
    }
    code["src/overopt/used.py"] += "import overopt.commented\n"
    before = commit_code(first, code)
    changes = {
        "src/overopt/deeper.py": "y = 2\n",
        "src/overopt/unused.py": "w = 2\n",
        "src/overopt/commented.py": "# a comment\nz = 1\n",
    }
    after = commit_code(first, changes)
    for folder, commit, digest in ((first, before, "a"), (second, after, "b")):
        state = {"commit": commit, "dirty": False}
        path = f"{STUDY}/models/seed-0/run_record.json"
        edit_record(folder, path, code=digest * 64, git=state)
    give_other_bytes(second, "models/seed-0", MODELS[0])
    text = text_of(first, second)
    assert f"1. Code: {before[:8]} -> {after[:8]} (1 job of train.py)" in text
    assert "train.py: code digest aaaaaaaa -> bbbbbbbb" in text
    assert "in which a statement changed: src/overopt/deeper.py\n" in text


def test_code_of_unknown_commits_is_told_by_its_digests(copies):
    first, second = copies
    give_other_bytes(second, "models/seed-0", MODELS[0], code="b" * 64)
    text = text_of(first, second)
    assert "-> bbbbbbbb" in text
    assert "git does not have both commits here" in text


def test_the_page_that_tells_of_the_run_does_not_count(copies):
    first, second = copies
    path = f"{STUDY}/models/seed-0/run_record.json"
    for folder, name in ((first, "one"), (second, "two")):
        config = json.dumps({"name": name, "seed": 1, "run": {"size": name}})
        edit_record(folder, path, rule_script="report_run.py", config=config)
    flip(second / MODELS[0], 0)
    comparison = compared(first, second)
    assert comparison.is_equal
    assert comparison.settings == {"run.size": ("one", "two")}
