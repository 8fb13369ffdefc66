"""Checkpoints that transformers reads by itself, and the counts and weights they start with."""

import math

import pytest
import torch
from safetensors import safe_open
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
)

from library_twins import twin_of
from overopt.config.training import TransformerConfig
from overopt.errors import UserError
from overopt.models.gpt2 import GPT2Policy, GPT2RewardModel
from overopt.models.loading import (
    build_policy,
    build_reward_model,
    load_policy,
    load_reward_model,
    num_parameters,
    save_model,
)

IDS = torch.tensor([[1, 3, 4, 0, 5, 2], [1, 10, 9, 8, 2, 7]])


def shape(hidden_size: int, num_layers: int, num_heads: int) -> TransformerConfig:
    return TransformerConfig(hidden_size=hidden_size, num_layers=num_layers, num_heads=num_heads)


def built(seed: int = 0, hidden_size: int = 16, num_layers: int = 2):
    generator = torch.Generator().manual_seed(seed)
    return build_policy(shape(hidden_size, num_layers, 2), 11, 20, generator)


def parameters_by_hand(hidden: int, num_layers: int) -> int:
    layer_norm = 2 * hidden
    attention = hidden * 3 * hidden + 3 * hidden + hidden * hidden + hidden
    mlp = hidden * 4 * hidden + 4 * hidden + 4 * hidden * hidden + hidden
    return num_layers * (2 * layer_norm + attention + mlp) + layer_norm


def test_num_parameters_by_hand():
    for hidden, num_layers, policy_size in ((4, 1, 252), (8, 1, 888), (64, 3, 150_080)):
        policy = built(0, hidden, num_layers)
        assert num_parameters(policy) == parameters_by_hand(hidden, num_layers) == policy_size
        # The head of a reward model counts, embeddings and the tied output layer do not.
        assert num_parameters(build_reward_model(policy)) == policy_size + hidden
    assert num_parameters(build_reward_model(built(0, 4, 1))) == 256


def test_the_generator_alone_decides_the_weights():
    torch.manual_seed(0)
    first = built(7).state_dict()
    torch.manual_seed(1)
    again, other = built(7).state_dict(), built(8).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["transformer.wte.weight"], other["transformer.wte.weight"])


def test_initial_weights_are_scaled_by_fan_in():
    policy = built(0, 96, 3)
    for name, weight in policy.transformer.named_parameters():
        if name.endswith(("attn.c_attn.weight", "mlp.c_fc.weight")):
            expected = 0.8 / math.sqrt(96)
        elif name.endswith("attn.c_proj.weight"):
            expected = 1 / math.sqrt(2 * 3 * 96)
        elif name.endswith("mlp.c_proj.weight"):
            expected = 1 / math.sqrt(2 * 3 * 4 * 96)
        elif name.endswith("bias"):
            assert not weight.any()
            continue
        else:
            continue
        assert weight.std().item() == pytest.approx(expected, rel=0.05), name


def test_nothing_is_dropped_in_training_mode():
    policy = built()
    reward_model = build_reward_model(policy)
    torch.nn.init.ones_(reward_model.score.weight)
    for model in (twin_of(policy), twin_of(reward_model)):
        evaluated, trained = model.eval()(IDS).logits, model.train()(IDS).logits
        assert torch.equal(evaluated, trained)


def test_a_policy_loads_with_the_auto_class(tmp_path, build_tiny_policy):
    policy = build_tiny_policy(1)
    save_model(policy, tmp_path)
    loaded, theirs = load_policy(tmp_path), AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(loaded) is type(policy) is GPT2Policy
    assert type(theirs) is GPT2LMHeadModel
    assert not loaded.training
    assert loaded.config == policy.config
    assert theirs.lm_head.weight is theirs.transformer.wte.weight
    ids = ("pad_token_id", "bos_token_id", "eos_token_id")
    for settings in (loaded.config, theirs.config, theirs.generation_config):
        assert [getattr(settings, name) for name in ids] == [0, 1, 2]
    for model in (loaded, policy):
        assert torch.equal(twin_of(model)(IDS).logits, theirs(IDS).logits)
    weights = theirs.transformer.state_dict()
    for name, weight in loaded.transformer.state_dict().items():
        assert torch.equal(weights.pop(name), weight)
    assert not weights


def test_a_reward_model_loads_with_the_auto_class(tmp_path, build_tiny_reward_model):
    reward_model = build_tiny_reward_model(1)
    save_model(reward_model, tmp_path)
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    loaded = load_reward_model(tmp_path)
    assert type(loaded) is type(reward_model) is GPT2RewardModel
    assert not loaded.training
    assert theirs.config.num_labels == 1
    assert theirs(IDS).logits.shape == (2, 1)
    for model in (loaded, reward_model):
        assert torch.equal(twin_of(model)(IDS).logits, theirs(IDS).logits)


@pytest.mark.parametrize(
    "changed",
    [
        {"scale_attn_by_inverse_layer_idx": True},
        {"scale_attn_weights": False},
        {"activation_function": "silu"},
        {"n_inner": 24},
        {"tie_word_embeddings": False},
    ],
)
def test_a_gpt2_of_another_kind_is_read_by_transformers(tmp_path, changed):
    """Ours would compute something else."""
    torch.manual_seed(0)
    settings = {"n_embd": 8, "n_layer": 2, "n_head": 2, "n_positions": 20, "vocab_size": 11}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    GPT2LMHeadModel(GPT2Config(**settings, **ids)).save_pretrained(tmp_path / "plain")
    assert type(load_policy(tmp_path / "plain")) is GPT2Policy
    theirs = GPT2LMHeadModel(GPT2Config(**settings, **ids, **changed)).eval()
    theirs.save_pretrained(tmp_path / "other")
    loaded = load_policy(tmp_path / "other")
    assert type(loaded) is GPT2LMHeadModel
    assert torch.equal(loaded(IDS).logits, theirs(IDS).logits)


def test_a_checkpoint_is_safetensors_and_json_only(
    tmp_path, build_tiny_policy, build_tiny_reward_model
):
    for name, model in (("policy", build_tiny_policy()), ("rm", build_tiny_reward_model())):
        save_model(model, tmp_path / "deep" / name)
        files = sorted((tmp_path / "deep" / name).iterdir())
        assert {file.suffix for file in files} == {".json", ".safetensors"}
        with safe_open(tmp_path / "deep" / name / "model.safetensors", "pt") as file:
            assert set(file.keys()) == set(model.state_dict())


def test_equal_models_are_equal_bytes(tmp_path, build_tiny_policy, build_tiny_reward_model):
    for kind, build in (("policy", build_tiny_policy), ("rm", build_tiny_reward_model)):
        for copy in ("first", "second"):
            save_model(build(3), tmp_path / kind / copy)
        load = {"policy": load_policy, "rm": load_reward_model}[kind]
        save_model(load(tmp_path / kind / "first"), tmp_path / kind / "resaved")
        save_model(build(3), tmp_path / kind / "first")  # over the old files
        names = {file.name for file in (tmp_path / kind / "first").iterdir()}
        assert {"config.json", "model.safetensors"} <= names
        for name in names:
            first, second, resaved = (
                (tmp_path / kind / copy / name).read_bytes()
                for copy in ("first", "second", "resaved")
            )
            assert first == second
            if name == "model.safetensors":
                assert first == resaved


def test_a_reward_model_starts_at_zero_on_a_copy_of_its_backbone(build_tiny_policy):
    policy = build_tiny_policy()
    reward_model = build_reward_model(policy)
    assert (twin_of(reward_model)(IDS).logits == 0).all()
    ours, theirs = reward_model.transformer.state_dict(), policy.transformer.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    before = twin_of(policy)(IDS).logits
    with torch.no_grad():
        for parameter in reward_model.parameters():
            parameter += 1
    assert torch.equal(twin_of(policy)(IDS).logits, before)


@pytest.mark.parametrize("load", [load_policy, load_reward_model])
def test_a_folder_without_a_checkpoint_is_the_users_mistake(tmp_path, load, build_tiny_policy):
    with pytest.raises(UserError, match=r"no config\.json there"):
        load(tmp_path / "missing")
    save_model(build_tiny_policy(), tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"no model\.safetensors there"):
        load(tmp_path)
