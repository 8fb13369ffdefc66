"""Killed again and again, a study ends with the same bytes; `survival.py` does it at length."""

import random
from pathlib import Path

import pytest

from survival import KINDS, Study, differences, kill_and_restart
from workflow_example import copy_of_repository

pytestmark = pytest.mark.slow


def test_a_study_killed_in_every_way_on_one_core_gives_the_bytes_of_two(
    finished_study: Path, tmp_path: Path
) -> None:
    """Neither kills nor the number of cores change a result."""
    folder = copy_of_repository(tmp_path / "killed")
    rng = random.Random(7)
    kinds = rng.sample(KINDS, len(KINDS))
    deaths = kill_and_restart(Study(folder, cores=1), kinds, rng, longest=6.0)
    assert [death.kind for death in deaths] == kinds
    for death in deaths:
        if death.kind in ("Ctrl-C", "one job"):
            assert "Run the same command again to go on; finished jobs are kept." in death.output
        if death.kind == "one job":
            assert "FAILED" in death.output
            assert "log: results/test/logs/" in death.output
        assert "Traceback" not in death.output
    assert differences(finished_study, folder) == []
    assert list(folder.rglob("*unfinished*")) == []
