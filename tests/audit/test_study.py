"""The audit on a finished tiny study: no false alarm, every kind of file, orphans of its grid."""

import shutil
import time
from pathlib import Path, PurePosixPath

import pytest
import yaml

from audit_example import flip, overopt
from overopt.audit.audit import audit_artifact, audit_study
from overopt.audit.orphans import read_config
from overopt.study.paths import cell_folders, grid_folders

pytestmark = pytest.mark.slow

# The repository's copy in which the study was made is no git repository, or is one.
NOTES = {"no-commit"}


@pytest.fixture
def study(finished_study: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    folder = tmp_path / "copy"
    ignored = shutil.ignore_patterns("__pycache__", "src", "workflow")
    shutil.copytree(finished_study, folder, copy_function=shutil.copy2, ignore=ignored)
    return folder


def test_a_finished_study_is_well_within_two_seconds(finished_study):
    start = time.monotonic()
    done = audit_study(finished_study / "results/test")
    assert time.monotonic() - start < 2
    assert {finding.kind.name for finding in done.findings} <= NOTES
    assert len(done.jobs) > 40
    assert done.num_files > 250


def test_so_is_its_copy_and_results_alone(study, tmp_path):
    assert {f.kind.name for f in audit_study(study / "results/test").findings} <= NOTES
    shutil.rmtree(study / ".snakemake")
    (study / "results/test").rename(study / "results/archived")
    found = {f.kind.name for f in audit_study(study / "results/archived").findings}
    assert found <= NOTES
    assert overopt(study, "audit", "--study", "archived")[0] == 0


def test_a_flipped_byte_is_found_in_every_kind_of_file(study):
    results = study / "results/test"
    for path in one_of_each_kind(results):
        name = path.relative_to(study).as_posix()
        position = path.stat().st_size // 2
        flip(path, position)
        found = audit_study(results).problems
        named = [f for f in found if name in (f.path, *f.detail.split()) or f"({name})" in f.detail]
        assert named, f"{name}, byte {position}"
        flip(path, position)
    assert not audit_study(results).problems


def one_of_each_kind(results: Path) -> list[Path]:
    """A file of every name in every part of the study; of the figures one of each format."""
    kinds: dict[tuple[str, str], Path] = {}
    for path in sorted(results.rglob("*")):
        parts = path.relative_to(results).parts
        if path.is_file() and parts[0] != "logs":
            name = path.suffix if parts[0] == "figures" else path.name
            kinds.setdefault((parts[0], name), path)
    suffixes = {path.suffix for path in kinds.values()}
    assert suffixes == {".csv", ".html", ".json", ".parquet", ".png", ".safetensors", ".svg"}
    return list(kinds.values())


def test_every_table_and_figure_traces_back_to_the_prompts(study):
    results = study / "results/test"
    for name in ("claims.csv", "figures/figure_01a.svg", "report/coefficients.html"):
        done = audit_artifact(results / name, results)
        assert not done.problems
        scripts = {job.script for job in done.jobs}
        assert {"embedded_demonstrations.py", "train_gold_rm.py", "ppo.py"} <= scripts
    code, text = overopt(study, "audit", "results/test/claims.csv")
    assert code == 0
    assert "jobs of ppo (ppo.py)" in text
    assert "backbone (train_language_model.py)" in text
    assert "learning_rate=" in text
    assert max(map(len, text.splitlines())) < 250


# Orphans.


def config_without(study: Path, **changes: object) -> str:
    config = yaml.safe_load((study / "config/test.yaml").read_text())
    config["grid"] |= {
        "sweeps": {k: v for k, v in config["grid"]["sweeps"].items() if k not in changes}
    }
    for name, sweep in changes.items():
        if sweep is not None:
            config["grid"]["sweeps"][name] = sweep
    path = study / "config/less.yaml"
    path.write_text(yaml.safe_dump(config))
    return "config/less.yaml"


def test_the_layout_is_that_of_the_rules(study):
    results = study / "results/test"
    made = {
        PurePosixPath(path.parent.relative_to(results)).as_posix()
        for folder in grid_folders()
        for path in (results / folder).rglob("*")
        if path.is_file()
    }
    assert cell_folders(read_config(study / "config/test.yaml")) == made
    assert overopt(study, "orphans", "--configfile", "config/test.yaml") == (
        0,
        "results/test: no orphans.\n",
    )


def test_orphans_of_a_removed_sweep_are_listed_and_removed_only_when_asked(study):
    results = study / "results/test"
    config = config_without(study, kl_penalty=None, sampled_labels=None)
    count = sum(path.is_file() for path in results.rglob("*"))
    cell = "s2/deterministic-labels/2000-comparisons/1-epochs/seed-0"
    sampled = cell.replace("deterministic", "sampled")
    code, text = overopt(study, "orphans", "--configfile", config)
    assert code == 0
    listed = [line.split(":")[0].strip() for line in text.splitlines() if line.startswith("  ")]
    assert listed == [
        f"best_of_n/small/{cell}",  # its tilted curve: only a KL penalty needs it
        f"best_of_n/small/{sampled}",
        f"ppo/small/kl-0.1/{cell}",
        f"proxy_rms/{sampled}",
    ]
    assert sum(path.is_file() for path in results.rglob("*")) == count
    notes = [
        f.path for f in audit_study(results, study / config).findings if f.kind.name == "orphans"
    ]
    assert sorted(notes) == [f"results/test/{folder}" for folder in listed]

    code, text = overopt(study, "orphans", "--configfile", config, "--remove")
    assert code == 0
    assert text.startswith("Removed, below results/test:")
    for folder in listed[1:]:
        assert not (results / folder).exists()
    assert (results / listed[0] / "curve.parquet").is_file()
    assert not (results / listed[0] / "tilted_curve.parquet").exists()
    assert not (results / "ppo/small/kl-0.1").exists()
    assert overopt(study, "orphans", "--configfile", config)[1] == "results/test: no orphans.\n"


def test_cells_of_a_sweep_that_is_switched_off_are_no_orphans(study):
    sweep = yaml.safe_load((study / "config/test.yaml").read_text())["grid"]["sweeps"]["kl_penalty"]
    config = config_without(study, kl_penalty=sweep | {"enabled": False})
    code, text = overopt(study, "orphans", "--configfile", config, "--remove")
    assert code == 0
    assert text.startswith(
        "results/test: no orphans.\nOf sweeps that are switched off, no orphans:"
    )
    assert (study / "results/test/ppo/small/kl-0.1").exists()


def test_nothing_outside_of_the_study_is_removed(study, tmp_path):
    results = study / "results/test"
    config = config_without(study, kl_penalty=None)
    elsewhere = tmp_path / "elsewhere"
    shutil.move(results / "ppo", elsewhere)
    (results / "ppo").symlink_to(elsewhere)
    count = sum(path.is_file() for path in elsewhere.rglob("*"))
    code, text = overopt(study, "orphans", "--configfile", config, "--remove")
    assert code == 1
    assert "lies outside of results/test; nothing was removed" in text
    assert sum(path.is_file() for path in elsewhere.rglob("*")) == count


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--configfile", "nothing.yaml"], "error: nothing.yaml: no config that can be read"),
        (["--configfile", "broken.yaml"], "error: broken.yaml is not YAML: "),
        (["--configfile", "list.yaml"], "error: list.yaml: the config is no mapping"),
        ([], "error: results/default: no such folder; nothing of this study has been made yet"),
    ],
)
def test_a_config_that_does_not_do_is_told(study, arguments, message):
    (study / "broken.yaml").write_text("a: [")
    (study / "list.yaml").write_text("[1]")
    code, text = overopt(study, "orphans", *arguments)
    assert code == 1
    assert message in text
    assert "Traceback" not in text


# Compare.


def test_a_study_equals_its_copy_and_an_edit_is_found(finished_study, study):
    first, second = (str(folder / "results/test") for folder in (finished_study, study))
    code, text = overopt(study, "diff", first, second)
    assert code == 0
    assert text.endswith(" results are the same, byte by byte.\n")
    flip(study / "results/test/claims.csv", 100)
    code, text = overopt(study, "diff", first, second)
    assert code == 3
    assert "1. Edited: in " in text
    assert "claims.csv" in text
