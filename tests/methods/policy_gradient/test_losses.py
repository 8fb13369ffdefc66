"""Losses of a fixed batch against TRL's own trainers; advantages by hand."""

import json
from pathlib import Path

import pytest
import torch

from overopt.methods.policy_gradient.losses import (
    group_relative,
    k3,
    leave_one_out,
    mean_at_constant_length,
    mean_of_responses,
    rewards_to_go,
    sequence_clipped,
    token_clipped,
)

TRL = json.loads(Path(__file__).with_name("trl_losses.json").read_text())
BATCH = {name: torch.tensor(values) for name, values in TRL["batch"].items()}
MASK = BATCH["mask"]
GROUP = 3
CLIP = 0.2


def at_tokens(name: str) -> torch.Tensor:
    return torch.where(MASK, BATCH[name], 0.0)


def test_the_ratios_of_the_batch_are_clipped_on_both_sides() -> None:
    """Else the comparison would not see the clip."""
    ratio = (at_tokens("logprobs") - at_tokens("old_logprobs")).exp()[MASK]
    assert (ratio > 1 + CLIP).any() and (ratio < 1 - CLIP).any()


def test_rloo_is_trls() -> None:
    advantages = leave_one_out(BATCH["rewards"], GROUP)
    loss = sequence_clipped(at_tokens("logprobs"), at_tokens("old_logprobs"), advantages, CLIP)
    assert float(loss.mean()) == pytest.approx(TRL["losses"]["rloo"], abs=1e-5)


@pytest.mark.parametrize("is_scaled", [True, False])
def test_grpo_and_dr_grpo_are_trls(is_scaled: bool) -> None:
    advantages = group_relative(BATCH["rewards"], GROUP, is_scaled=is_scaled)
    per_token = token_clipped(
        at_tokens("logprobs"), at_tokens("old_logprobs"), advantages, CLIP
    ) + TRL["beta"] * k3(at_tokens("logprobs"), at_tokens("ref_logprobs"))
    if is_scaled:
        loss, name = mean_of_responses(per_token, MASK), "grpo"
    else:
        loss, name = mean_at_constant_length(per_token, MASK, TRL["max_length"]), "dr_grpo"
    assert float(loss) == pytest.approx(TRL["losses"][name], abs=1e-5)


def test_advantages_by_hand() -> None:
    rewards = torch.tensor([1.0, 2.0, 6.0, 0.0, 0.0, 3.0])
    expected = [1 - 4, 2 - 3.5, 6 - 1.5, 0 - 1.5, 0 - 1.5, 3 - 0]
    torch.testing.assert_close(leave_one_out(rewards, 3), torch.tensor(expected))
    plain = group_relative(rewards, 3, is_scaled=False)
    torch.testing.assert_close(plain, torch.tensor([-2.0, -1, 3, -1, -1, 2]))
    sd = torch.tensor([7.0, 3.0]).sqrt().repeat_interleave(3)  # of 1, 2, 6 and of 0, 0, 3
    torch.testing.assert_close(group_relative(rewards, 3, is_scaled=True), plain / (sd + 1e-4))
    # Equal rewards say nothing; their sd of 0 divides nothing by 0.
    assert group_relative(torch.ones(3), 3, is_scaled=True).tolist() == [0, 0, 0]


def test_returns_sum_to_the_end_and_are_0_at_padding() -> None:
    mask = torch.tensor([[True, True, True], [True, False, False]])
    rewards = torch.tensor([[1.0, 2, 3], [5, torch.nan, torch.nan]])
    expected = torch.tensor([[6.0, 5, 3], [5, 0, 0]])
    torch.testing.assert_close(rewards_to_go(rewards, mask), expected)


def test_k3_estimates_the_kl() -> None:
    """Its mean over samples of the policy is the KL."""
    policy = torch.tensor([0.5, 0.3, 0.2]).log()
    initial = torch.tensor([0.2, 0.3, 0.5]).log()
    mean = (policy.exp() * k3(policy, initial)).sum()
    torch.testing.assert_close(mean, (policy.exp() * (policy - initial)).sum())
