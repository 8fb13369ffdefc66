"""The shared training loop, language models, and jobs that are killed and go on."""

import json
import math
import os

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open

from library_twins import twin_of
from overopt.config.policy import LanguageModelSettings
from overopt.config.training import Numerics
from overopt.errors import UserError
from overopt.jobs.job import Job
from overopt.models.loading import load_policy, num_parameters
from overopt.models.tokens import load_tokenizer
from overopt.models.training.loop import (
    DivergedError,
    Examples,
    final_loss,
    learning_rate_at,
    length_bucketed_batches,
    train,
)
from overopt.models.training.state import TrainingState
from overopt.policy.sampling import sample_responses
from overopt.policy.sft import fit_to_demonstrations, response_loss, train_language_model

EOS = 2


class KilledError(Exception):
    """Stands for the end of a process."""


def settings(**optimization: float) -> LanguageModelSettings:
    defaults = {"learning_rate": 1e-2, "batch_size": 8, "num_epochs": 2}
    return LanguageModelSettings.model_validate(
        {
            "shape": {"hidden_size": 8, "num_layers": 1, "num_heads": 2},
            "optimization": defaults | optimization,
            "text": {"max_prompt_tokens": 6, "max_response_tokens": 6},
            "seed": 0,
        }
    )


def toy_demonstrations(number: int) -> tuple[list[list[int]], list[list[int]]]:
    """Each last letter of a prompt has its own response, of one to four tokens."""
    answers = {3: [EOS], 4: [7, EOS], 5: [8, 9, EOS], 6: [10, 7, 8, EOS]}
    rng = np.random.default_rng(0)
    prompts = [[1, *rng.integers(3, 7, rng.integers(1, 4)).tolist()] for _ in range(number)]
    return prompts, [answers[prompt[-1]] for prompt in prompts]


# Steps, batches and losses


def test_learning_rate_by_hand():
    rates = [learning_rate_at(step, 100, 2.0) for step in range(100)]
    assert rates[:5] == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0])
    assert rates[5] == 2.0
    assert rates[52] == pytest.approx(0.2 + 1.8 * 0.5 * (1 + math.cos(math.pi * 47 / 95)))
    assert all(later < earlier for earlier, later in zip(rates[5:], rates[6:], strict=False))
    assert learning_rate_at(100, 100, 2.0) == pytest.approx(0.2)  # a tenth, after the last step
    assert learning_rate_at(0, 1, 2.0) == 2.0
    assert learning_rate_at(0, 10, 2.0) == 2.0  # at least one step of warm-up


@pytest.mark.parametrize("num_rows", [40, 43, 400])
def test_each_row_is_used_once_an_epoch(num_rows):
    lengths = np.random.default_rng(0).integers(1, 30, num_rows)
    batches = length_bucketed_batches(lengths, 5, 3, np.random.default_rng(1))
    per_epoch = num_rows // 5
    assert len(batches) == 3 * per_epoch
    assert {len(batch) for batch in batches} == {5}
    for epoch in range(3):
        rows = np.concatenate(batches[epoch * per_epoch : (epoch + 1) * per_epoch])
        assert len(set(rows.tolist())) == 5 * per_epoch
    assert any((batches[0] != batches[per_epoch]).tolist())


def test_batches_hold_rows_of_like_length_in_random_order():
    lengths = np.random.default_rng(0).integers(1, 100, 800)
    batches = length_bucketed_batches(lengths, 20, 1, np.random.default_rng(1))
    spread = np.mean([np.ptp(lengths[batch]) for batch in batches])
    assert spread < 25  # 90 without sorting
    means = np.array([lengths[batch].mean() for batch in batches])
    assert (np.diff(means) > 0).mean() < 0.75  # 0.9 in the order of the buckets


def test_rows_left_out_are_not_the_longest():
    lengths = np.arange(19)
    left_out = set()
    for epoch in range(100):
        (batch,) = length_bucketed_batches(lengths, 16, 1, np.random.default_rng(epoch))
        left_out |= set(range(19)) - set(batch.tolist())
    assert left_out == set(range(19))


def test_too_few_rows_give_no_batch():
    assert length_bucketed_batches(np.arange(3), 4, 2, np.random.default_rng(0)) == []


@torch.no_grad()
def test_response_loss_by_a_plain_loop(build_tiny_policy):
    policy = build_tiny_policy()
    prompts = [[1, 3, 4], [1], [1, 5, 5, 5]]
    responses = [[5, 0, EOS], [7, 7, 7, 7, EOS], [EOS]]
    losses = []
    for prompt, response in zip(prompts, responses, strict=True):
        logprobs = twin_of(policy)(torch.tensor([[*prompt, *response]])).logits[0].log_softmax(-1)
        losses += [-logprobs[len(prompt) - 1 + t, token] for t, token in enumerate(response)]
    assert len(losses) == 3 + 5 + 1  # `<eos>` is learnt, a `<pad>` inside a response too
    lengths = torch.tensor([6, 6, 5])
    prompt_lengths = torch.tensor([3, 1, 4])
    for garbage in (0, 9):  # whatever is beyond the end
        rows = [[*p, *r] for p, r in zip(prompts, responses, strict=True)]
        ids = torch.tensor([row + [garbage] * (8 - len(row)) for row in rows])
        loss = response_loss(policy, ids, prompt_lengths, lengths)
        assert loss.item() == pytest.approx(np.mean(losses), abs=1e-6)


def test_final_loss_is_the_mean_of_the_last_steps():
    assert final_loss(np.array([9.0, 1.0, 2.0, 3.0]), num_steps=3) == 2.0
    assert final_loss(np.array([1.0, 3.0])) == 2.0


# Language models


def test_a_language_model_learns_a_toy_mapping(build_tiny_policy):
    policy = build_tiny_policy(0, 1.0, hidden_size=16)
    prompts, responses = toy_demonstrations(1600)
    losses = train_language_model(
        policy, prompts, responses, settings(num_epochs=1), TrainingState(None)
    )
    assert len(losses) == 200
    assert losses[0] > 2
    assert losses[-20:].mean() < 0.1
    assert not policy.training
    sampled = sample_responses(policy, prompts[:200], 6, torch.Generator().manual_seed(0))
    right = [a == b for a, b in zip(sampled.as_lists(), responses, strict=False)]
    assert np.mean(right) > 0.9  # ends included


def test_fitting_writes_a_checkpoint_and_no_state(tmp_path, tokenizer_dir):
    table = pd.DataFrame({"prompt": ["a b", "c"] * 8, "response": ["d", "e f"] * 8})
    table.to_parquet(tmp_path / "demonstrations.parquet")
    for folder in ("first", "second"):
        fit_to_demonstrations(
            Job("x"),
            settings(),
            tmp_path / "demonstrations.parquet",
            tokenizer_dir,
            tmp_path / folder,
        )
    policy = load_policy(tmp_path / "first")
    assert policy.config.vocab_size == len(load_tokenizer(tmp_path / "first")) == 11
    assert policy.config.n_positions == 12
    metrics = json.loads((tmp_path / "first" / "metrics.json").read_text())
    assert metrics["num_parameters"] == num_parameters(policy)
    assert metrics["num_demonstrations"] == 16
    files = {path.name for path in (tmp_path / "first").iterdir()}
    assert not any(name.startswith("training_state") for name in files)
    for name in files:  # the same job again gives the same bytes
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_too_few_demonstrations_are_the_users_mistake(build_tiny_policy):
    with pytest.raises(UserError, match="3 demonstrations do not fill one batch of 8"):
        train_language_model(
            build_tiny_policy(), *toy_demonstrations(3), settings(), TrainingState(None)
        )


def test_a_loss_that_is_no_number_stops_the_training(build_tiny_policy, tmp_path):
    state = TrainingState(tmp_path / "state.safetensors", "x", seconds_between_saves=0)

    class Loss(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.policy = build_tiny_policy()

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            value = next(self.parameters()).square().sum()
            return value * math.nan if rows[0] == 2 else value

    examples = Examples(lambda rows: (torch.as_tensor(rows),), np.ones(4))
    with pytest.raises(DivergedError, match=r"nan at step 3 of 4; lower the learning rate \(0\.1"):
        train(Loss(), examples, [np.array([row]) for row in range(4)], 0.1, state, Numerics())
    with safe_open(tmp_path / "state.safetensors", "pt") as file:  # the last good step
        assert json.loads(file.metadata()["progress"])["step"] == 2
        assert all(file.get_tensor(name).isfinite().all() for name in file.keys())  # noqa: SIM118


# Killed jobs


@pytest.fixture
def train_toy(build_tiny_policy, monkeypatch):
    """Train, killed before a given step; the losses and weights."""

    def train_toy(state: TrainingState, policy_seed: int = 0, killed_at: int | None = None):
        calls = 0

        def killed_loss(*arguments):
            nonlocal calls
            calls += 1
            if killed_at is not None and calls > killed_at:
                raise KilledError
            return response_loss(*arguments)

        monkeypatch.setattr("overopt.policy.sft.response_loss", killed_loss)
        policy = build_tiny_policy(policy_seed)
        losses = train_language_model(policy, *toy_demonstrations(40), settings(), state)
        return losses, policy.state_dict(), calls

    return train_toy


def assert_equal_weights(first, second) -> None:
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_killed_training_goes_on_to_the_same_bits(train_toy, tmp_path, monkeypatch):
    for pickled in ("save", "load"):
        monkeypatch.setattr(torch, pickled, lambda *_: pytest.fail("pickle"))
    expected, weights, num_steps = train_toy(TrainingState(None))
    assert num_steps == 10
    path = tmp_path / "deep" / "state.safetensors"
    for killed_at, policy_seed in ((3, 0), (2, 7)):  # after 3 steps, and after 2 more
        state = TrainingState(path, "fingerprint", seconds_between_saves=0)
        with pytest.raises(KilledError):
            # Whatever the process starts from, the state overrides.
            train_toy(state, policy_seed, killed_at)
        assert [file.name for file in path.parent.iterdir()] == [path.name]
    losses, resumed, calls = train_toy(TrainingState(path, "fingerprint"), policy_seed=5)
    assert calls == 5
    assert losses.tolist() == expected.tolist()
    assert_equal_weights(resumed, weights)


def test_a_state_of_another_fingerprint_is_ignored(train_toy, tmp_path):
    path = tmp_path / "state.safetensors"
    with pytest.raises(KilledError):
        train_toy(TrainingState(path, "old settings", seconds_between_saves=0), 1, killed_at=3)
    expected, weights, _ = train_toy(TrainingState(None))
    losses, fresh, calls = train_toy(TrainingState(path, "settings"))
    assert calls == 10
    assert losses.tolist() == expected.tolist()
    assert_equal_weights(fresh, weights)


def test_a_save_that_is_cut_short_leaves_the_last_one(train_toy, tmp_path, monkeypatch):
    path = tmp_path / "state.safetensors"
    expected, *_ = train_toy(TrainingState(None))
    with pytest.raises(KilledError):
        train_toy(TrainingState(path, "x", seconds_between_saves=0), killed_at=3)

    def fail(*arguments):
        raise KilledError

    with monkeypatch.context() as patched, pytest.raises(KilledError):
        patched.setattr(os, "replace", fail)
        train_toy(TrainingState(path, "x", seconds_between_saves=0))
    losses, _, calls = train_toy(TrainingState(path, "x"))
    assert calls == 7
    assert losses.tolist() == expected.tolist()


def test_a_state_is_saved_when_due_and_removed_when_done(train_toy, tmp_path):
    path = tmp_path / "state.safetensors"
    state = TrainingState(path, "x", seconds_between_saves=3600)
    assert not state.is_due()
    train_toy(state)
    assert not path.exists()
    state = TrainingState(path, "x", seconds_between_saves=0)
    assert state.is_due()
    train_toy(state)
    assert path.exists()
    state.remove()
    state.remove()
    assert not path.exists()
    assert not TrainingState(None, "x", seconds_between_saves=0).is_due()
