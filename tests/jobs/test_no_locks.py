"""A file system without locks, as some mounts of NFS and Lustre: jobs go on without, and say so."""

import errno
import fcntl
from pathlib import Path

import pytest

from overopt.jobs.outputs import Outputs


@pytest.mark.parametrize(
    "number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL], ids=errno.errorcode.get
)
def test_a_file_system_without_locks_is_told_once(
    number: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    outputs = Outputs("fits")
    for name in ("a/table.csv", "b/table.csv"):
        outputs.place(tmp_path / name).write_text("whole")
    assert set(outputs.publish()) == {f"{tmp_path}/{name}/table.csv" for name in "ab"}
    (line,) = capsys.readouterr().out.splitlines()
    assert "keeps no locks (No locks available): going on without" in line
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["table.csv"]


def test_another_fault_of_the_lock_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="Input/output error"):
        Outputs("fits").place(tmp_path / "table.csv")
