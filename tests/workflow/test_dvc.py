"""Versions with DVC: what is recorded, published, fetched; another study; what is refused."""

import json
import re
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from overopt.audit.dvc_stages import write_pipeline
from overopt.errors import UserError
from remote_servers import Remote, s3_server, ssh_server
from version_example import as_git_repository, clone, commit, run
from workflow_example import ROOT, copy_of_repository, snakemake

TEST_CONFIG = "config/test.yaml"
NOTHING = "Nothing to be done"


def outs_of(folder: Path) -> list[str]:
    stages = yaml.safe_load((folder / "dvc.yaml").read_text())["stages"].values()
    return [path for stage in stages for out in stage["outs"] for path in out]


def owners(path: str, outs: list[str]) -> list[str]:
    return [out for out in outs if path == out or path.startswith(f"{out}/")]


# dvc.yaml, without running anything.


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the configs only, the current one."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_dvc_yaml_of_the_default_study_is_up_to_date(sources: Path) -> None:
    assert write_pipeline([Path("config/config.yaml")]) == ["default"]
    written = (sources / "dvc.yaml").read_text()
    assert written == (ROOT / "dvc.yaml").read_text(), (
        "run `python -m overopt.audit.dvc_stages config/config.yaml`"
    )


def test_every_out_persists_and_no_file_belongs_to_two(sources: Path) -> None:
    write_pipeline([Path("config/config.yaml"), Path("config/study.yaml")])
    stages = yaml.safe_load((sources / "dvc.yaml").read_text())["stages"]
    assert len(stages) == 2 * 6 + 1
    for stage in stages.values():
        assert all(
            settings == {"persist": True} for out in stage["outs"] for settings in out.values()
        )
    outs = outs_of(sources)
    assert all(owners(out, outs) == [out] for out in outs)


def test_what_dvc_lock_records_of_other_stages_goes(sources: Path) -> None:
    lock = sources / "dvc.lock"
    kept = {"cmd": "a", "outs": [{"path": "b", "md5": "c"}]}
    stages = {"data": {"cmd": "old"}, "test-data": kept}
    lock.write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    write_pipeline([Path(TEST_CONFIG)])
    assert yaml.safe_load(lock.read_text()) == {"schema": "2.0", "stages": {"test-data": kept}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name: [", "broken.yaml, line 1: no YAML"),
        ("- a\n- b\n", "broken.yaml: holds no settings"),
        ("name: x\n", "seed"),
    ],
)
def test_a_broken_config_leaves_dvc_yaml_alone(sources: Path, content: str, message: str) -> None:
    Path("broken.yaml").write_text(content)
    Path("dvc.yaml").write_text("as it was")
    with pytest.raises(UserError, match=message):
        write_pipeline([Path(TEST_CONFIG), Path("broken.yaml")])
    assert Path("dvc.yaml").read_text() == "as it was"


def test_two_studies_of_one_name_are_refused(sources: Path) -> None:
    shutil.copy(TEST_CONFIG, "other.yaml")
    with pytest.raises(UserError, match="two of these studies have the name 'test'"):
        write_pipeline([Path(TEST_CONFIG), Path("other.yaml")])


def test_a_config_from_elsewhere_is_refused(sources: Path) -> None:
    with pytest.raises(UserError, match="copy it into the repository"):
        write_pipeline([ROOT / TEST_CONFIG])


def test_dvc_sends_nothing_home_and_keeps_its_default_cache() -> None:
    config = (ROOT / ".dvc/config").read_text()
    assert re.search(r"^ *analytics = false$", config, flags=re.MULTILINE)
    assert "type" not in config


@pytest.mark.parametrize(
    ("name", "package"), [("s3", "dvc-s3"), ("ssh", "dvc-ssh"), ("s3-server", "moto")]
)
def test_what_remotes_need_leaves_the_lock_alone(name: str, package: str) -> None:
    def pins(file: str) -> set[str]:
        text = (ROOT / "envs" / file).read_text().lower()
        return set(re.findall(r"^([\w.-]+)==", text, flags=re.MULTILINE))

    needed = pins(f"requirements-{name}.txt")
    assert package in needed
    assert needed.isdisjoint(pins("requirements.txt"))


def test_a_local_checkpoint_is_a_dependency_and_what_starts_from_it_comes_after(
    sources: Path,
) -> None:
    folder = sources / "models" / "my own"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    config = yaml.safe_load((sources / "config/paper.yaml").read_text())
    for model in config["policies"].values():
        model["checkpoint"] = "models/my own"
        del model["revision"]
    Path("mine.yaml").write_text(yaml.safe_dump(config))
    write_pipeline([Path("mine.yaml")])
    stages = yaml.safe_load((sources / "dvc.yaml").read_text())["stages"]
    prepared = "results/paper/checkpoints"
    assert stages["paper-checkpoints"]["outs"] == [{prepared: {"persist": True}}]
    assert stages["paper-checkpoints"]["deps"][-1] == "models/my own", "each folder once"
    dependent = [name for name, stage in stages.items() if prepared in stage["deps"]]
    assert dependent == ["paper-policies", "paper-gold_rm", "paper-proxy_rms"]


# Against the rules of the workflow.

HUMAN_FILES = {
    "human/demonstrations.jsonl": '{"prompt": "a", "response": "b"}\n',
    "human/comparisons.jsonl": '{"prompt": "a", "chosen": "b", "rejected": "c"}\n',
}


@pytest.mark.slow
@pytest.mark.parametrize("config", ["config", "study", "human", "paper"])
def test_every_result_of_a_study_belongs_to_one_out(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_of_repository(tmp_path / "copy")
    for name, content in HUMAN_FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    monkeypatch.chdir(folder)
    write_pipeline([Path(f"config/{config}.yaml")])
    planned = snakemake(
        folder, "--dry-run", "--workflow-profile", "none", config=f"config/{config}.yaml"
    ).stdout
    lines = re.findall(r"^    output: (.+)$", planned, flags=re.MULTILINE)
    results = {path for line in lines for path in line.split(", ")}
    assert len(results) > 100
    outs = outs_of(folder)
    assert [path for path in sorted(results) if len(owners(path, outs)) != 1] == []
    made = {owner for path in results for owner in owners(path, outs)}
    assert set(outs) - made == {".snakemake/metadata"}


@pytest.mark.slow
def test_every_file_of_a_finished_study_belongs_to_one_out(
    finished_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished_study / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    write_pipeline([Path(TEST_CONFIG)])
    outs = outs_of(tmp_path)
    files = [
        path.relative_to(finished_study).as_posix()
        for path in (finished_study / "results/test").rglob("*")
        if path.is_file() and "logs" not in path.parts
    ]
    assert [path for path in files if len(owners(path, outs)) != 1] == []
    assert all((finished_study / out).exists() for out in outs)


# A study, recorded twice and published.


@dataclass
class Recorded:
    """A repository whose tags `old` and `new` are two recorded versions, both in the storage."""

    folder: Path
    storage: Path


@pytest.fixture(scope="module")
def recorded(finished_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    parent = tmp_path_factory.mktemp("recorded")
    folder, storage = parent / "repository", parent / "storage"
    shutil.copytree(finished_study, folder, copy_function=shutil.copy2)
    as_git_repository(folder, TEST_CONFIG)
    Remote(str(storage)).use_in(folder)
    done = run(folder, "dvc", "repro")
    assert done.count(NOTHING) == 6, "recording a finished study runs no job"
    commit(folder, "Record the study")
    run(folder, "git", "tag", "old")
    config = folder / TEST_CONFIG
    config.write_text(config.read_text().replace("max_fit_kl: 40", "max_fit_kl: 2"))
    run(folder, "dvc", "repro")
    commit(folder, "Fit up to a KL of 2 only")
    run(folder, "git", "tag", "new")
    run(folder, "dvc", "push", "--all-tags")
    return Recorded(folder, storage)


@pytest.fixture
def repository(recorded: Recorded, tmp_path: Path) -> Path:
    """A copy to change."""
    folder = tmp_path / "repository"
    shutil.copytree(recorded.folder, folder, copy_function=shutil.copy2)
    return folder


def is_up_to_date(folder: Path) -> bool:
    """Whether Snakemake, as a user calls it, and DVC find nothing to do."""
    snakemake_says = snakemake(folder, "--dry-run")
    dvc_says = run(folder, "dvc", "status")
    return NOTHING in snakemake_says.stderr + snakemake_says.stdout and "are up to date" in dvc_says


@pytest.mark.slow
def test_a_clone_with_fetched_results_is_up_to_date(recorded: Recorded, tmp_path: Path) -> None:
    folder = clone(recorded.folder, tmp_path / "clone")
    run(folder, "dvc", "pull")
    assert is_up_to_date(folder)
    config = folder / TEST_CONFIG
    config.write_text(config.read_text().replace("num_iterations: 12", "num_iterations: 13"))
    planned = snakemake(folder, "--dry-run", "--workflow-profile", "none").stdout
    assert len(re.findall(r"^rule ppo:", planned, flags=re.MULTILINE)) == 4, "edits are still seen"


@pytest.mark.slow
def test_an_old_commit_with_its_results_is_up_to_date(repository: Path) -> None:
    for version in ("old", "new"):
        run(repository, "git", "checkout", "-q", version)
        run(repository, "dvc", "checkout", "-q")
        assert is_up_to_date(repository), version


@pytest.mark.slow
def test_differences_between_versions_are_told(repository: Path) -> None:
    settings = json.loads(run(repository, "dvc", "params", "diff", "--json", "old"))
    assert settings == {TEST_CONFIG: {"analysis.max_fit_kl": {"old": 40, "new": 2, "diff": -38}}}
    metrics = json.loads(run(repository, "dvc", "metrics", "diff", "--json", "old"))
    changed = metrics["results/test/summary.json"]
    assert "fits.rl_shared_alpha.lowest_r2" in changed
    assert not any(metric.startswith("gold_rm.") for metric in changed)
    run(repository, "dvc", "plots", "diff", "--out", "plots", "old")
    page = (repository / "plots/index.html").read_text()
    for version in ("old", "workspace"):
        assert f"{version}_results_test_figures_figure_01a.svg" in page
        assert f'"rev": "{version}"' in page, "curves of both versions in one plot"


@pytest.mark.slow
def test_an_edited_or_lost_result_is_not_recorded_and_dvc_brings_it_back(repository: Path) -> None:
    lock = (repository / "dvc.lock").read_text()
    table = repository / "results/test/differences.csv"
    content = table.read_text()
    table.write_text(content.replace("s1", "s2"))
    message = run(repository, "dvc", "repro", check=False)
    assert "error: test-analysis is not recorded" in message
    assert "results/test/differences.csv" in message
    assert "failed to reproduce 'test-analysis'" in message
    run(repository, "dvc", "checkout", "--force", "results/test/differences.csv")
    assert table.read_text() == content
    (repository / "results/test/policies/small/config.json").unlink()
    message = run(repository, "dvc", "repro", check=False)
    assert "error: test-policies is not recorded" in message
    assert "policies/small/config.json" in message
    assert (repository / "dvc.lock").read_text() == lock
    run(repository, "dvc", "checkout")
    assert "are up to date" in run(repository, "dvc", "status")


@pytest.mark.slow
def test_a_file_changed_in_the_storage_is_not_accepted(recorded: Recorded, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    shutil.copytree(recorded.storage, storage, copy_function=shutil.copy2)
    table = "results/test/claims.csv"
    lock = yaml.safe_load((recorded.folder / "dvc.lock").read_text())
    outs = lock["stages"]["test-analysis"]["outs"]
    digest = next(out["md5"] for out in outs if out["path"] == table)
    stored = storage / "files/md5" / digest[:2] / digest[2:]
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes().swapcase())
    stored.chmod(0o444)  # DVC trusts a file that nobody can write, unless told to verify
    folder = clone(recorded.folder, tmp_path / "clone")
    run(folder, "dvc", "remote", "modify", "storage", "url", str(storage))
    assert table in run(folder, "dvc", "pull", check=False)
    assert not (folder / table).exists()


@pytest.mark.slow
def test_leftovers_of_killed_jobs_are_not_recorded(repository: Path) -> None:
    leftover = repository / "results/test/ppo/small/.unfinished-ppo/training_state.safetensors"
    leftover.parent.mkdir()
    leftover.write_text("half a state")
    (repository / "results/test/gold_rm/run_record.json.unfinished").write_text("{")
    assert "are up to date" in run(repository, "dvc", "status")
    run(repository, "git", "checkout", "-q", "old")
    run(repository, "dvc", "checkout", "-q")
    assert leftover.exists()


@pytest.mark.slow
@pytest.mark.parametrize("server", [s3_server, ssh_server])
def test_results_come_back_from_a_server(
    server: Callable[[Path], AbstractContextManager[Remote]], repository: Path, tmp_path: Path
) -> None:
    with server(tmp_path) as remote:
        remote.use_in(repository)
        commit(repository, "Where results are stored")
        remote.sign_in(repository)
        run(repository, "dvc", "push")
        folder = clone(repository, tmp_path / "clone")
        remote.sign_in(folder)
        run(folder, "dvc", "pull")
        assert "are up to date" in run(folder, "dvc", "status")
    assert "secret" not in (folder / ".dvc/config").read_text()
