"""PPO's pure functions: by hand, by plain loops, and with garbage in the padding."""

import math

import numpy as np
import pytest
import torch

from library_twins import twin_of
from overopt.config.ppo import PPOConfig
from overopt.methods.episodes import (
    Episodes,
    in_order,
    logprobs_of,
    mini_batches,
    repeat_prompts,
    response_states,
    token_log_distributions,
)
from overopt.methods.ppo.algorithm import PPO
from overopt.methods.ppo.rewards import (
    generalized_advantages,
    masked_mean,
    masked_whiten,
    policy_loss,
    token_rewards,
    value_loss,
)
from overopt.methods.sequence_kl import exact_token_kl, sampled_kl
from overopt.models.tokens import pad_right
from overopt.policy.sampling import Responses

EOS = 2
LENGTHS = torch.tensor([4, 1, 6, 3])
MASK = torch.arange(6) < LENGTHS[:, None]
NAN = math.nan


def numbers(seed: int) -> torch.Tensor:
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(seed))


def with_garbage(values: torch.Tensor, garbage: float) -> torch.Tensor:
    return torch.where(MASK, values, garbage)


def episodes_of(prompts: list[list[int]], responses: list[list[int]]) -> Episodes:
    ids = torch.as_tensor(pad_right(responses, 0, width=8))
    lengths = torch.tensor([len(response) for response in responses])
    is_cut = torch.tensor([response[-1] != 2 for response in responses])
    return Episodes.of(prompts, Responses(ids, lengths, torch.zeros(ids.shape), is_cut))


def distributions_of(policy, episodes: Episodes) -> torch.Tensor:
    return token_log_distributions(policy, response_states(policy, episodes))


# KL


def all_responses(vocabulary_size: int, horizon: int) -> list[list[int]]:
    """Every response of at most `horizon` tokens: ended by `<eos>`, or cut."""
    ended, unfinished = [], [[]]
    for _ in range(horizon):
        extended = [[*r, token] for r in unfinished for token in range(vocabulary_size)]
        ended += [r for r in extended if r[-1] == EOS]
        unfinished = [r for r in extended if r[-1] != EOS]
    return ended + unfinished


@torch.no_grad()
def test_kl_of_sequences_equals_the_sum_over_all_sequences(build_tiny_policy):
    policy, ref_policy = (build_tiny_policy(seed, vocabulary_size=5) for seed in (1, 2))
    responses = all_responses(5, 3)
    for prompt in ([1], [1, 3, 4, 3]):
        episodes = episodes_of([prompt] * len(responses), responses)
        ours, theirs = (distributions_of(model, episodes) for model in (policy, ref_policy))
        logprobs, ref_logprobs = (
            episodes.by_response(logprobs_of(d, episodes.tokens)) for d in (ours, theirs)
        )
        log_p, log_q = ((x * episodes.mask).sum(1) for x in (logprobs, ref_logprobs))
        p = log_p.exp()
        assert p.sum().item() == pytest.approx(1, abs=1e-5)
        kl = (p * (log_p - log_q)).sum().item()
        assert kl > 0.5
        # Both are unbiased: their expectations over the policy's responses are the KL.
        exact, sampled = (
            episodes.by_response(exact_token_kl(ours, theirs)).sum(1),
            sampled_kl(logprobs, ref_logprobs, episodes.mask),
        )
        assert (p * exact).sum().item() == pytest.approx(kl, rel=1e-5)
        assert (p * sampled).sum().item() == pytest.approx(kl, rel=1e-5)
        variances = [(p * (x - kl) ** 2).sum().item() for x in (exact, sampled)]
        assert variances[0] < variances[1]
        assert exact.min() >= 0
        assert sampled.min() < -0.5  # never clamped


@torch.no_grad()
def test_kl_counts_response_tokens_only(build_tiny_policy, ragged_prompts):
    """By a loop over unpadded sequences: no prompt token, no padding, the `<eos>` included."""
    policy, ref_policy = build_tiny_policy(1), build_tiny_policy(2)
    twins = twin_of(policy), twin_of(ref_policy)
    responses = [[3, EOS], [4, 0, 0, 5], [EOS], [1, 9, 8, 7, 6, EOS], [10], [0, EOS]]
    episodes = episodes_of(ragged_prompts, responses)
    per_token = exact_token_kl(
        distributions_of(policy, episodes), distributions_of(ref_policy, episodes)
    )
    exact = episodes.by_response(per_token).sum(1)
    for row, (prompt, response) in enumerate(zip(ragged_prompts, responses, strict=True)):
        ids = torch.tensor([[*prompt, *response]])
        ours, theirs = (twin(ids).logits[0].log_softmax(-1) for twin in twins)
        per_token = (ours.exp() * (ours - theirs)).sum(-1)
        expected = per_token[len(prompt) - 1 : -1].sum()
        assert exact[row].item() == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("garbage", [NAN, math.inf, -math.inf, 1e30])
def test_garbage_in_the_padding_does_not_reach_the_kl(garbage):
    logprobs, ref_logprobs = numbers(1), numbers(2)
    clean = sampled_kl(logprobs, ref_logprobs, MASK)
    dirty = with_garbage(logprobs, garbage)
    assert torch.equal(sampled_kl(dirty, ref_logprobs, MASK), clean)
    assert clean[1].item() == pytest.approx((logprobs - ref_logprobs)[1, 0].item())


# Episodes


def test_episodes_by_hand():
    episodes = episodes_of([[1, 3, 4], [1], [1, 5]], [[6, EOS], [7, 0, 0], [8, 9, EOS]])
    assert episodes.sequences == [[1, 3, 4, 6, 2], [1, 7, 0, 0], [1, 5, 8, 9, 2]]
    assert episodes.input_ids.tolist() == [[1, 3, 4, 6, 2], [1, 7, 0, 0, 0], [1, 5, 8, 9, 2]]
    assert episodes.response_ids.tolist() == [[6, 2, 0], [7, 0, 0], [8, 9, 2]]
    assert episodes.prompt_lengths.tolist() == [3, 1, 2]
    assert episodes.lengths.tolist() == [2, 3, 3]
    assert episodes.mask.tolist() == [[True, True, False], [True] * 3, [True] * 3]
    # The third ends by itself at the limit of three tokens.
    assert episodes.is_cut.tolist() == [False, True, False]
    chosen = episodes.select(torch.tensor([2, 0]))
    assert chosen.sequences == [episodes.sequences[2], episodes.sequences[0]]
    for name in ("input_ids", "prompt_lengths", "lengths", "response_ids", "mask", "is_cut"):
        assert torch.equal(getattr(chosen, name), getattr(episodes, name)[[2, 0]])
    shorter = episodes.select(torch.tensor([1]))
    assert shorter.input_ids.tolist() == [[1, 7, 0, 0]]  # as wide as the longest
    assert episodes.tokens.tolist() == [6, 2, 7, 0, 0, 8, 9, 2]
    numbered = episodes.by_response(torch.arange(1, 9))
    assert numbered.tolist() == [[1, 2, 0], [3, 4, 5], [6, 7, 8]]


def test_pieces_hold_all_episodes_by_length(build_tiny_policy, monkeypatch):
    policy = build_tiny_policy()
    monkeypatch.setattr("overopt.methods.episodes.MICRO_BATCH_SIZE", 2)
    prompts, responses = [[1, 3, 4], [1], [1, 5], [1]], [[6, EOS], [EOS], [8, 9, EOS], [7, EOS]]
    episodes = episodes_of(prompts, responses)
    pieces = episodes.micro_batches(policy)
    assert [rows.tolist() for rows, _ in pieces] == [[1, 3], [0, 2]]
    assert [piece.input_ids.shape for _, piece in pieces] == [(2, 3), (2, 5)]
    for rows, piece in pieces:
        assert piece.sequences == [episodes.sequences[row] for row in rows.tolist()]
    assert in_order([(rows, piece.lengths) for rows, piece in pieces]).tolist() == [2, 1, 3, 2]
    monkeypatch.setattr("overopt.methods.episodes.MICRO_BATCH_SIZE", 4)
    assert episodes.micro_batches(policy)[0][1] is episodes


@torch.no_grad()
def test_values_are_read_before_each_response_token(build_tiny_policy, ragged_prompts):
    module = PPO(build_tiny_policy(), PPOConfig(), learning_rate=1.0, kl_coef=0.0)
    responses = [[3, EOS], [4, 0, 0, 5], [EOS], [1, 9, 8, 7, 6, EOS], [10], [0, EOS]]
    episodes = episodes_of(ragged_prompts, responses)
    assert not module.logprobs_and_values(episodes)[1].any()  # the head starts at zero
    torch.nn.init.normal_(module.value_head.weight, generator=torch.Generator().manual_seed(0))
    logprobs, values = module.logprobs_and_values(episodes)
    twin = twin_of(module.policy)
    for row, (prompt, response) in enumerate(zip(ragged_prompts, responses, strict=True)):
        ids = torch.tensor([[*prompt, *response]])
        hidden = twin.transformer(ids).last_hidden_state[0]
        states = hidden[len(prompt) - 1 : -1]
        expected = module.value_head(states).squeeze(1)
        torch.testing.assert_close(values[row, : len(response)], expected, atol=1e-5, rtol=0)
        expected = twin.lm_head(states).log_softmax(-1).gather(1, ids[0, len(prompt) :, None])
        sampled = logprobs[row, : len(response)]
        torch.testing.assert_close(sampled, expected.squeeze(1), atol=1e-5, rtol=0)


def test_mini_batches_and_repeated_prompts():
    generator = torch.Generator().manual_seed(0)
    first, second = (mini_batches(10, 3, generator) for _ in range(2))
    assert [len(rows) for rows in first] == [4, 4, 2]
    for batches in (first, second):
        assert sorted(torch.cat(batches).tolist()) == list(range(10))
    assert torch.cat(first).tolist() != torch.cat(second).tolist()
    assert repeat_prompts([[1], [1, 3]], 2) == [[1], [1], [1, 3], [1, 3]]


# Rewards and advantages


def test_token_rewards_by_hand():
    scores = torch.tensor([10.0, 20.0])
    logprobs = torch.tensor([[-1.0, -2.0, -3.0], [-1.0, -1.0, -1.0]])
    ref_logprobs = torch.tensor([[-1.5, -1.0, NAN], [-2.0, -1.0, -4.0]])
    # The first ended after two tokens, the second was cut at three: the score is on the
    # `<eos>` action and on the last token, never in a slot after them.
    rewards = token_rewards(scores, logprobs, ref_logprobs, torch.tensor([2, 3]), 0.1)
    expected = [[-0.1 * 0.5, -0.1 * -1.0 + 10, 0.0], [-0.1 * 1.0, 0.0, -0.1 * 3.0 + 20]]
    torch.testing.assert_close(rewards, torch.tensor(expected))
    unpenalized = token_rewards(scores, logprobs, logprobs - 1, torch.tensor([1, 3]), 0.0)
    torch.testing.assert_close(unpenalized, torch.tensor([[10.0, 0, 0], [0, 0, 20.0]]))


def test_the_sum_of_rewards_is_the_score_less_the_penalty():
    scores = numbers(3)[:, 0]
    rewards = token_rewards(scores, numbers(1), numbers(2), LENGTHS, 0.3)
    expected = scores - 0.3 * sampled_kl(numbers(1), numbers(2), MASK)
    torch.testing.assert_close(rewards.sum(1), expected)


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.5), (1.0, 1.0), (0.99, 0.0)])
def test_advantages_equal_their_definition(gamma, lam):
    rewards, values = numbers(1), numbers(2)
    advantages, returns = generalized_advantages(rewards, values, MASK, gamma, lam)
    for row, length in enumerate(LENGTHS.tolist()):
        r, v = rewards[row, :length].double(), values[row, :length].double()
        following = torch.cat([v[1:], torch.zeros(1)])
        delta = r + gamma * following - v
        for t in range(length):
            expected = sum((gamma * lam) ** (k - t) * delta[k].item() for k in range(t, length))
            assert advantages[row, t].item() == pytest.approx(expected, abs=1e-5)
            assert returns[row, t].item() == pytest.approx(expected + v[t].item(), abs=1e-5)
        assert not advantages[row, length:].any()
        assert not returns[row, length:].any()


def test_returns_without_discount_are_sums_of_later_rewards():
    rewards = torch.where(MASK, numbers(1), 0.0)
    _, returns = generalized_advantages(rewards, numbers(2), MASK, 1.0, 1.0)
    to_go = rewards.flip(1).cumsum(1).flip(1)
    torch.testing.assert_close(returns, to_go)


def test_whitening_equals_numpy_on_the_tokens():
    values = 5 + 3 * numbers(1)
    tokens = values[MASK].double().numpy()
    whitened = masked_whiten(values, MASK)
    expected = (tokens - tokens.mean()) / tokens.std(ddof=1)
    np.testing.assert_allclose(whitened[MASK].numpy(), expected, atol=1e-5)
    assert not whitened[~MASK].any()
    assert not masked_whiten(torch.full((4, 6), 3.0), MASK).any()
    assert masked_mean(values, MASK).item() == pytest.approx(tokens.mean(), rel=1e-6)


# Losses


def test_policy_loss_by_hand():
    ratios = torch.tensor([[1.5, 1.5, 0.5, 0.5, 1.1]])
    advantages = torch.tensor([[2.0, -2.0, 2.0, -2.0, 3.0]])
    old = torch.full((1, 5), -1.0)
    loss, clipfrac = policy_loss(
        old + ratios.log(), old, advantages, torch.ones(1, 5, dtype=torch.bool), 0.2
    )
    # min(ratio A, clip(ratio, 0.8, 1.2) A), token by token
    by_hand = [1.2 * 2, 1.5 * -2, 0.5 * 2, 0.8 * -2, 1.1 * 3]
    assert loss.item() == pytest.approx(-sum(by_hand) / 5, rel=1e-6)
    assert clipfrac.item() == pytest.approx(4 / 5)


def test_policy_loss_pulls_the_right_way():
    old = torch.tensor([[-1.0, -1.0, -1.0, -1.0]])
    logprobs = (old + torch.tensor([[0.0, 0.0, 0.5, -0.5]])).requires_grad_()
    advantages = torch.tensor([[1.0, -1.0, 1.0, -1.0]])
    loss, _ = policy_loss(logprobs, old, advantages, torch.ones(1, 4, dtype=torch.bool), 0.2)
    (gradient,) = torch.autograd.grad(loss, logprobs)
    # At ratio 1 it is the policy gradient; tokens clipped on their good side are left alone.
    torch.testing.assert_close(gradient, torch.tensor([[-0.25, 0.25, 0.0, 0.0]]))


def test_value_loss_by_hand():
    values = torch.tensor([[1.0, 2.0, 9.0], [0.0, 9.0, 9.0]], requires_grad=True)
    returns = torch.tensor([[3.0, 2.0, 0.0], [-1.0, 0.0, 0.0]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    loss = value_loss(values, returns, mask)
    assert loss.item() == pytest.approx((4 + 0 + 1) / 3)
    (gradient,) = torch.autograd.grad(loss, values)
    expected = torch.tensor([[-4 / 3, 0, 0], [2 / 3, 0, 0]])
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("garbage", [NAN, math.inf, -math.inf, 1e30])
def test_garbage_in_the_padding_changes_nothing(garbage):
    def dirty(seed: int) -> torch.Tensor:
        return with_garbage(numbers(seed), garbage)

    scores = torch.ones(4)
    clean = token_rewards(scores, numbers(1), numbers(2), LENGTHS, 0.1)
    assert torch.equal(token_rewards(scores, dirty(1), dirty(2), LENGTHS, 0.1), clean)
    clean = generalized_advantages(numbers(1), numbers(2), MASK, 0.9, 0.9)
    found = generalized_advantages(dirty(1), dirty(2), MASK, 0.9, 0.9)
    assert all(torch.equal(a, b) for a, b in zip(found, clean, strict=True))
    assert torch.equal(masked_whiten(dirty(1), MASK), masked_whiten(numbers(1), MASK))
    assert torch.equal(masked_mean(dirty(1), MASK), masked_mean(numbers(1), MASK))


@pytest.mark.parametrize("garbage", [NAN, math.inf, -math.inf, 1e30])
def test_garbage_in_the_padding_reaches_no_gradient(garbage):
    def losses(make):
        inputs = make(1).requires_grad_()
        surrogate, share = policy_loss(inputs, make(2), make(3), MASK, 0.2)
        loss = surrogate + value_loss(inputs, make(4), MASK)
        (gradient,) = torch.autograd.grad(loss, inputs)
        return loss.detach(), share, gradient

    clean = losses(numbers)
    assert not clean[2][~MASK].any()
    found = losses(lambda seed: with_garbage(numbers(seed), garbage))
    assert all(torch.equal(a, b) for a, b in zip(found, clean, strict=True))
