"""States only where they are read: those of the whole forward pass of transformers."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from architectures import random_model
from library_twins import twin_of
from overopt.models import distinct_prefixes, hidden_states
from overopt.models.architecture import Policy, backbone_of
from overopt.models.gpt2 import GPT2Policy
from overopt.models.hidden_states import states_at, states_at_ends
from overopt.models.loading import load_policy
from overopt.models.training.accelerator import recompute_activations
from overopt.models.training.lora import add_adapters


def sequences_that_share(num: int, width: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Ids (num, width) with four prefixes of five tokens, and lengths of 6 to `width` tokens."""
    rng = np.random.default_rng(seed)
    prefixes = rng.integers(0, 11, (4, 5))
    ids = rng.integers(0, 11, (num, width))
    ids[:, :5] = prefixes[rng.integers(0, 4, num)]
    return ids, rng.integers(6, width + 1, num)


def by_transformers(twin: PreTrainedModel, ids: np.ndarray) -> torch.Tensor:
    return twin.base_model(input_ids=torch.as_tensor(ids), use_cache=False).last_hidden_state


def gelu_model(_: object) -> GPT2Policy:
    """As GPT-2 was published, but small."""
    torch.manual_seed(0)
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    settings = GPT2Config(vocab_size=11, n_embd=16, n_layer=3, n_head=4, n_positions=24, **ids)
    with tempfile.TemporaryDirectory() as folder:
        GPT2LMHeadModel(settings).save_pretrained(folder)
        policy = load_policy(Path(folder))
    assert isinstance(policy, GPT2Policy)
    assert policy.config.activation_function == "gelu_new"
    return policy


BuildPolicy = Callable[..., GPT2Policy]


def one_block(build: BuildPolicy) -> GPT2Policy:
    return build(num_layers=1)


def adapted(build: BuildPolicy) -> Policy:
    policy = add_adapters(build(), 2, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(0))
    return policy


def recomputing(build: BuildPolicy) -> GPT2Policy:
    policy = build(num_layers=3)
    recompute_activations(policy)
    return policy.train()


def pythia(_: object):
    return random_model("Pythia")


def scaled_by_layer(_: object):
    return random_model("GPT-2, weights scaled by layer")


def three_blocks(build: BuildPolicy) -> GPT2Policy:
    return build(num_layers=3)


ALL = [three_blocks, one_block, gelu_model, adapted, recomputing, pythia, scaled_by_layer]


WAYS = {
    "short sequences": lambda patch: None,
    "long sequences": lambda patch: patch.setattr(distinct_prefixes, "LONGEST", 0),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ALL)
def test_states_and_gradients_equal_those_of_transformers(
    kind, way, build_tiny_policy, monkeypatch
):
    WAYS[way](monkeypatch)
    model = kind(build_tiny_policy)
    twin = twin_of(model)
    ids, lengths = sequences_that_share(20)
    tokens, ends = torch.as_tensor(ids), torch.as_tensor(lengths)
    assert len(np.unique(ids[:, :5], axis=0)) == 4
    places = torch.as_tensor(np.random.default_rng(1).permutation(ids.size)[:50])
    parameters, theirs = (
        {name: p for name, p in backbone_of(some).named_parameters() if p.requires_grad}
        for some in (model, twin)
    )
    assert list(parameters) == list(theirs)

    def checked(states: torch.Tensor, expected: torch.Tensor) -> None:
        torch.testing.assert_close(states, expected, atol=1e-5, rtol=1e-5)
        gradients, wanted = (
            torch.autograd.grad(
                (some * some.detach().cos()).sum(), [*of.values()], allow_unused=True
            )
            for some, of in ((states, parameters), (expected, theirs))
        )
        for one, other in zip(gradients, wanted, strict=True):
            torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-4)

    at_ends = by_transformers(twin, ids)[torch.arange(20), ends - 1]
    checked(states_at_ends(model, tokens, ends), at_ends)
    checked(states_at(model, tokens, places), by_transformers(twin, ids).flatten(0, 1)[places])


def test_models_from_scratch_do_not_go_through_the_whole_forward_pass(
    build_tiny_policy, monkeypatch
):
    """Else the test above would compare transformers with itself."""
    seen = []
    states = hidden_states._gpt2_states
    monkeypatch.setattr(
        hidden_states,
        "_gpt2_states",
        lambda *given, **named: seen.append(1) or states(*given, **named),
    )
    ids, _ = sequences_that_share(3)
    taken = {}
    for kind in ALL:
        seen.clear()
        states_at(kind(build_tiny_policy), torch.as_tensor(ids), torch.tensor([4, 7]))
        taken[kind] = bool(seen)
    assert [kind for kind in ALL if taken[kind]] == [
        three_blocks,
        one_block,
        gelu_model,
        recomputing,
    ]


@torch.no_grad()
@pytest.mark.parametrize("way", WAYS)
def test_tokens_after_the_end_change_nothing(way, build_tiny_policy, monkeypatch):
    WAYS[way](monkeypatch)
    model = build_tiny_policy(num_layers=3)
    ids, lengths = sequences_that_share(20)
    other, _ = sequences_that_share(20, seed=5)
    garbage = np.where(np.arange(12) < lengths[:, None], ids, other)
    ends = torch.as_tensor(lengths)
    states, with_garbage = (
        states_at_ends(model, torch.as_tensor(some), ends) for some in (ids, garbage)
    )
    assert torch.equal(states, with_garbage)


def test_states_in_bf16_are_near_those_in_fp32(build_tiny_policy):
    model = build_tiny_policy(num_layers=3)
    ids, lengths = sequences_that_share(20)
    sequences, ends = torch.as_tensor(ids), torch.as_tensor(lengths)
    expected = states_at_ends(model, sequences, ends)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = states_at_ends(model, sequences, ends)
    torch.testing.assert_close(states.float(), expected, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("way", WAYS)
def test_tensors_are_made_on_the_device_of_the_ids(way, build_tiny_policy, monkeypatch):
    """Torch's default device stands in for another one: what is made there cannot meet the ids."""
    WAYS[way](monkeypatch)
    model = build_tiny_policy(num_layers=2)
    ids, lengths = sequences_that_share(20)
    tokens, ends, places = torch.as_tensor(ids), torch.as_tensor(lengths), torch.arange(3, 60, 7)
    expected = states_at_ends(model, tokens, ends), states_at(model, tokens, places)
    with torch.device("meta"):
        found = states_at_ends(model, tokens, ends), states_at(model, tokens, places)
        with pytest.raises(RuntimeError):
            tokens + torch.arange(ids.shape[1])
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


# Which prefixes are distinct


@pytest.mark.parametrize("seed", range(20))
def test_every_prefix_that_is_read_is_there_once(seed):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 3, (rng.integers(1, 30), rng.integers(1, 10)))
    last = rng.integers(0, ids.shape[1], len(ids))
    number, places = distinct_prefixes.distinct_prefixes(ids, last)
    prefixes = [
        tuple(ids[row, : column + 1])
        for row, column in zip(*np.divmod(places, ids.shape[1]), strict=True)
    ]
    read = [(row, column) for row in range(len(ids)) for column in range(last[row] + 1)]
    wanted = {cell: tuple(ids[cell[0], : cell[1] + 1]) for cell in read}
    assert sorted(prefixes) == sorted(set(wanted.values()))
    assert all(prefixes[number[cell]] == prefix for cell, prefix in wanted.items())
    assert number.min() >= 0 and number.max() < len(prefixes)
