"""Adapters: only they are trained, and what is written is an ordinary model."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForSequenceClassification

from architectures import random_model
from library_twins import twin_of
from overopt.config.policy import LanguageModelSettings
from overopt.jobs.job import Job
from overopt.models.loading import build_reward_model, load_policy
from overopt.models.training.lora import add_adapters, merge_adapters
from overopt.models.training.state import TrainingState
from overopt.policy.sampling import sample_responses
from overopt.policy.sft import LanguageModelLoss, fit_to_demonstrations, train_language_model
from process_examples import TEXT, toy_responses

IDS = torch.randint(11, (3, 9), generator=torch.Generator().manual_seed(0))
NAMES = ["Pythia", "Llama", "GPT-2, weights scaled by layer"]


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def settings(**optimization: object) -> LanguageModelSettings:
    defaults = {"learning_rate": 1e-2, "batch_size": 7, "num_epochs": 2}
    return LanguageModelSettings.model_validate(
        {
            "shape": {"hidden_size": 8, "num_layers": 1, "num_heads": 2},
            "optimization": defaults | optimization,
            "text": TEXT,
            "numerics": {"lora_rank": 2},
            "seed": 0,
        }
    )


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_adapters_start_at_nothing_and_merge_into_the_weights(name):
    model = random_model(name)
    names = [key for key, _ in model.named_parameters()]
    before = model(IDS).logits
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    add_adapters(model, 2, rng())
    assert torch.equal(torch.rand(3), expected)  # the global random state did not move
    assert torch.equal(model(IDS).logits, before)
    trained = [key for key, parameter in model.named_parameters() if parameter.requires_grad]
    assert trained
    assert all("lora_" in key for key in trained)
    for key, parameter in model.named_parameters():
        if "lora_B" in key:
            parameter.normal_(0, 0.3, generator=rng())
    adapted = model(IDS).logits
    assert (adapted - before).abs().max() > 0.1
    merge_adapters(model)
    torch.testing.assert_close(model(IDS).logits, adapted, atol=1e-4, rtol=1e-4)
    assert [key for key, _ in model.named_parameters()] == names
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_same_seed_draws_the_same_adapters():
    drawn = []
    for seed in (0, 0, 1):
        model = random_model("Pythia")
        add_adapters(model, 2, torch.Generator().manual_seed(seed))
        parameters = [p for name, p in model.named_parameters() if "lora_A" in name]
        drawn.append(torch.cat([parameter.flatten() for parameter in parameters]))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_without_a_rank_nothing_changes():
    model = random_model("Pythia")
    names = set(model.state_dict())
    add_adapters(model, None, rng())
    merge_adapters(model)
    assert set(model.state_dict()) == names


def test_the_score_head_is_trained_in_full():
    model = build_reward_model(random_model("Pythia"))
    add_adapters(model, 2, rng())
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert "score.weight" in trained
    assert all(name == "score.weight" or "lora_" in name for name in trained)


def test_training_lowers_the_loss_and_leaves_the_body_alone(build_tiny_policy):
    policy = build_tiny_policy(0, 1.0)
    before = {name: weight.clone() for name, weight in twin_of(policy).state_dict().items()}
    policy = add_adapters(policy, 4, rng())
    losses = train_language_model(
        policy, *toy_responses(210), settings(num_epochs=4), TrainingState(None)
    )
    assert losses[-20:].mean() < losses[:5].mean() - 0.1
    after = policy.state_dict()
    for name, weight in before.items():
        adapted = name.replace(".weight", ".base_layer.weight").replace(".bias", ".base_layer.bias")
        assert torch.equal(after[adapted if adapted in after else name], weight), name
    # The sampler reads the adapters too.
    prompts, shorter = toy_responses(50)[0], TEXT["max_response_tokens"]
    sampled = sample_responses(policy, prompts, shorter, rng())
    merge_adapters(policy)
    merged = sample_responses(policy, prompts, shorter, rng())
    assert torch.equal(sampled.ids, merged.ids)


def test_a_killed_training_goes_on_to_the_same_bits_without_keeping_the_body(
    build_tiny_policy, tmp_path, monkeypatch
):
    def train(state: TrainingState, killed_at: int | None = None):
        policy, calls = add_adapters(build_tiny_policy(0, 1.0), 2, rng()), 0
        forward = LanguageModelLoss.forward

        def dying(*arguments):
            nonlocal calls
            calls += 1
            if calls == killed_at:
                raise KeyboardInterrupt
            return forward(*arguments)

        with monkeypatch.context() as patched:
            patched.setattr(LanguageModelLoss, "forward", dying)
            losses = train_language_model(policy, *toy_responses(70), settings(), state)
        return losses.tolist(), policy.state_dict()

    losses, weights = train(TrainingState(None))
    path = tmp_path / "state.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(TrainingState(path, "x", seconds_between_saves=0), killed_at=9)
    with safe_open(path, "pt") as file:
        kept = [name for name in file.keys() if name.startswith("model.")]  # noqa: SIM118
    assert kept
    assert all("lora_" in name for name in kept)
    resumed, found = train(TrainingState(path, "x"))
    assert resumed == losses
    assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_the_checkpoint_is_an_ordinary_model(tmp_path, tokenizer_dir):
    table = pd.DataFrame({"prompt": ["a b", "c"] * 8, "response": ["d", "e f"] * 8})
    table.to_parquet(tmp_path / "demonstrations.parquet")
    plain = settings().model_copy(update={"numerics": type(settings().numerics)()})
    for folder, some in (("adapted", settings()), ("plain", plain)):
        fit_to_demonstrations(
            Job("x"), some, tmp_path / "demonstrations.parquet", tokenizer_dir, tmp_path / folder
        )
    adapted, whole = tmp_path / "adapted", tmp_path / "plain"
    assert {p.name for p in adapted.iterdir()} == {p.name for p in whole.iterdir()}
    assert load_policy(adapted).config == load_policy(whole).config
    shapes = []
    for folder in (adapted, whole):
        with safe_open(folder / "model.safetensors", "pt") as file:
            shapes.append({k: file.get_slice(k).get_shape() for k in file.keys()})  # noqa: SIM118
    assert shapes[0] == shapes[1]
    weights = load_policy(adapted).state_dict()
    assert all(np.isfinite(weight.numpy()).all() for weight in weights.values())
    numbers = [json.loads((folder / "metrics.json").read_text()) for folder in (adapted, whole)]
    assert numbers[0]["num_parameters"] == numbers[1]["num_parameters"]


def test_a_reward_model_that_was_adapted_reads_as_one_of_transformers(tmp_path):
    model = build_reward_model(random_model("Pythia"))
    add_adapters(model, 2, rng())
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(0, 0.3, generator=rng())
        merge_adapters(model)
        model.save_pretrained(tmp_path)
        theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path)
        torch.testing.assert_close(
            theirs.eval().base_model(IDS)[0], model.eval().base_model(IDS)[0]
        )
