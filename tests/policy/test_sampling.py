"""
The sampler: samples of the policy itself, with its log-probabilities, checked by transformers.

What a row draws does not depend on the rows beside it, but for rounding.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from scipy.stats import chisquare

from library_twins import twin_of
from overopt.config import sampling_batch
from overopt.config.training import TransformerConfig
from overopt.models.loading import build_policy
from overopt.models.tokens import pad_right
from overopt.policy import decoders, gpt2_decoder, sampling
from overopt.policy.batch_size import cache_bytes_per_token, sampling_batch_size
from overopt.policy.sampling import Responses, responses_at, sample_responses

PAD, BOS, EOS = 0, 1, 2
CONFIG = Path(__file__).resolve().parents[2] / "config"


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@torch.no_grad()
def forward_logprobs(policy, prompt: list[int], response: list[int]) -> torch.Tensor:
    """Log-probabilities of a response by one unpadded forward pass of transformers."""
    ids = torch.tensor([[*prompt, *response]])
    logprobs = twin_of(policy)(ids).logits[0].log_softmax(-1)
    steps = torch.arange(len(response)) + len(prompt) - 1
    return logprobs[steps, torch.tensor(response)]


@torch.no_grad()
def next_token_probabilities(policy, prompt: list[int]) -> np.ndarray:
    """By transformers."""
    probabilities = policy(torch.tensor([prompt])).logits[0, -1].double().softmax(-1)
    return probabilities.numpy()


def sequence_probabilities(policy, prompt: list[int], length: int) -> dict[tuple[int, ...], float]:
    """Probability of every response of at most `length` tokens, by enumeration."""
    policy = twin_of(policy)
    ended: dict[tuple[int, ...], float] = {}
    unfinished = {(): 1.0}
    for _ in range(length):
        extended = {
            (*response, token): probability * share
            for response, probability in unfinished.items()
            for token, share in enumerate(next_token_probabilities(policy, [*prompt, *response]))
        }
        ended |= {r: p for r, p in extended.items() if r[-1] == EOS}
        unfinished = {r: p for r, p in extended.items() if r[-1] != EOS}
    return ended | unfinished


def assert_distributed(observed: Counter, expected: dict, number: int) -> None:
    """Chi-square test at 0.1%; outcomes that are expected less than five times are pooled."""
    assert set(observed) <= set(expected)
    rare = [outcome for outcome, p in expected.items() if p * number < 5]
    counts = [observed[o] for o in expected if o not in rare]
    means = [p * number for o, p in expected.items() if o not in rare]
    if rare:
        counts.append(sum(observed[o] for o in rare))
        means.append(sum(expected[o] for o in rare) * number)
    assert chisquare(counts, np.array(means) * (number / sum(means))).pvalue > 1e-3


def assert_well_formed(responses: Responses, max_response_tokens: int) -> None:
    """Each response ends at its first `<eos>` or at the limit; nothing beyond."""
    assert responses.ids.shape == responses.logprobs.shape
    assert responses.ids.dtype == responses.lengths.dtype == torch.int64
    assert responses.logprobs.dtype == torch.float32
    for row, response in enumerate(responses.as_lists()):
        length = int(responses.lengths[row])
        assert 1 <= len(response) == length <= max_response_tokens
        assert EOS not in response[:-1]
        assert response[-1] == EOS or length == max_response_tokens
        assert (responses.ids[row, length:] == PAD).all()
        assert (responses.logprobs[row, :length] < 0).all()
        assert (responses.logprobs[row, length:] == 0).all()


@pytest.fixture
def compactions(monkeypatch) -> list[int]:
    """Sizes of the cache after each removal of finished rows."""
    kept_rows: list[int] = []
    select = gpt2_decoder.GPT2Decoder.select

    def counting_select(self, rows):
        if len(rows) < len(self._num_padding):  # not where prompts are repeated
            kept_rows.append(len(rows))
        select(self, rows)

    monkeypatch.setattr(gpt2_decoder.GPT2Decoder, "select", counting_select)
    return kept_rows


@pytest.mark.parametrize("batch_size", [1, 7, 1024])
@pytest.mark.parametrize("num_heads", [1, 4])
def test_logprobs_equal_an_unpadded_forward_pass(
    build_tiny_policy, ragged_prompts, compactions, batch_size, num_heads
):
    policy = build_tiny_policy(3, num_heads=num_heads)
    prompts = ragged_prompts * 8
    responses = sample_responses(policy, prompts, 16, rng(), batch_size=batch_size)
    assert_well_formed(responses, 16)
    assert bool(compactions) == (batch_size > 1)  # finished rows left the cache on the way
    for row, (prompt, response) in enumerate(zip(prompts, responses.as_lists(), strict=True)):
        expected = forward_logprobs(policy, prompt, response)
        sampled = responses.logprobs[row, : len(response)]
        torch.testing.assert_close(sampled, expected, atol=1e-5, rtol=0)


def test_logprobs_with_prompts_of_one_length(build_tiny_policy, compactions):
    policy = build_tiny_policy(4)
    prompts = [[1, 5, 6], [1, 7, 7]] * 20
    responses = sample_responses(policy, prompts, 10, rng())
    assert compactions
    for row, (prompt, response) in enumerate(zip(prompts, responses.as_lists(), strict=True)):
        expected = forward_logprobs(policy, prompt, response)
        sampled = responses.logprobs[row, : len(response)]
        torch.testing.assert_close(sampled, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("has_own_decoder", [True, False])
def test_each_prompt_is_read_once(
    build_tiny_policy, ragged_prompts, compactions, monkeypatch, has_own_decoder
):
    """And its rows draw what each draws alone, from the same random numbers."""
    policy = build_tiny_policy(3) if has_own_decoder else twin_of(build_tiny_policy(3))
    prompts = [ragged_prompts[row] for row in np.random.default_rng(0).integers(0, 5, 60)]
    alone = sample_responses(policy, prompts, 12, rng(), batch_size=1)
    read: list[list[int]] = []

    def reading_decoder(policy, prompts, max_response_tokens):
        read.extend(map(list, prompts))
        return decoders.decoder_of(policy, prompts, max_response_tokens)

    monkeypatch.setattr(sampling, "decoder_of", reading_decoder)
    together = sample_responses(policy, prompts, 12, rng(), batch_size=60)
    assert sorted(read) == sorted(ragged_prompts[:5])
    assert bool(compactions) == has_own_decoder
    assert len(set(together.lengths.tolist())) > 5
    assert torch.equal(together.ids, alone.ids)
    assert torch.equal(together.is_cut, alone.is_cut)
    torch.testing.assert_close(together.logprobs, alone.logprobs, atol=1e-5, rtol=0)


def test_some_rows_draw_what_they_draw_among_all(build_tiny_policy, ragged_prompts):
    policy, prompts = build_tiny_policy(3), ragged_prompts * 20
    among_all = sample_responses(policy, prompts, 12, rng(), batch_size=7)
    rows = torch.arange(3, len(prompts), 4)
    uniforms = torch.rand(len(prompts), 12, generator=rng())
    some = responses_at(policy, [prompts[row] for row in rows.tolist()], uniforms[rows])
    assert torch.equal(some.ids, among_all.ids[rows])
    assert torch.equal(some.is_cut, among_all.is_cut[rows])


def test_a_finished_row_stays_finished(build_tiny_policy, ragged_prompts):
    # Finished rows go on as ballast for a while and draw more tokens, `<eos>` among them.
    responses = sample_responses(build_tiny_policy(0, 1.0), ragged_prompts * 100, 12, rng())
    assert_well_formed(responses, 12)
    assert len(set(responses.lengths.tolist())) == 12


def test_lengths_are_not_searched_by_id(build_tiny_policy, ragged_prompts):
    responses = sample_responses(build_tiny_policy(0, 1.0), ragged_prompts * 50, 12, rng())
    for special in (PAD, BOS):
        inside = [row for row in responses.as_lists() if special in row[:-1]]
        assert len(inside) > 20
        assert {row[-1] == EOS for row in inside} == {True, False}
    assert any(row[-1] == PAD and row[-2] == PAD for row in responses.as_lists())
    assert_well_formed(responses, 12)


def test_sequences_are_distributed_as_the_policy_says(build_tiny_policy, compactions):
    policy = build_tiny_policy(6, 2.0, vocabulary_size=5, num_layers=1)
    prompts, number = [[1, 3, 4], [1]], 6000
    responses = sample_responses(policy, prompts * number, 3, rng()).as_lists()
    assert compactions
    for index, prompt in enumerate(prompts):
        expected = sequence_probabilities(policy, prompt, 3)
        assert sum(expected.values()) == pytest.approx(1)
        assert len(expected) == 1 + 4 + 16 * 5
        assert_distributed(Counter(map(tuple, responses[index::2])), expected, number)


def test_no_token_is_suppressed_and_one_token_is_enough(build_tiny_policy):
    policy, prompt, number = build_tiny_policy(2, 2.0), [1, 3], 20_000
    responses = sample_responses(policy, [prompt] * number, 1, rng())
    assert responses.ids.shape == (number, 1)
    assert (responses.lengths == 1).all()
    expected = dict(enumerate(next_token_probabilities(twin_of(policy), prompt)))
    assert min(expected.values()) > 1e-3  # a truncated tail would be seen
    assert max(expected.values()) > 0.2
    assert_distributed(Counter(responses.ids[:, 0].tolist()), expected, number)


@pytest.mark.parametrize("invert", [sampling._invert, sampling._invert_by_integers])
@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-24])
def test_an_impossible_token_is_never_drawn(monkeypatch, uniform, invert):
    """At both ends of the interval the random numbers come from."""
    monkeypatch.setattr(sampling, "_invert", invert)
    logits = torch.randn(500, 6, generator=rng())
    logits[:, 0] = logits[:, -1] = -torch.inf
    tokens, logprobs = sampling._draw(logits, torch.full((500, 1), uniform))
    assert set(tokens.tolist()) == {1 if uniform == 0 else 4}
    assert logprobs.isfinite().all()


def test_sums_of_integers_draw_the_same_tokens():
    """What a GPU adds up in integers, and a processor in floating-point numbers."""
    probabilities = (6 * torch.randn(4000, 3000, generator=rng())).softmax(-1)
    uniform = torch.rand(4000, 1, generator=rng(1))
    same = sampling._invert(probabilities, uniform) == sampling._invert_by_integers(
        probabilities, uniform
    )
    assert same.float().mean() > 0.999  # but where a number falls on a rounded border
    probabilities[:, 7] = 1 - probabilities.sum(-1) + probabilities[:, 7]
    assert sampling._invert_by_integers(probabilities, 0 * uniform).min() == 0


@pytest.fixture
def as_on_a_gpu(monkeypatch) -> None:
    """The loop as it runs on a GPU: random numbers first, few checks, sums of integers."""
    monkeypatch.setattr(sampling, "_invert", sampling._invert_by_integers)
    monkeypatch.setattr(sampling, "_is_cpu", lambda device: False)


@pytest.mark.parametrize("number", [1, 40])
def test_the_loop_of_a_gpu_is_well_formed(
    build_tiny_policy, ragged_prompts, compactions, as_on_a_gpu, number
):
    policy, prompts = build_tiny_policy(0, 1.0), ragged_prompts * number
    responses = sample_responses(policy, prompts, 14, rng())
    assert_well_formed(responses, 14)
    assert len(compactions) == (number > 1)  # at the eighth step alone
    for row, (prompt, response) in enumerate(zip(prompts, responses.as_lists(), strict=True)):
        expected = forward_logprobs(policy, prompt, response)
        sampled = responses.logprobs[row, : len(response)]
        torch.testing.assert_close(sampled, expected, atol=1e-5, rtol=0)


def test_the_loop_of_a_gpu_draws_the_policys_distribution(build_tiny_policy, as_on_a_gpu):
    policy = build_tiny_policy(6, 2.0, vocabulary_size=5, num_layers=1)
    prompt, number = [1, 3, 4], 6000
    responses = sample_responses(policy, [prompt] * number, 3, rng(2)).as_lists()
    expected = sequence_probabilities(policy, prompt, 3)
    assert_distributed(Counter(map(tuple, responses)), expected, number)


def test_both_loops_draw_the_same(build_tiny_policy, ragged_prompts, monkeypatch):
    policy, prompts = build_tiny_policy(5, 1.0), ragged_prompts * 20
    first = sample_responses(policy, prompts, 14, rng())
    monkeypatch.setattr(sampling, "_is_cpu", lambda device: False)
    second = sample_responses(policy, prompts, 14, rng())
    assert torch.equal(first.ids, second.ids)
    assert torch.equal(first.is_cut, second.is_cut)


def test_a_batch_is_bounded_by_the_memory_of_its_cache(build_tiny_policy, monkeypatch):
    policy = build_tiny_policy()  # 2 layers of 8 numbers of 4 bytes, keys and values; 11 words
    assert cache_bytes_per_token(policy) == 2 * 2 * 8 * 4
    assert sampling_batch_size(policy, 34) == 1024
    row = 34 * 128 + 28 * 11
    monkeypatch.setattr(sampling_batch, "SAMPLING_BYTES", 10 * row + 1)
    assert sampling_batch_size(policy, 34) == 10
    assert sampling_batch_size(policy, 68) == 5
    assert sampling_batch_size(policy, 10_000) == 1


def test_every_policy_of_the_embedded_studies_is_drawn_1024_at_once(monkeypatch):
    """Or their responses would change."""
    for name in ("config", "study", "test", "robustness", "human"):
        config = yaml.safe_load((CONFIG / f"{name}.yaml").read_text())
        length = sum(config["text"].values())
        for size in config["policies"].values():
            shape = TransformerConfig(
                **{key: size[key] for key in ("hidden_size", "num_layers", "num_heads")}
            )
            policy = build_policy(shape, 4096, length, rng())
            assert sampling_batch_size(policy, length) == 1024


def test_settings_of_generate_do_not_leak_in(build_tiny_policy, ragged_prompts):
    policy = twin_of(build_tiny_policy(5))
    plain = sample_responses(policy, ragged_prompts * 20, 8, rng())
    policy.generation_config.update(
        do_sample=True, top_k=1, temperature=0.1, suppress_tokens=[EOS], repetition_penalty=9.0
    )
    assert torch.equal(sample_responses(policy, ragged_prompts * 20, 8, rng()).ids, plain.ids)


def test_deterministic_policies_agree_with_generate(build_tiny_policy, ragged_prompts):
    lengths: set[int] = set()
    width = max(map(len, ragged_prompts))
    padded = torch.as_tensor(pad_right([p[::-1] for p in ragged_prompts], PAD, width)).flip(1)
    is_token = torch.arange(width) >= torch.tensor([[width - len(p)] for p in ragged_prompts])
    for seed in range(4):
        policy = build_tiny_policy(seed, 1000.0)
        with torch.no_grad():
            policy.transformer.wte.weight[EOS] *= 3  # or none would end
        generated = twin_of(policy).generate(
            padded, attention_mask=is_token.long(), do_sample=False, max_new_tokens=12
        )[:, width:]
        responses = sample_responses(policy, ragged_prompts, 12, rng())
        assert torch.equal(responses.ids[:, : generated.shape[1]], generated)
        assert int(responses.lengths.max()) == generated.shape[1]
        assert len({tuple(row) for row in responses.as_lists()}) > 2
        lengths |= set(responses.lengths.tolist())
    assert len(lengths) > 3
    assert 12 in lengths


def test_one_seed_gives_the_same_responses(build_tiny_policy, ragged_prompts):
    policy, prompts = build_tiny_policy(), ragged_prompts * 10
    first, again, other = (sample_responses(policy, prompts, 8, rng(s)) for s in (1, 1, 2))
    assert torch.equal(first.ids, again.ids)
    assert torch.equal(first.logprobs, again.logprobs)
    assert not torch.equal(first.ids, other.ids)
    generator = rng(1)
    sample_responses(policy, prompts, 8, generator)
    assert not torch.equal(sample_responses(policy, prompts, 8, generator).ids, first.ids)


def test_the_global_random_state_is_neither_used_nor_moved(build_tiny_policy, ragged_prompts):
    policy, state = build_tiny_policy(), torch.get_rng_state()
    first = sample_responses(policy, ragged_prompts, 8, rng())
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    assert torch.equal(sample_responses(policy, ragged_prompts, 8, rng()).ids, first.ids)
