"""The audit beside the real DVC: hashes of folders, dvc.lock, and two commits compared."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from audit_example import COEFFICIENTS, FIGURE, MODELS, STUDY, flip, make_study, overopt
from overopt.audit.audit import audit_artifact, audit_study
from overopt.audit.digests import Digests
from overopt.audit.dvc_lock import files_of_folder, folder_md5, ignored_patterns, locked_outs
from overopt.errors import UserError

pytestmark = pytest.mark.slow

STAGES = {
    "all": {
        "cmd": "true",
        "outs": [
            {f"{STUDY}/{out}": {"persist": True}}
            for out in ("data", "models", "analysis", "figures", "coefficients.csv")
        ],
    }
}


def run(folder: Path, *command: str) -> str:
    environment = {
        **os.environ,
        "DVC_NO_ANALYTICS": "1",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "somebody"),
        **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "somebody@example.org"),
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def record(folder: Path) -> None:
    """Record the study as it lies there, and commit dvc.lock."""
    run(folder, "dvc", "commit", "-f", "-q")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "recorded")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two commits with a dvc.lock: the second has another setting in the fits."""
    folder = make_study(tmp_path_factory.mktemp("recorded"))
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "init", "-q")
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
    (folder / ".gitignore").write_text("results/\n.snakemake/\n")
    (folder / ".dvcignore").write_text("*.pyc\n__pycache__/\n")
    record(folder)
    make_study(folder, bins=4, scripts=("fits.py", "figures.py"))
    record(folder)
    return folder


@pytest.fixture
def study(recorded: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    shutil.copytree(recorded, folder, copy_function=shutil.copy2)
    return folder


def problems(folder: Path) -> dict[str, str]:
    """Details by path of what differs from dvc.lock."""
    found = audit_study(folder / STUDY).problems
    return {f.path: f.detail for f in found if f.kind.name == "not-as-locked"}


def without_cache(folder: Path) -> None:
    shutil.rmtree(folder / ".dvc/cache")


def test_a_folders_hash_is_the_one_that_dvc_computes(tmp_path):
    folder = tmp_path / "results"
    for name in ("b.txt", "a/ä b.txt", "a/b/c", "a-b.txt", ".hidden", "a.txt", "Z", "empty"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name * 3 if name != "empty" else "")
    (folder / "nothing/in/here").mkdir(parents=True)
    for name in ("x.pyc", "a/x.pyc", "a/__pycache__/y"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("ignored")
    (tmp_path / ".dvcignore").write_text("# a comment\n*.pyc\n__pycache__/\n")
    run(tmp_path, "dvc", "init", "--no-scm", "-q", "-f")
    run(tmp_path, "dvc", "add", "results", "-q")
    [out] = yaml.safe_load((tmp_path / "results.dvc").read_text())["outs"]
    paths = files_of_folder(folder, ignored_patterns(tmp_path))
    assert folder_md5({path: Digests().md5(folder / path) or "" for path in paths}) == out["md5"]
    assert len(paths) == out["nfiles"]


def test_a_recorded_study_is_well_with_and_without_the_cache(study):
    assert not problems(study)
    run(study, "dvc", "status", "-q")  # DVC agrees
    without_cache(study)
    assert not problems(study)


def test_a_changed_file_differs_from_the_lock_and_from_its_record(study):
    flip(study / MODELS[2], 5)
    assert set(problems(study)) == {MODELS[2]}
    assert "its own record has other bytes, too" in problems(study)[MODELS[2]]
    assert {f.kind.name for f in audit_study(study / STUDY).problems} == {
        "changed",
        "not-as-locked",
    }


def test_every_byte_of_a_record_counts_where_it_is_recorded(study):
    path = f"{STUDY}/models/seed-0/run_record.json"
    content = (study / path).read_bytes()
    flip(study / path, content.index(b"machine") + 12)
    assert set(problems(study)) == {path}
    without_cache(study)
    assert set(problems(study)) == {f"{STUDY}/models"}


def test_what_was_made_since_is_told_apart(study):
    make_study(study, bins=9, scripts=("fits.py",))
    assert "made since, on " in problems(study)[f"{STUDY}/analysis/curves.parquet"]


def test_missing_and_added_files_differ_from_the_lock(study):
    (study / MODELS[0]).unlink()
    (study / STUDY / "models/extra").write_text("x")
    found = problems(study)
    assert found[MODELS[0]].startswith("gone")
    assert found[f"{STUDY}/models/extra"] == "not in the folder that was recorded"


def test_leftovers_of_a_killed_job_do_not_count(study):
    folder = study / STUDY / "models/seed-0/.unfinished-train"
    folder.mkdir()
    (folder / "lock").write_text("")
    assert not problems(study)
    without_cache(study)
    assert not problems(study)


def test_only_the_sources_of_a_file_are_compared(study):
    flip(study / COEFFICIENTS, 0)
    kinds = [f.kind.name for f in audit_artifact(study / FIGURE, study / STUDY).problems]
    assert kinds == ["changed", "not-as-locked"]
    assert not audit_artifact(study / MODELS[0], study / STUDY).problems


def test_a_cache_elsewhere_is_found(study, tmp_path):
    shutil.move(study / ".dvc/cache", tmp_path / "elsewhere")
    (study / ".dvc/config.local").write_text(f"[cache]\n    dir = {tmp_path}/elsewhere\n")
    flip(study / MODELS[2], 5)
    assert set(problems(study)) == {MODELS[2]}


@pytest.mark.parametrize(
    "text", ["", "stages: 3", "stages: {a: {outs: [3]}}", "{", "schema: '2.0'", "stages: [a]"]
)
def test_a_damaged_lock_is_one_problem(study, text):
    (study / "dvc.lock").write_text(text)
    with pytest.raises(UserError, match=r"dvc\.lock is not what DVC writes"):
        locked_outs("dvc.lock", lambda path: text if path == "dvc.lock" else None)
    found = [f.kind.name for f in audit_study(study / STUDY).problems]
    assert found == ["lock-unreadable"]


def test_a_lock_in_a_folder_of_its_own_with_a_working_folder():
    files = {
        "here/dvc.lock": yaml.safe_dump(
            {"stages": {"a@1": {"outs": [{"path": "x", "hash": "md5", "md5": "0" * 32}]}}}
        ),
        "here/dvc.yaml": yaml.safe_dump({"stages": {"a": {"wdir": "../results"}}}),
    }
    assert [out.path for out in locked_outs("here/dvc.lock", files.get)] == ["results/x"]


# Two commits.


def compare(folder: Path, *arguments: str) -> tuple[int, str]:
    return overopt(folder, "diff", *arguments)


def test_two_commits_are_compared_from_the_cache(study):
    shutil.rmtree(study / STUDY)
    code, text = compare(study, "HEAD~1", "HEAD", "--study", "tiny")
    assert code == 3
    assert "1. Settings: bins 3 -> 4 (1 job of fits.py)" in text
    assert "1 result differs because of it: analysis/ 1" in text
    assert text.splitlines()[-1] == "1 of 15 results that both have differ."


def test_a_commit_is_compared_with_a_folder(study):
    assert compare(study, "HEAD", STUDY)[0] == 0
    assert "bins 4 -> 3" in compare(study, STUDY, "HEAD~1")[1]


def test_what_the_cache_lacks_is_told_with_what_the_locks_say(study):
    without_cache(study)
    code, text = compare(study, "HEAD~1", "HEAD", "--study", STUDY)
    assert code == 1
    assert text.startswith("error: HEAD~1: DVC's cache lacks 4 of its files (results/tiny/an")
    assert "`dvc fetch --all-commits` gets them" in text
    assert "By dvc.lock alone, these are not the same: results/tiny/analysis, " in text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["HEAD", "nothing"], "nothing: neither the folder of a study nor a commit of this clone"),
        (["HEAD~1", "HEAD"], "HEAD~1: no dvc.lock of this commit records results/default"),
        (["my", STUDY], "my: no job has left a record there"),
    ],
)
def test_a_mistake_is_one_sentence(study, arguments, message):
    code, text = compare(study, *arguments)
    assert code == 1
    assert text.startswith(f"error: {message}")
    assert len(text.splitlines()) == 1
