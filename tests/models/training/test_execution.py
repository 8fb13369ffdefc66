"""Passes, activations computed again, precision, large vocabularies: the same training."""

import copy

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from overopt.config.compute import PASSES_VARIABLE, RECOMPUTE_VARIABLE
from overopt.config.ppo import PPOConfig
from overopt.config.training import TransformerConfig
from overopt.errors import UserError
from overopt.jobs.processes import Processes
from overopt.methods import episodes as methods_episodes
from overopt.methods.episodes import Episodes
from overopt.methods.ppo.algorithm import PPO
from overopt.models import hidden_states
from overopt.models.loading import build_policy, build_reward_model
from overopt.models.training.accelerator import body_precision
from overopt.models.training.state import TrainingState
from overopt.policy.sft import response_loss, train_language_model
from overopt.reward_model.scoring import score_batch
from process_examples import (
    language_model_losses,
    language_model_settings,
    ppo_losses,
    reward_model_losses,
    tiny_policy,
    toy_responses,
)

EXAMPLES = [language_model_losses, reward_model_losses, ppo_losses]
BF16 = {"precision": "bf16"}


@pytest.fixture
def _free_precision():
    """accelerate keeps the first precision of a process, which a job has only one of."""
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


# Passes over a batch, and activations computed again


@pytest.mark.parametrize("num_micro_batches", [1, 3])
def test_loss_and_gradient_are_those_of_the_whole_batch(num_micro_batches, monkeypatch):
    monkeypatch.setenv(PASSES_VARIABLE, str(num_micro_batches))
    prompts, responses = toy_responses(7)
    policy, reference = tiny_policy(), tiny_policy()
    rows = [[*p, *r] for p, r in zip(prompts, responses, strict=True)]
    ids = torch.tensor([row + [0] * (12 - len(row)) for row in rows])
    lengths = [torch.tensor([len(row) for row in some]) for some in (prompts, rows)]
    expected = response_loss(reference, ids, *lengths)
    expected.backward()
    settings = language_model_settings(batch_size=7, num_epochs=1)
    losses = train_language_model(policy, prompts, responses, settings, TrainingState(None))
    assert losses == pytest.approx([expected.item()], rel=1e-6)
    for model in (policy, reference):  # where all are one vector, only that is clipped in training
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    gradients, by_hand = (
        torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
        for model in (policy, reference)
    )
    assert (gradients - by_hand).norm() < 1e-6 * by_hand.norm()


@pytest.mark.parametrize("example", EXAMPLES)
def test_micro_batches_change_no_loss(example, monkeypatch):
    expected = example()
    monkeypatch.setenv(PASSES_VARIABLE, "3")
    np.testing.assert_allclose(example(), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("example", EXAMPLES)
def test_activations_computed_again_give_the_same_bits(example, monkeypatch):
    calls = []
    finish_block = hidden_states._finish_block

    def counted(*arguments):
        calls.append(1)
        return finish_block(*arguments)

    monkeypatch.setattr(hidden_states, "_finish_block", counted)
    expected = example()
    num_calls = len(calls)
    monkeypatch.setenv(RECOMPUTE_VARIABLE, "1")
    assert example() == expected
    assert len(calls) > 2 * num_calls


def test_more_micro_batches_than_rows_are_the_users_mistake(monkeypatch):
    monkeypatch.setenv(PASSES_VARIABLE, "8")
    with pytest.raises(UserError, match=r"a batch of 7 cannot be shared by 1 processes .* in 8 m"):
        language_model_losses()


@pytest.mark.parametrize(("number", "num_rows"), [(1, 5), (2, 5), (3, 3), (4, 9)])
def test_shares_are_all_rows_in_order(number, num_rows):
    shares = [Processes(rank, number).share(list(range(num_rows))) for rank in range(number)]
    assert sum(shares, []) == list(range(num_rows))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


# Precision


@pytest.mark.usefixtures("_free_precision")
def test_a_language_model_in_bf16_learns_as_in_fp32():
    expected = language_model_losses()
    AcceleratorState._reset_state(True)
    losses = language_model_losses(numerics=BF16)
    assert losses != expected
    np.testing.assert_allclose(losses, expected, atol=0.03, rtol=0)  # 0.009 measured


@pytest.mark.usefixtures("_free_precision")
def test_a_reward_model_in_bf16_learns_as_in_fp32():
    slow = {"learning_rate": 1e-3, "batch_size": 9, "num_epochs": 2}
    expected = reward_model_losses(optimization=slow)
    AcceleratorState._reset_state(True)
    losses = reward_model_losses(optimization=slow, numerics=BF16)
    assert losses != expected
    np.testing.assert_allclose(losses, expected, atol=0.02, rtol=0)


@pytest.mark.usefixtures("_free_precision")
def test_ppo_in_bf16_starts_at_zero_kl_and_keeps_the_ratio():
    numbers = ppo_losses(precision="bf16", num_iterations=1)
    assert np.isfinite(numbers).all()
    kl, kl_k1 = numbers[-14:-12]  # seven measurements of each of two evaluations
    assert (kl, kl_k1) == (0, 0)  # the same policy, read in the same precision


@torch.no_grad()
def test_heads_are_fp32_under_bf16_and_scores_do_not_repeat():
    shape = TransformerConfig(hidden_size=64, num_layers=2, num_heads=2)
    policy = build_policy(shape, 11, 12, torch.Generator().manual_seed(0)).eval()
    reward_model = build_reward_model(policy).eval()
    reward_model.score.weight.normal_(generator=torch.Generator().manual_seed(0))
    ids = torch.randint(11, (4000, 12), generator=torch.Generator().manual_seed(0)).unique(dim=0)
    lengths = torch.full((len(ids),), 12)
    expected = score_batch(reward_model, ids, lengths)
    with body_precision("bf16", ids.device):
        scores = score_batch(reward_model, ids, lengths)
        episodes = Episodes(
            ids.tolist(), ids, lengths - 6, lengths * 0 + 6, ids[:, 6:], lengths > 0
        )
        logprobs, values = PPO(
            policy, PPOConfig(), learning_rate=1.0, kl_coef=0.0
        ).logprobs_and_values(episodes)
    assert scores.dtype == logprobs.dtype == values.dtype == torch.float32
    assert (scores - expected).abs().max() < 0.05 * expected.std()
    assert not torch.equal(scores, expected)
    num_distinct = [len(some.unique()) for some in (scores, expected)]
    assert num_distinct[0] > 0.99 * num_distinct[1]
    assert len(expected.bfloat16().unique()) < 0.5 * num_distinct[1]  # what a head in bf16 gives


# Large vocabularies


def test_episodes_are_read_in_pieces_that_fit(monkeypatch):
    expected = ppo_losses()
    sizes = []
    forward = methods_episodes.token_log_distributions

    def seen(policy, states):
        sizes.append(len(states) * 11)
        return forward(policy, states)

    monkeypatch.setattr(methods_episodes, "token_log_distributions", seen)
    monkeypatch.setattr("overopt.methods.evaluation.token_log_distributions", seen)
    monkeypatch.setattr(methods_episodes, "LARGEST_LOGITS", 500)
    np.testing.assert_allclose(ppo_losses(), expected, atol=1e-4, rtol=0)
    assert 0 < max(sizes) <= 500


def test_pieces_are_small_on_a_processor_and_fit_large_vocabularies():
    policy = copy.deepcopy(tiny_policy())
    policy.config.vocab_size = 176
    ids = torch.zeros(1500, 24, dtype=torch.int64)
    lengths = torch.full((1500,), 24)
    episodes = Episodes(ids.tolist(), ids, lengths * 0 + 1, lengths, ids, lengths > 0)
    sizes = [len(piece.sequences) for _, piece in episodes.micro_batches(policy)]
    assert max(sizes) == methods_episodes.MICRO_BATCH_SIZE
    policy.config.vocab_size = 500_000
    sizes = [len(piece.sequences) for _, piece in episodes.micro_batches(policy)]
    assert max(sizes) * 24 * 500_000 <= methods_episodes.LARGEST_LOGITS
    assert sum(sizes) == 1500
