"""A new axis of the grid is one field of `config/cells.py`: nothing else knows of it or changes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
AXIS = "smoothing"
FIELD = f'''
    {AXIS}: Annotated[
        NonNegativeInt,
        Axis("smoothing-{{}}", "smoothing", sweep="{AXIS}", text="Made up.", is_optional=True),
    ] = 0
    seed: Annotated[NonNegativeInt, Axis("seed-{{}}"'''
BEFORE = '\n    seed: Annotated[NonNegativeInt, Axis("seed-{}"'


def run(source: Path, folder: Path, *arguments: str) -> Path:
    """Tables and figures by the package in `source`."""
    folder.mkdir()
    path = os.pathsep.join([str(source), str(ROOT / "tests" / "examples")])
    trial = str(ROOT / "tests" / "examples" / "axis_trial.py")
    subprocess.run(
        [sys.executable, trial, str(folder), *arguments],
        env=os.environ | {"PYTHONPATH": path},
        check=True,
    )
    return folder


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Results of today's package, and of one with a made-up axis, which two sizes vary."""
    folder = tmp_path_factory.mktemp("axis")
    shutil.copytree(ROOT / "src", folder / "src")
    cells = folder / "src" / "overopt" / "config" / "cells.py"
    text = cells.read_text(encoding="utf-8")
    assert text.count(BEFORE) == 1
    cells.write_text(text.replace(BEFORE, FIELD), encoding="utf-8")
    today = run(ROOT / "src", folder / "today")
    return today, run(folder / "src", folder / "with_axis", AXIS, "2", "s4", "s7")


@pytest.mark.slow
def test_cells_of_a_new_axis_enter_no_other_row(trials: tuple[Path, Path]) -> None:
    today, with_axis = trials
    names = sorted(path.name for path in today.glob("*.csv"))
    assert "claims.csv" in names and len(names) == 10
    with_new_rows = set()
    for name in names:
        expected, found = pd.read_csv(today / name), pd.read_csv(with_axis / name)
        if AXIS in found:
            if (found[AXIS] != 0).any():
                with_new_rows.add(name)
            found = found[found[AXIS].isin([0]) | found[AXIS].isna()].drop(columns=AXIS)
        pd.testing.assert_frame_equal(
            found.reset_index(drop=True), expected, check_exact=True, check_dtype=False, obj=name
        )
    assert with_new_rows >= {"coefficients.csv", "peaks.csv", "binned_curves.csv"}


@pytest.mark.slow
def test_figures_are_the_same_to_the_byte(trials: tuple[Path, Path]) -> None:
    today, with_axis = trials
    pictures = sorted(path.name for path in today.iterdir() if path.suffix in (".png", ".svg"))
    assert len(pictures) == 12
    changed = [n for n in pictures if (today / n).read_bytes() != (with_axis / n).read_bytes()]
    assert changed == []


def test_paths_and_seeds_of_results_leave_it_out(tmp_path: Path) -> None:
    """Results that were made before keep their names and numbers."""
    shutil.copytree(ROOT / "src", tmp_path / "src")
    cells = tmp_path / "src" / "overopt" / "config" / "cells.py"
    cells.write_text(cells.read_text(encoding="utf-8").replace(BEFORE, FIELD), encoding="utf-8")
    code = (
        "from overopt.config.cells import ProxyRM, Run\n"
        "rm = ProxyRM(proxy_size='s1', num_comparisons=10, seed=3{})\n"
        "run = Run(method='ppo', policy_size='small', proxy_rm=rm)\n"
        "print(run.folder, run.seed_key)"
    )

    def printed(source: Path, extra: str) -> str:
        command = [sys.executable, "-c", code.format(extra)]
        return subprocess.run(
            command,
            env=os.environ | {"PYTHONPATH": str(source)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert printed(tmp_path / "src", "") == printed(ROOT / "src", "")
    assert "smoothing-2/seed-3" in printed(tmp_path / "src", ", smoothing=2")
