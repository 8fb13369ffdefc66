"""Jobs of several processes (`accelerate launch`, gloo): what one process gives, they give too."""

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from overopt.config.compute import ComputeConfig, launcher
from overopt.jobs.outputs import STATE_FILE
from process_examples import EXAMPLES

ROOT = Path(__file__).resolve().parents[3]
TWO = ComputeConfig(num_processes=2)
COLUMNS = ("prompt", "response")


def launch(
    compute: ComputeConfig,
    *arguments: object,
    meanwhile: Callable[[subprocess.Popen[str]], None] = lambda process: None,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run a script as a rule does."""
    command = [*shlex.split(launcher(compute)), *map(str, arguments)]
    source = {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", **environment}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | source,
    )
    meanwhile(process)
    stdout, stderr = process.communicate(timeout=120)
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


@pytest.fixture(scope="module")
def of_two_processes(tmp_path_factory) -> dict[str, list[float]]:
    result = tmp_path_factory.mktemp("several") / "losses.json"
    done = launch(TWO, ROOT / "tests" / "examples" / "process_examples.py", result)
    assert done.returncode == 0, done.stderr
    losses = json.loads(result.read_text())
    assert losses.pop("num_processes") == 2
    return losses


@pytest.mark.parametrize("name", EXAMPLES)
def test_two_processes_give_the_losses_of_one(name, of_two_processes):
    expected = EXAMPLES[name]()
    assert len(expected) >= 10
    if name != "ppo":
        assert expected[-1] < expected[0]
    np.testing.assert_allclose(of_two_processes[name], expected, atol=1e-4, rtol=0)
    assert of_two_processes[name] != expected  # they did share the rows


# Whole jobs, through their scripts


@pytest.fixture(scope="module")
def train(tmp_path_factory, tokenizer_dir):
    """Run the script that trains a language model, as the rule does; the process, its folder."""
    root = tmp_path_factory.mktemp("jobs")
    words, rng = np.array(list("abcdefgh")), np.random.default_rng(0)
    rows = [
        {name: " ".join(words[rng.integers(0, 8, rng.integers(1, 5))]) for name in COLUMNS}
        for _ in range(60)
    ]
    pd.DataFrame(rows).to_parquet(root / "demonstrations.parquet")

    def train(compute: ComputeConfig, folder: str, batch_size: int = 8, **options_of_launch):
        settings = {
            "shape": {"hidden_size": 8, "num_layers": 1, "num_heads": 2},
            "optimization": {"learning_rate": 1e-3, "batch_size": batch_size, "num_epochs": 40},
            "text": {"max_prompt_tokens": 6, "max_response_tokens": 6},
            "seed": 0,
        }
        out = root / folder
        options = ["--config", json.dumps(settings)]
        options += ["--demonstrations", root / "demonstrations.parquet"]
        options += ["--start", tokenizer_dir / "tokenizer.json"]
        options += ["--model", out / "model.safetensors", "--record", out / "run_record.json"]
        script = ROOT / "workflow" / "scripts" / "train_language_model.py"
        return launch(compute, script, *options, **options_of_launch), out

    return train


@pytest.fixture(scope="module")
def of_two(train):
    """A job of two processes that ran to its end."""
    done, folder = train(TWO, "two")
    assert done.returncode == 0, done.stderr
    return done, folder


@pytest.mark.slow
def test_a_job_of_two_processes_writes_what_a_job_of_one_writes(train, of_two):
    (one, alone), (two, together) = train(ComputeConfig(), "one"), of_two
    assert one.returncode == 0, one.stderr
    assert two.stdout.count("\n") == one.stdout.count("\n")  # the main process alone logs
    names = {path.name for path in alone.iterdir()}
    assert {path.name for path in together.iterdir()} == names
    assert not any(name.startswith(".unfinished") for name in names)
    records = [json.loads((folder / "run_record.json").read_text()) for folder in (alone, together)]
    assert [record["num_processes"] for record in records] == [1, 2]
    assert records[0]["code"] == records[1]["code"]
    outputs = [{Path(path).name for path in record["outputs"]} for record in records]
    assert outputs[0] == outputs[1] == names - {"run_record.json"}
    # Not the weights: Adam makes full steps of a gradient that is zero but for rounding.
    metrics = [json.loads((folder / "metrics.json").read_text()) for folder in (alone, together)]
    assert metrics[1] == pytest.approx(metrics[0], abs=1e-4)


@pytest.mark.slow
def test_a_killed_job_of_two_processes_goes_on_to_the_same_bytes(train, of_two):
    _, whole = of_two
    state = whole.parent / "resumed" / ".unfinished-train_language_model" / STATE_FILE

    def kill_when_saved(process: subprocess.Popen[str]) -> None:
        while not state.exists() and process.poll() is None:
            time.sleep(0.01)
        process.terminate()

    saving = {"OVEROPT_SECONDS_BETWEEN_SAVES": "0"}
    killed, resumed = train(TWO, "resumed", meanwhile=kill_when_saved, **saving)
    assert killed.returncode != 0
    assert state.exists()
    assert not (resumed / "model.safetensors").exists()
    done, _ = train(TWO, "resumed")
    assert done.returncode == 0, done.stderr
    assert "resumed after step" in done.stdout
    model = "model.safetensors"
    assert (resumed / model).read_bytes() == (whole / model).read_bytes()
    assert not state.exists()


@pytest.mark.slow
def test_a_mistake_ends_all_processes_and_is_told(train):
    done, folder = train(TWO, "mistake", batch_size=1)
    assert done.returncode != 0
    message = "a batch of 1 cannot be shared by 2 processes (compute.num_processes)"
    assert f"of 2: error: {message}" in done.stderr
    assert message in done.stderr.split("Root Cause")[1]  # the launcher has the last word
    assert not (folder / "run_record.json").exists()
