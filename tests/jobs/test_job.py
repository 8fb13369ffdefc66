"""The frame around the workflow's scripts: command line, run record, fingerprint, errors."""

import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from overopt.randomness import job_seed, numpy_generator, torch_generator

SCRIPT = """
import errno
import os

from overopt.errors import UserError
from overopt.jobs.job import Input, Inputs, Job, Output, Settings, run


def main(job: Job, config: Settings, source: Input, parts: Inputs, result: Output) -> None:
    if config == "mistake":
        raise UserError("data.comparisons: no such file; correct the path")
    if config == "full":
        raise OSError(errno.ENOSPC, "No space left on device", "some/file")
    if config == "half":
        result.write_text("half a resu")
        os._exit(9)
    if config == "bug":
        raise RuntimeError("a bug")
    texts = [path.read_text() for path in [source, *parts]]
    result.write_text("\\n".join([job.fingerprint, *texts]))


if __name__ == "__main__":
    run(main)
"""


@pytest.fixture
def script(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("source", "first", "second"):
        Path(f"{name}.txt").write_text(name)
    Path("script.py").write_text(SCRIPT)
    return tmp_path / "script.py"


def execute(
    script: Path, config: str = "{}", source: str = "source.txt", parts=("first.txt", "second.txt")
) -> subprocess.CompletedProcess[str]:
    options = ["--config", config, "--source", source, "--result", "result.txt"]
    options += [word for part in parts for word in ("--parts", part)]
    return subprocess.run(
        [sys.executable, script, *options, "--record", "deep/record.json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )


def fingerprint() -> str:
    return Path("result.txt").read_text().splitlines()[0]


def test_a_script_writes_its_outputs_and_a_run_record(script):
    done = execute(script, '{"a": 1}')
    assert (done.returncode, done.stderr) == (0, "")
    assert Path("result.txt").read_text().splitlines()[1:] == ["source", "first", "second"]
    record = json.loads(Path("deep/record.json").read_text())
    assert set(record) == {
        "rule_script",
        "code",
        "config",
        "inputs",
        "outputs",
        "git",
        "versions",
        "device",
        "num_processes",
        "machine",
        "finished",
        "wall_seconds",
        "cpu_seconds",
        "startup_cpu_seconds",
        "peak_memory_mb",
        "sha256",
    }
    assert record["rule_script"] == "script.py"
    assert record["config"] == '{"a": 1}'
    assert len(record["code"]) == 64
    assert record["inputs"] == {
        f"{name}.txt": hashlib.sha256(name.encode()).hexdigest()
        for name in ("source", "first", "second")
    }
    written = Path("result.txt").read_bytes()
    assert record["outputs"] == {"result.txt": hashlib.sha256(written).hexdigest()}
    assert set(record["git"]) == {"commit", "dirty"}
    assert record["versions"]["numpy"] == np.__version__
    assert record["cpu_seconds"] >= record["startup_cpu_seconds"] > 0
    assert record["peak_memory_mb"] > 10
    assert record["finished"].endswith("+00:00")


def test_the_fingerprint_is_of_settings_code_and_input_bytes(script):
    execute(script)
    fingerprints = [fingerprint()]
    # Neither comments nor names of files count.
    script.write_text(SCRIPT.replace("    texts = ", "    # A comment.\n    texts = "))
    Path("source.txt").rename("renamed.txt")
    execute(script, source="renamed.txt")
    assert fingerprint() == fingerprints[0]
    # One byte of an input, the order of inputs, the settings and a statement do.
    Path("first.txt").write_text("First")
    execute(script, source="renamed.txt")
    fingerprints.append(fingerprint())
    execute(script, source="renamed.txt", parts=("second.txt", "first.txt"))
    fingerprints.append(fingerprint())
    execute(script, config="[]", source="renamed.txt")
    fingerprints.append(fingerprint())
    script.write_text(SCRIPT.replace('"bug"', '"fault"'))
    execute(script, source="renamed.txt")
    fingerprints.append(fingerprint())
    assert len(set(fingerprints)) == 5


def test_a_killed_job_leaves_nothing_under_its_outputs_names(script):
    assert execute(script, "half").returncode == 9
    assert not Path("result.txt").exists()
    assert Path(".unfinished-script/result.txt").read_text() == "half a resu"
    Path(".unfinished-script/training_state.safetensors").write_text("kept")
    Path(".unfinished-script/other").mkdir()
    done = execute(script, "bug")
    assert done.returncode == 1
    left = {path.name for path in Path(".unfinished-script").iterdir()}
    assert left == {"training_state.safetensors", "lock"}, "leftovers of an earlier start are gone"
    assert execute(script).returncode == 0
    assert not Path(".unfinished-script").exists()
    assert "source" in Path("result.txt").read_text()


def test_a_second_process_waits_for_the_first(script):
    """As after a Snakemake that was killed outright, whose jobs go on."""
    slow = SCRIPT.replace("    texts = ", "    time.sleep(1.5)\n    texts = ")
    script.write_text(slow.replace("import os\n", "import os\nimport time\n"))
    command = [sys.executable, script, "--config", "{}", "--source", "source.txt"]
    command += ["--parts", "first.txt", "--result", "result.txt", "--record", "record.json"]
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, **pipe) for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    waited = [out for out, _ in outputs if "another process is making" in out]
    assert len(waited) == 1
    assert not Path(".unfinished-script").exists()
    assert Path("result.txt").read_text().endswith("source\nfirst")


def test_an_old_result_stays_whole_until_the_new_one_is(script):
    execute(script, '{"a": 1}')
    before = Path("result.txt").read_bytes()
    execute(script, "half")
    assert Path("result.txt").read_bytes() == before


def test_an_input_that_its_job_did_not_write_so_is_refused(script):
    execute(script)
    Path("deep").rename("analysis")  # a study's records may lie there
    made = Path("result.txt")
    Path("source.txt").write_text("a user's own file may change")
    made.write_bytes(made.read_bytes()[:-1])
    done = execute(script, source="result.txt")
    assert done.returncode == 1
    assert done.stderr == (
        "error: not what the job that made it wrote (edited, cut short or damaged): result.txt. "
        "Remove it, or `dvc checkout --force` it; then run the same command again\n"
    )


def test_a_full_disk_is_told_in_one_line(script):
    done = execute(script, "full")
    assert done.returncode == 1
    assert done.stderr == (
        "error: the disk is full: some/file. Nothing is lost: put it right and run the same "
        "command again\n"
    )


def test_a_users_mistake_is_told_without_a_traceback(script):
    done = execute(script, "mistake")
    assert done.returncode == 1
    assert done.stderr == "error: data.comparisons: no such file; correct the path\n"
    assert not Path("deep/record.json").exists()


def test_a_bug_keeps_its_traceback_and_writes_no_record(script):
    done = execute(script, "bug")
    assert done.returncode == 1
    assert "RuntimeError" in done.stderr
    assert "script.py" in done.stderr
    assert not Path("deep/record.json").exists()


def test_a_missing_input_is_named(script):
    for changes in ({"source": "missing.txt"}, {"parts": ("first.txt", "missing.txt")}):
        done = execute(script, **changes)
        assert done.returncode == 2
        assert "'missing.txt' does not exist" in done.stderr
        assert "Traceback" not in done.stderr


def test_the_seed_of_a_job_is_a_hash_of_its_key():
    expected = int(hashlib.sha256(b"0/ppo/s1").hexdigest()[:12], 16)
    assert job_seed(0, "ppo", "s1") == expected < 2**48
    assert len({job_seed(0, name, index) for name in "abc" for index in range(100)}) == 300


def test_streams_of_a_job_are_repeatable_and_apart():
    draws = [numpy_generator(*key).random(4).tolist() for key in ((0, "a"), (0, "b"), (1, "a"))]
    assert len({tuple(draw) for draw in draws}) == 3
    assert numpy_generator(0, "a").random(4).tolist() == draws[0]
    states = [torch_generator(*key).get_state().tolist() for key in ((0, "a"), (0, "b"), (0, "a"))]
    assert states[0] == states[2] != states[1]


PASSES = """
import resource

import torch

from overopt.jobs.job import Job, Output, run


def faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def main(job: Job, result: Output) -> None:
    new: list[int] = []
    for _ in range(8):
        before = faults()
        tensors = [torch.ones(5_000_000) for _ in range(3)]
        new.append(faults() - before)
        del tensors
    result.write_text(" ".join(map(str, new)))


if __name__ == "__main__":
    run(main)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="an allocator of the GNU C library")
def test_memory_of_one_pass_serves_the_next(tmp_path):
    """60 MB in each of eight passes: after some of them the kernel clears no page anew."""
    script, result = tmp_path / "script.py", tmp_path / "result.txt"
    script.write_text(PASSES)
    command = [sys.executable, script, "--result", result, "--record", tmp_path / "record.json"]
    subprocess.run(command, check=True)
    *_, last = map(int, result.read_text().split())
    assert last < 60e6 / resource.getpagesize() / 10
