"""The benchmark of GPUs, tried on the CPU; where there is a GPU, that it gives the same results."""

import copy
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from accelerate.state import AcceleratorState

from overopt.config.ppo import PPOConfig
from overopt.methods.evaluation import Evaluator
from overopt.methods.ppo.algorithm import PPO
from overopt.methods.rl.loop import STREAMS, RLLoop
from overopt.models.loading import on_device
from overopt.models.tokens import join
from overopt.models.training.state import TrainingState
from overopt.policy.sampling import sample_responses
from overopt.randomness import torch_generator
from overopt.reward_model.scorer import SequenceScorer
from overopt.reward_model.scoring import score_sequences

ROOT = Path(__file__).resolve().parents[2]
GPU = pytest.param(
    "cuda",
    marks=[
        pytest.mark.gpu,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"),
    ],
)
DEVICES = ["cpu", GPU]
"""With "cpu" these tests compare the CPU with itself, which keeps them from rotting."""


@pytest.fixture
def benchmark(monkeypatch):
    """Import a module of benchmarks/."""
    monkeypatch.syspath_prepend(ROOT)
    return lambda name: importlib.import_module(f"benchmarks.{name}")


@pytest.mark.slow
def test_a_quick_run_writes_every_row(tmp_path):
    out = tmp_path / "gpu.md"
    command = [sys.executable, "-m", "benchmarks.gpu", "--out", str(out), "--device", "cpu"]
    subprocess.run([*command, "--quick"], cwd=ROOT, check=True, capture_output=True)
    numbers = json.loads(out.with_suffix(".json").read_text())
    rows = [(row["part"], row["what"]) for row in numbers["rows"]]
    assert len(rows) == len(set((row["part"], row["what"], row["unit"]) for row in numbers["rows"]))
    for row in numbers["rows"]:
        assert row["value"] > 0
        assert row["share"] is None or 0 < row["share"] < 3  # small ones come from the cache
    wanted = {
        "device": ["fp32", "bf16", "memory"],
        "sampler": ["test.yaml small", "test.yaml large", "tiny Pythia", "bf16", "drawn at once"],
        "SFT": ["small, fp32", "large, bf16"],
        "RM training": ["small, fp32", "large, bf16"],
        "scoring": ["small", "large"],
        "PPO": ["sample", "log-prob", "score", "update", "evaluation", "whole", "episodes"],
    }
    assert {part for part, _ in rows} == set(wanted)
    for part, texts in wanted.items():
        for text in texts:
            assert any(part == p and text in what for p, what in rows), (part, text)
    table = out.read_text()
    assert all(f"| {part} | {what} |" in table for part, what in rows)


def test_without_a_gpu_one_sentence_says_so(benchmark, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--out", str(tmp_path / "gpu.md")])
    with pytest.raises(SystemExit, match="No CUDA device here, nothing is measured"):
        benchmark("gpu").main()
    assert not list(tmp_path.iterdir())


def test_a_table_replaces_the_one_before(benchmark, tmp_path):
    gpu, out = benchmark("gpu"), tmp_path / "gpu.md"
    out.write_text(f"Before.\n{gpu.BEGIN}\nold\n{gpu.END}\nAfter.\n")
    rows = [benchmark("gpu_measure").Row("sampler", "small", 1234.0, "tokens/s", 0.25)]
    for _ in range(2):
        gpu.write(out, gpu.as_table(rows, {"device": "X"}), rows, {"device": "X"})
    text = out.read_text()
    assert text.startswith("Before.\n") and text.endswith("\nAfter.\n")
    assert "old" not in text
    assert text.count("| sampler | small | 1,234 | tokens/s | 25.0% |") == 1
    assert json.loads((tmp_path / "gpu.json").read_text())["device"] == "X"


def test_a_file_without_a_place_for_the_table_is_left_alone(benchmark, tmp_path):
    out = tmp_path / "notes.md"
    out.write_text("mine")
    with pytest.raises(SystemExit, match="no lines <!-- measured"):
        benchmark("gpu").write(out, "", [], {})
    assert out.read_text() == "mine"


def write_curve(folder: Path, rng: np.random.Generator, shift: float = 0.0) -> None:
    """A best-of-n curve over 64 prompts whose scores have an error of their own in each run."""
    rows = [
        {"n": n, "prompt_id": prompt, "kl": np.log(n), "proxy_score": 0.1 * n + rng.normal()}
        for n in (1, 2, 4, 8)
        for prompt in range(64)
    ]
    table = pd.DataFrame(rows)
    table["gold_score"] = table["proxy_score"] + rng.normal(size=len(table)) + shift
    path = folder / "best_of_n" / "small" / "s1" / "curve.parquet"
    path.parent.mkdir(parents=True)
    table.to_parquet(path)


def test_curves_are_compared_in_standard_errors(benchmark, tmp_path):
    rng = np.random.default_rng(0)
    for name, shift in (("first", 0.0), ("second", 0.0), ("shifted", 2.0)):
        write_curve(tmp_path / name, rng, shift)

    def largest(other: str) -> dict[str, float]:
        rows = benchmark("gpu_study").compare_curves(tmp_path / "first", tmp_path / other)
        return {row.what: row.value for row in rows if row.unit == "se"}

    assert set(largest("first").values()) == {0.0}
    assert largest("second")["best_of_n, kl: largest"] == 0  # n is exact
    assert 0 < largest("second")["best_of_n, gold_score: largest"] < 4
    assert largest("shifted")["best_of_n, gold_score: largest"] > 5


@pytest.fixture
def as_in_a_job():
    """Deterministic algorithms only, as every job asks for."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(before)


@pytest.mark.parametrize("device", DEVICES)
def test_the_sampler_draws_what_the_cpu_draws(
    build_tiny_policy, ragged_prompts, as_in_a_job, device
):
    policy, prompts = build_tiny_policy(5, 1.0), ragged_prompts * 100
    expected = sample_responses(policy, prompts, 16, torch.Generator().manual_seed(0))
    there = on_device(copy.deepcopy(policy), torch.device(device))
    found, again = (
        sample_responses(there, prompts, 16, torch.Generator().manual_seed(0)) for _ in range(2)
    )
    same = (found.ids.cpu() == expected.ids).all(1)
    assert same.float().mean() > 0.98  # but where a number falls on a rounded border
    logprobs = found.logprobs.cpu()[same]
    torch.testing.assert_close(logprobs, expected.logprobs[same], atol=1e-5, rtol=0)
    assert torch.equal(found.ids, again.ids)
    assert torch.equal(found.logprobs, again.logprobs)


@pytest.mark.parametrize("device", DEVICES)
def test_scores_are_those_of_the_cpu(build_tiny_reward_model, as_in_a_job, device):
    model = build_tiny_reward_model()
    rng = np.random.default_rng(0)
    sequences = [rng.integers(3, 11, rng.integers(1, 20)).tolist() for _ in range(300)]
    expected = score_sequences(model, sequences)
    there = on_device(copy.deepcopy(model), torch.device(device))
    np.testing.assert_allclose(score_sequences(there, sequences), expected, atol=1e-5)


def ppo_curve(build_tiny_policy, build_tiny_reward_model, monkeypatch, device: str):
    """Evaluations of a short run of PPO, per prompt."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", str(device == "cpu").lower())
    AcceleratorState._reset_state(reset_partial_state=True)
    config = PPOConfig(
        num_iterations=6,
        batch_size=64,
        num_value_warmup_iterations=1,
        num_ramp_iterations=1,
        evaluate_every=2,
        num_evaluation_responses=64,
        num_normalization_responses=256,
    )
    policy, prompts = build_tiny_policy(0, 1.0, hidden_size=16), [[1, 3], [1], [1, 4, 6], [1, 7]]
    ref_policy = copy.deepcopy(policy)
    proxy, gold = (
        SequenceScorer(on_device(build_tiny_reward_model(seed), torch.device(device)), join)
        for seed in (1, 3)
    )
    trainer = RLLoop(
        PPO(policy, config, learning_rate=3e-3, kl_coef=0.0),
        ref_policy,
        proxy,
        prompts,
        config,
        max_response_tokens=6,
        generators={name: torch_generator(0, name) for name in STREAMS},
    )
    evaluator = Evaluator(prompts * 8, 64, 6, ref_policy, proxy, gold, None)
    evaluations = trainer.run(evaluator, TrainingState(None)).evaluations
    AcceleratorState._reset_state(reset_partial_state=True)
    assert trainer.policy.device.type == device
    return [evaluation["measured"] for evaluation in evaluations]


@pytest.mark.parametrize("device", DEVICES)
def test_ppo_moves_as_on_the_cpu(
    build_tiny_policy, build_tiny_reward_model, monkeypatch, as_in_a_job, device
):
    expected, found = (
        ppo_curve(build_tiny_policy, build_tiny_reward_model, monkeypatch, name)
        for name in ("cpu", device)
    )
    assert len(found) == len(expected) == 4
    for name in ("proxy_score", "gold_score", "kl"):
        ours, theirs = (np.array([point[name] for point in run]) for run in (found, expected))
        # Prompts repeat, so the spread of a point over rows is that of its responses and prompts.
        error = np.hypot(ours.std(1), theirs.std(1)) / np.sqrt(ours.shape[1])
        assert (np.abs(ours.mean(1) - theirs.mean(1)) < 5 * error + 1e-6).all()
    assert np.mean(found[-1]["proxy_score"]) > np.mean(found[0]["proxy_score"])
