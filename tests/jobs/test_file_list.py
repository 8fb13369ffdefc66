"""Command lines that name their files by a list."""

import subprocess
from pathlib import Path

import pytest

from overopt.errors import UserError
from overopt.jobs.file_list import FileList, with_listed_files


def test_a_list_stands_for_its_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = str(FileList(lambda: ["a b/c.parquet", "d.parquet"]))
    assert with_listed_files(["--config", "{}", "--curve", name, "--record", "r"]) == [
        *("--config", "{}", "--curve", "a b/c.parquet", "--curve", "d.parquet", "--record", "r")
    ]


def test_an_empty_list_leaves_its_option_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert with_listed_files(["--deep-curve", str(FileList(list)), "--record", "r"]) == [
        *("--record", "r")
    ]


def test_equal_lists_share_a_file_and_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(FileList(lambda: ["a"])) == str(FileList(lambda: ["a"]))
    assert str(FileList(lambda: ["a"])) != str(FileList(lambda: ["b"]))


def test_a_list_that_is_gone_is_named() -> None:
    with pytest.raises(UserError, match="--curve @gone: no list of files"):
        with_listed_files(["--curve", "@gone"])


def test_ten_thousand_paths_fit_only_by_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = [f"results/study/best_of_n/small/s1/{number:080}/curve" for number in range(10_000)]
    with pytest.raises(OSError, match="Argument list too long"):
        subprocess.run(["bash", "-c", "true " + " ".join(paths)], check=False)
    command = f"true --curve {FileList(lambda: paths)}"
    assert subprocess.run(["bash", "-c", command], check=False).returncode == 0
    assert len(with_listed_files(command.split()[1:])) == 20_000
