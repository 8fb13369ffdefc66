"""Data sets of the hub: found, read, refused in words, written as the user's files, and rerun."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import pandas as pd
import pytest
import yaml

from overopt.audit.dvc_stages import study_stages
from overopt.config.hub import HubSettings
from overopt.data.hub.local_files import MAX_FILES, files_of
from overopt.data.hub.prepare import prepare_hub_data
from overopt.data.jsonl import read_comparisons, read_demonstrations
from overopt.errors import UserError
from overopt.jobs.job import Job
from overopt.study import job_settings
from overopt.study.plan.cost import Cell
from overopt.study.plan.declared import declared
from overopt.study.study import Study, read_study
from workflow_example import ROOT, copy_of_repository, environment, snakemake

COMMIT = "09be8c5bbc57cb3887f3a9732ad6aa7ec602a1fa"
ROWS = [
    {"prompt": f"what is {i}?", "chosen": f"number {i}", "rejected": f"word {i}"} for i in range(30)
]
Prepare = Callable[..., tuple[pd.DataFrame, pd.DataFrame]]


@pytest.fixture(autouse=True)
def _library_as_it_was() -> Iterator[None]:
    """The job quiets `datasets`; the other tests want it as it was."""
    verbosity = datasets.utils.logging.get_verbosity()
    yield
    datasets.utils.logging.set_verbosity(verbosity)
    datasets.enable_progress_bars()


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_parquet(path)
    return path


def write_card(folder: Path, configs: dict[str, dict[str, str]]) -> None:
    listed = [
        {
            "config_name": name,
            "data_files": [{"split": split, "path": path} for split, path in files.items()],
        }
        for name, files in configs.items()
    ]
    text = yaml.safe_dump({"license": "mit", "configs": listed})
    (folder / "README.md").write_text(f"---\n{text}---\n# A data set\n")


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """Run the job; what the rules of human files then read."""

    def run(
        comparisons: dict[str, Any], demonstrations: dict[str, Any] | None = None, **settings: Any
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        written = tmp_path / "comparisons.jsonl", tmp_path / "demonstrations.jsonl"
        given = {"comparisons": comparisons, "demonstrations": demonstrations}
        given |= {"max_prompt_characters": None, "seed": 1} | settings
        prepare_hub_data(Job(""), HubSettings.model_validate(given), *written)
        return read_comparisons(written[0]), read_demonstrations(written[1])

    return run


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    return table.to_dict("records")


# The layouts of the hub.


def test_a_folder_of_json_lines(tmp_path: Path, prepare: Prepare) -> None:
    write_jsonl(tmp_path / "set/train.jsonl", ROWS)
    comparisons, demonstrations = prepare({"dataset": str(tmp_path / "set")})
    assert rows_of(comparisons) == ROWS
    chosen = [{"prompt": row["prompt"], "response": row["chosen"]} for row in ROWS]
    assert rows_of(demonstrations) == chosen


def test_a_response_that_was_chosen_twice_is_one_demonstration(
    tmp_path: Path, prepare: Prepare
) -> None:
    other = {**ROWS[0], "rejected": "nothing"}
    write_jsonl(tmp_path / "set/train.jsonl", [ROWS[0], other, ROWS[1]])
    comparisons, demonstrations = prepare({"dataset": str(tmp_path / "set")})
    assert (len(comparisons), len(demonstrations)) == (3, 2)


def test_the_layout_of_hh_rlhf(tmp_path: Path, prepare: Prepare) -> None:
    folder = tmp_path / "hh-rlhf"
    for part in ("harmless-base", "helpful-base"):
        for split in ("train", "test"):
            asked = f"\n\nHuman: {part} {split}?\n\nAssistant:"
            row = {"chosen": f"{asked} yes", "rejected": f"{asked} no"}
            write_jsonl(folder / part / f"{split}.jsonl.gz", [row])
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# HH\n")
    whole = {"dataset": str(folder), "reader": "hh_rlhf"}
    assert len(prepare(whole)[0]) == 2
    (row,) = rows_of(prepare(whole | {"data_dir": "helpful-base", "split": "test"})[0])
    assert row == {
        "prompt": "\n\nHuman: helpful-base test?\n\nAssistant:",
        "chosen": " yes",
        "rejected": " no",
    }


def test_the_layout_of_ultrafeedback_binarized(tmp_path: Path, prepare: Prepare) -> None:
    folder = tmp_path / "ultrafeedback_binarized"
    messages = [[{"content": f"{i}?", "role": "user"}] for i in range(4)]
    answers = [[{"content": word, "role": "assistant"}] for word in ("yes", "no")]
    rows = [
        {
            "prompt": f"{i}?",
            "prompt_id": str(i),
            "chosen": asked + answers[0],
            "rejected": asked + answers[1],
            "messages": asked + answers[i % 2],
            "score_chosen": 8.0,
            "score_rejected": 8.0 if i == 3 else 5.0,
        }
        for i, asked in enumerate(messages)
    ]
    files = {}
    for split in ("train_prefs", "train_sft"):
        write_parquet(folder / f"data/{split}-00000-of-00001.parquet", rows)
        files[split] = f"data/{split}-*"
    write_card(folder, {"default": files})
    source = {"dataset": str(folder), "reader": "ultrafeedback_binarized"}
    comparisons, demonstrations = prepare(
        source | {"split": "train_prefs"}, {"dataset": str(folder), "split": "train_sft"}
    )
    assert comparisons["prompt"].tolist() == [f"\n\nHuman: {i}?\n\nAssistant:" for i in range(3)]
    assert comparisons["chosen"].tolist() == [" yes"] * 3
    assert demonstrations["response"].tolist() == [" yes", " no", " yes", " no"]


def test_the_layout_of_summarize_from_feedback_as_parquet(tmp_path: Path, prepare: Prepare) -> None:
    folder = tmp_path / "summarize_from_feedback"
    info = {"id": "t3", "post": "It rains.", "title": "Rain", "subreddit": "sky"}
    info |= {"site": None, "article": None}
    texts = [{"text": t, "policy": "p", "note": None} for t in (" One.", " Two.")]
    row = {"info": info, "summaries": texts, "worker": "w", "batch": "b", "split": "train"}
    rows = [row | {"choice": choice, "extra": {"confidence": 1}} for choice in (0, 1)]
    write_parquet(folder / "comparisons/train/0000.parquet", rows)
    write_parquet(folder / "axis/test/0000.parquet", [{"other": 1}])
    name = {"reader": "summarize_from_feedback"}
    comparisons, _ = prepare({"dataset": str(folder), "data_dir": "comparisons", **name})
    assert comparisons["chosen"].tolist() == [" One.", " Two."]
    assert comparisons["prompt"].nunique() == 1


def test_a_subset_by_its_name(tmp_path: Path, prepare: Prepare) -> None:
    folder = tmp_path / "set"
    write_jsonl(folder / "a.jsonl", ROWS[:2])
    write_jsonl(folder / "b.jsonl", ROWS[2:5])
    write_card(folder, {"one": {"train": "a.jsonl"}, "two": {"train": "b.jsonl"}})
    assert rows_of(prepare({"dataset": str(folder), "subset": "two"})[0]) == ROWS[2:5]


def test_a_data_set_in_the_cache_of_the_hub_needs_no_network(
    tmp_path: Path, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    for commit, rows in ((COMMIT, ROWS), ("0" * 40, ROWS[:1])):
        write_jsonl(cache / f"datasets--some--set/snapshots/{commit}/train.jsonl", rows)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert len(prepare({"dataset": "some/set", "revision": COMMIT})[0]) == 30
    with pytest.raises(UserError, match="is not in the hub's cache"):
        prepare({"dataset": "some/set", "revision": "1" * 40})


def test_nothing_is_left_in_a_cache(
    tmp_path: Path, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    file = write_jsonl(tmp_path / "set/train.jsonl", ROWS)
    before = os.stat(file)
    prepare({"dataset": str(tmp_path / "set")})
    write_jsonl(file, ROWS[::-1])  # as long, and with the same time
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert rows_of(prepare({"dataset": str(tmp_path / "set")})[0]) == ROWS[::-1]
    assert not (tmp_path / "cache").exists()


# Rows that are left out.


def test_every_row_that_is_dropped_is_told(
    tmp_path: Path, prepare: Prepare, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [dict(row) for row in ROWS]
    rows[3]["chosen"] = rows[3]["rejected"]
    rows[5]["rejected"] = " "
    rows[7]["prompt"] = "x" * 101
    rows[9]["rejected"] = ""
    write_jsonl(tmp_path / "set/train.jsonl", rows)
    comparisons, _ = prepare({"dataset": str(tmp_path / "set")}, max_prompt_characters=100)
    assert rows_of(comparisons) == [r for i, r in enumerate(ROWS) if i not in (3, 5, 7, 9)]
    assert capsys.readouterr().out.splitlines()[1:5] == [
        "  30 rows, 26 of them can be used",
        "  2 dropped, rejected is empty: row 5, 9",
        "  1 dropped, without a preference: row 3",
        "  1 dropped, a prompt longer than data.max_prompt_characters: row 7",
    ]


def test_more_than_a_tenth_unusable_is_refused(tmp_path: Path, prepare: Prepare) -> None:
    rows = [{**row, "chosen": " "} if i < 4 else row for i, row in enumerate(ROWS)]
    write_jsonl(tmp_path / "set/train.jsonl", rows)
    with pytest.raises(UserError, match=r"4 of 30 rows cannot be used.*\n.*: row 0, 1, 2, 3$"):
        prepare({"dataset": str(tmp_path / "set")})


def test_nothing_but_ties_is_refused(tmp_path: Path, prepare: Prepare) -> None:
    rows = [{**row, "chosen": "a", "rejected": "a"} for row in ROWS]
    write_jsonl(tmp_path / "set/train.jsonl", rows)
    with pytest.raises(UserError, match="0 are left"):
        prepare({"dataset": str(tmp_path / "set")})


def test_a_random_subset_depends_on_no_order(tmp_path: Path, prepare: Prepare) -> None:
    def kept(rows: list[dict[str, Any]], max_rows: int, seed: int = 1) -> set[str]:
        write_jsonl(tmp_path / "set/train.jsonl", rows)
        source = {"dataset": str(tmp_path / "set"), "max_rows": max_rows}
        comparisons, demonstrations = prepare(source, seed=seed)
        assert len(comparisons) == len(demonstrations) == max_rows
        return set(comparisons["prompt"])

    ten = kept(ROWS, 10)
    assert kept(ROWS[::-1], 10) == ten
    assert kept(ROWS, 4) < ten
    assert kept(ROWS, 10, seed=2) != ten
    assert kept(ROWS, 30) == {row["prompt"] for row in ROWS}


def test_a_subset_keeps_the_order_of_the_rows(tmp_path: Path, prepare: Prepare) -> None:
    write_jsonl(tmp_path / "set/train.jsonl", ROWS)
    comparisons, _ = prepare({"dataset": str(tmp_path / "set"), "max_rows": 10})
    assert rows_of(comparisons) == [row for row in ROWS if row in rows_of(comparisons)]


# Data sets that cannot be read.


def two_subsets(folder: Path) -> None:
    write_jsonl(folder / "a.jsonl", ROWS)
    write_card(folder, {"one": {"train": "a.jsonl"}, "two": {"train": "a.jsonl"}})


def script(folder: Path) -> None:
    (folder / "set.py").write_text("raise SystemExit('pwned')")


def broken_parquet(folder: Path) -> None:
    (folder / "train.parquet").write_text("no Parquet")


def broken_json(folder: Path) -> None:
    (folder / "train.jsonl").write_text(
        '{"prompt": "a", "chosen": "b", "rejected": "c"}\nno json\n'
    )


def cut_gzip(folder: Path) -> None:
    file = write_jsonl(folder / "train.jsonl.gz", ROWS)
    file.write_bytes(file.read_bytes()[:-30])


def other_columns(folder: Path) -> None:
    write_jsonl(folder / "train.jsonl", [{"question": "a", "chosen": "b"}])


def mixed_columns(folder: Path) -> None:
    write_jsonl(folder / "train-1.jsonl", ROWS)
    write_jsonl(folder / "train-2.jsonl", [{"other": "a"}])


def elsewhere(folder: Path) -> None:
    outside = write_jsonl(folder.parent / "outside.jsonl", ROWS)
    write_card(folder, {"one": {"train": str(outside)}})


def broken_card(folder: Path) -> None:
    write_jsonl(folder / "train.jsonl", ROWS)
    (folder / "README.md").write_text("---\nconfigs: [\n---\n")


def missing_files(folder: Path) -> None:
    write_card(folder, {"one": {"train": "data/train-*"}})


def plain_text(folder: Path) -> None:
    (folder / "train.txt").write_text("hello\n")


@pytest.mark.parametrize(
    ("write", "source", "words"),
    [
        (two_subsets, {}, "has several subsets; name one of one, two as subset"),
        (two_subsets, {"subset": "three"}, "no subset 'three'; name one of one, two as subset"),
        (two_subsets, {"subset": "one", "split": "test"}, "no split 'test'; name one of train as"),
        (two_subsets, {"data_dir": "nowhere"}, "has no folder 'nowhere'; correct data_dir"),
        (script, {}, r"is made by a script \(set.py\), and code of others does not run here"),
        (broken_parquet, {}, "train.parquet should be a file of Parquet or Arrow, and is neither"),
        (cut_gzip, {}, r"cannot be read \(EOFError"),
        (other_columns, {}, "has no column rejected, which the reader standard needs; it has"),
        (elsewhere, {}, "its card names data from elsewhere"),
        (broken_card, {}, r"cannot be read \(ParserError"),
        (missing_files, {}, r"holds no data \(No \(supported\) data files found"),
        (plain_text, {}, "holds files of another kind; expected Parquet"),
    ],
)
def test_a_data_set_that_cannot_be_read_is_told_in_one_sentence(
    write: Callable[[Path], None],
    source: dict[str, str],
    words: str,
    tmp_path: Path,
    prepare: Prepare,
) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    write(folder)
    with pytest.raises(UserError, match=words) as caught:
        prepare({"dataset": str(folder), **source})
    assert str(caught.value).startswith(f"data.comparisons: {folder}: ")
    assert "\n" not in str(caught.value)


def test_demonstrations_with_other_columns_are_refused(tmp_path: Path, prepare: Prepare) -> None:
    write_jsonl(tmp_path / "set/train.jsonl", ROWS)
    source = {"dataset": str(tmp_path / "set")}
    with pytest.raises(UserError, match=r"data.demonstrations: .*columns prompt, chosen, rejected"):
        prepare(source, source)


# The hub itself. Its errors are the library's own, raised where it is called.


def http_error(name: str, status: int) -> Exception:
    import httpx2

    request = httpx2.Request("GET", "https://huggingface.co/api/datasets/some/set")
    response = httpx2.Response(status, request=request)
    return getattr(huggingface_hub.errors, name)("a long text", response=response)


def unreachable() -> Exception:
    error = huggingface_hub.errors.LocalEntryNotFoundError("a long text")
    error.__cause__ = OSError("Name or service not known")
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (http_error("GatedRepoError", 403), r"is gated; accept its terms at .*`hf auth login`"),
        (http_error("RepositoryNotFoundError", 401), "the hub has no data set of this name, or it"),
        (http_error("RevisionNotFoundError", 404), f"has no revision {COMMIT}; take a commit"),
        (unreachable(), r"cannot be reached \(Name or service not known\).*`hf download some/set"),
        (huggingface_hub.errors.OfflineModeIsEnabled("offline"), "cannot be reached.*hf download"),
        (http_error("HfHubHTTPError", 503), "cannot be fetched.*Try again later, or run `hf down"),
        (huggingface_hub.errors.HFValidationError("Repo id"), "the hub has no data set of this"),
        (OSError(28, "No space left on device"), "cannot be fetched .*No space left on device"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_the_hub_refuses_is_told_with_what_to_do(
    error: Exception, words: str, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(UserError, match=words) as caught:
        prepare({"dataset": "some/set", "revision": COMMIT})
    assert str(caught.value).startswith("data.comparisons: some/set: ")
    assert "\n" not in str(caught.value)


def test_only_the_folder_that_is_read_is_fetched(
    tmp_path: Path, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jsonl(tmp_path / "snapshot/part/train.jsonl", ROWS)
    calls: list[dict[str, object]] = []

    def fetch(name: str, **arguments: object) -> str:
        calls.append({"name": name, **arguments})
        return str(tmp_path / "snapshot")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    source = {"dataset": "some/set", "revision": COMMIT}
    assert len(prepare({**source, "data_dir": "part"})[0]) == 30
    prepare(source)
    fetched = {"name": "some/set", "repo_type": "dataset", "revision": COMMIT}
    patterns = ["part/**", "README.md", ".huggingface.yaml"]
    assert calls == [{**fetched, "allow_patterns": p} for p in (patterns, None)]


def test_a_script_on_the_hub_is_refused(
    tmp_path: Path, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jsonl(tmp_path / "snapshot/train.jsonl", ROWS)
    (tmp_path / "snapshot/set.py").touch()
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path / "snapshot")
    )
    with pytest.raises(UserError, match="made by a script .*refs/convert/parquet"):
        prepare({"dataset": "some/set", "revision": COMMIT})


def test_without_network_the_job_says_what_to_do(tmp_path: Path) -> None:
    settings = HubSettings.model_validate(
        {"comparisons": {"dataset": "some/set", "revision": COMMIT}, "demonstrations": None}
        | {"max_prompt_characters": None, "seed": 0}
    )
    script = [sys.executable, str(ROOT / "workflow/scripts/hub_data.py")]
    outputs = ["--comparisons", "c.jsonl", "--demonstrations", "d.jsonl", "--record", "record.json"]
    done = subprocess.run(
        [*script, "--config", settings.model_dump_json(), *outputs],
        cwd=tmp_path,
        env=environment(ROOT) | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "empty")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: data.comparisons: some/set: is not in the hub's cache")
    assert "cannot be reached (HF_HUB_OFFLINE is set)" in done.stderr
    assert f"--revision {COMMIT} --local-dir FOLDER" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "c.jsonl").exists()


# The config.


def study_of(tmp_path: Path, **data: Any) -> Study:
    config = yaml.safe_load((ROOT / "config/human.yaml").read_text())
    return read_study(config | {"data": {"source": "hub", **data}})


def faults_of(**data: Any) -> list[str]:
    with pytest.raises(UserError) as caught:
        study_of(Path(), **data)
    return [line.removeprefix("  - ") for line in str(caught.value).splitlines()[1:]]


def test_settings_hold_the_revision_and_the_defaults(tmp_path: Path) -> None:
    study = study_of(tmp_path, comparisons={"dataset": "Anthropic/hh-rlhf", "revision": COMMIT})
    assert study.source.is_fetched and not study.source.is_generated
    settings = job_settings.hub_settings(study)
    assert settings.comparisons.revision == COMMIT
    assert settings.comparisons.split == "train"
    assert settings.demonstrations is None
    assert job_settings.file_settings(study).model_dump()["vocabulary_size"] == 4096


def test_all_faults_of_the_section_are_told_together() -> None:
    assert faults_of(
        comparisons={"dataset": "some/set"},
        demonstrations={"dataset": "no set", "revision": COMMIT},
        vocabulary_size=100,
    ) == [
        "data.comparisons.revision: missing; some/set of the hub needs the commit that is meant: "
        "take it from https://huggingface.co/datasets/some/set/commits/main (there is no local "
        "folder of this name either)",
        "data.demonstrations.dataset: 'no set' is no repository of the hub; write OWNER/NAME, or "
        "leave revision out to read a local folder",
        "data.vocabulary_size: 100 is too small; byte-level BPE needs 256 bytes and 3 special "
        "tokens, so give at least 259",
    ]


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (
            {"dataset": "some/set", "revision": "main"},
            "data.comparisons.revision: found 'main'; expected a commit of 40 hexadecimal digits "
            "(a branch or a tag can move)",
        ),
        ({"dataset": "/no/where"}, "data.comparisons.dataset: '/no/where' is no folder; give OWN"),
        ({"dataset": ""}, "data.comparisons.dataset: '' is no folder; give OWNER/NAME of the hub"),
        (
            {"dataset": "some/set", "revision": COMMIT, "data_dir": "../other"},
            "data.comparisons.data_dir: '../other' leads out of the data set; name a folder inside",
        ),
        (
            {"dataset": "some/set", "revision": COMMIT, "reader": "mine"},
            "data.comparisons.reader: found 'mine'; expected 'standard', 'hh_rlhf', 'summarize_f",
        ),
        (
            {"dataset": "some/set", "revision": COMMIT, "spilt": "test"},
            "data.comparisons.spilt: unknown key; did you mean split?",
        ),
        ({"revision": COMMIT}, "data.comparisons.dataset: missing; add it (Repository of the hub"),
    ],
)
def test_a_fault_of_a_data_set_is_told_with_its_key(source: dict[str, str], fault: str) -> None:
    (found,) = faults_of(comparisons=source)
    assert found.startswith(fault)


def test_faults_of_the_demonstrations_are_told_with_their_key() -> None:
    faults = faults_of(
        comparisons={"dataset": "some/set", "revision": COMMIT},
        demonstrations={"revision": "x", "reader": "standard"},
    )
    assert [fault.split(":")[0] for fault in faults] == [
        "data.demonstrations.dataset",
        "data.demonstrations.revision",
        "data.demonstrations.reader",
    ]


def test_a_folder_is_checked_file_by_file(tmp_path: Path) -> None:
    (empty,) = faults_of(comparisons={"dataset": str(tmp_path)})
    assert empty.endswith("holds no files; give the folder of a data set")
    write_jsonl(tmp_path / "train{x}.jsonl", ROWS)
    (fault,) = faults_of(comparisons={"dataset": str(tmp_path)})
    assert "train{x}.jsonl' holds { and }, which Snakemake would replace" in fault


def test_too_many_files_are_no_data_set(tmp_path: Path) -> None:
    for number in range(MAX_FILES + 1):
        (tmp_path / f"{number}.txt").touch()
    (fault,) = faults_of(comparisons={"dataset": str(tmp_path)})
    assert "holds more than 10,000 files; give the folder of one data set" in fault


def test_the_files_of_a_folder_are_its_card_and_its_data(tmp_path: Path) -> None:
    for name in ("README.md", "a/train.jsonl", "b/train.jsonl", ".git/HEAD", "a/.cache/x", "c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    whole = ["README.md", "a/train.jsonl", "b/train.jsonl", "c.txt"]
    assert files_of(str(tmp_path), None) == [str(tmp_path / name) for name in whole]
    assert files_of(str(tmp_path), "b") == [str(tmp_path / name) for name in (whole[0], whole[2])]


def megabytes(study: Study, rule: str) -> int:
    return declared(study, rule, Cell()).memory_mb


def test_memory_is_estimated_before_the_data_is_read_and_known_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "set/train.jsonl", ROWS * 10_000)
    of_hub = study_of(tmp_path, comparisons={"dataset": "some/set", "revision": COMMIT})
    of_folder = study_of(tmp_path, comparisons={"dataset": str(tmp_path / "set")})
    before = [megabytes(study, "demonstrations") for study in (of_hub, of_folder)]
    assert before[0] > before[1] > megabytes(of_folder, "hub_data") > 350
    for name in ("comparisons", "demonstrations"):
        write_jsonl(tmp_path / f"results/human/data/hub/{name}.jsonl", ROWS)
    after = [megabytes(study, "demonstrations") for study in (of_hub, of_folder)]
    assert after[0] == after[1] == megabytes(of_hub, "human_comparisons") < before[1]


def test_dvc_keeps_what_was_read_and_depends_on_the_folder(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "set/train.jsonl", ROWS)
    folder = {"dataset": str(tmp_path / "set")}
    hub = {"dataset": "some/set", "revision": COMMIT}
    data, *_ = study_stages(study_of(tmp_path, comparisons=hub, demonstrations=folder))
    assert data.sources == [str(tmp_path / "set")]
    assert "data/hub" in data.outs


# The workflow.


@pytest.mark.slow
def test_a_data_set_of_the_hub_enters_the_workflow_by_config_alone(tmp_path: Path) -> None:
    folder = copy_of_repository(tmp_path / "study")
    source = tmp_path / 'it\'s $(touch pwned) "a"; data set'
    rows = [row | {"prompt": f"{row['prompt']} {i}"} for i in range(5) for row in ROWS]
    data = write_parquet(source / "data/train-00000-of-00001.parquet", rows)
    config = yaml.safe_load((ROOT / "config/human.yaml").read_text())
    hub = {"source": "hub", "comparisons": {"dataset": str(source)}, "vocabulary_size": 300}
    (folder / "hub.yaml").write_text(yaml.safe_dump(config | {"name": "hub", "data": hub}))
    results = Path("results/hub/data")
    targets = [str(results / name) for name in ("prompts.parquet", "human_comparisons.parquet")]

    def run(*arguments: str) -> str:
        done = snakemake(folder, "--cores", "1", *targets, *arguments, config="hub.yaml")
        return done.stdout + done.stderr

    planned = snakemake(folder, "--dry-run", "all", config="hub.yaml")
    assert "hub_data" in planned.stdout + planned.stderr
    run()
    assert not list(tmp_path.rglob("pwned*"))
    prompts = pd.read_parquet(folder / targets[0])
    judged = pd.read_parquet(folder / targets[1])
    assert len(prompts) == 150
    assert set(judged["prompt"]) <= set(prompts["prompt"])
    record = json.loads((folder / results / "hub/record.json").read_text())
    assert list(record["inputs"]) == [str(data)]

    write_parquet(data, [*rows, {"prompt": "what?", "chosen": "this", "rejected": "that"}])
    run()
    assert len(pd.read_parquet(folder / targets[0])) == 151
    assert "hub_data" not in run("--dry-run")
