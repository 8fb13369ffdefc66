"""A checkpoint that is not quite the model its config describes is told so, and refused."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from classifiers import save_classifier
from overopt.errors import UserError
from overopt.models.transformers_models import load_checkpoint

CLASSIFIER, POLICY = AutoModelForSequenceClassification, AutoModelForCausalLM


def change(folder: Path, add: dict | None = None, remove: tuple[str, ...] = ()) -> Path:
    """A checkpoint with other tensors in its file."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    for name in remove:
        del tensors[name]
    added = {name: torch.ones(shape) for name, shape in (add or {}).items()}
    save_file({**tensors, **added}, path, metadata={"format": "pt"})
    return folder


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    save_classifier("llama", tmp_path / "classifier")
    return tmp_path / "classifier"


@pytest.fixture
def policy(tmp_path: Path, classifier: Path) -> Path:
    model = CLASSIFIER.from_pretrained(classifier)
    POLICY.from_config(model.config).save_pretrained(tmp_path / "policy")
    return tmp_path / "policy"


def test_more_layers_than_the_config_says(classifier):
    path = classifier / "config.json"
    config = json.loads(path.read_text()) | {"num_hidden_layers": 1}
    path.write_text(json.dumps(config))
    words = (
        r"holds 9 of 21 tensors that would be dropped: model\.layers\.1\..* and 5 more, layers up "
        r"to number 2, but config.json has num_hidden_layers 1\. Mend config.json"
    )
    with pytest.raises(UserError, match=words):
        load_checkpoint(CLASSIFIER, classifier)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("score2.weight", (1, 16)),
        ("v_head.weight", (1, 16)),
        ("score.bias", (1,)),
        ("model.layers.0.self_attn.q_proj.bias", (16,)),
        ("model.layers.0.attn.bias", (16,)),
        ("model.layers.0.self_attn.q_proj.lora_A.weight", (2, 16)),
        ("model.layers.0.self_attn.q_proj.weight_scale", (1,)),
    ],
)
def test_surplus_weights_that_matter_are_refused_by_name(classifier, name, shape):
    change(classifier, {name: shape})
    with pytest.raises(UserError, match=f"would be dropped: {name}, which a LlamaForSequence"):
        load_checkpoint(CLASSIFIER, classifier)


def test_a_score_in_the_file_of_a_language_model_is_refused(policy):
    change(policy, {"score.weight": (1, 16)})
    with pytest.raises(UserError, match="would be dropped: score.weight, which a LlamaForCausalLM"):
        load_checkpoint(POLICY, policy)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("model.embeddings.position_ids", (1, 256)),
        ("model.rotary_pos_emb.inv_freq", (4,)),
        ("model.layers.0.attn.bias", (1, 1, 8, 8)),
        ("model.layers.0.attn.masked_bias", ()),
        ("model.pooler.dense.weight", (16, 16)),
        ("lm_head.weight", (13, 16)),
        ("cls.predictions.bias", (13,)),
    ],
)
def test_harmless_surplus_is_named_and_changes_nothing(classifier, name, shape, capsys):
    before = load_checkpoint(CLASSIFIER, classifier).state_dict()
    change(classifier, {name: shape})
    after = load_checkpoint(CLASSIFIER, classifier).state_dict()
    assert f"left out, since no output depends on them: {name}" in capsys.readouterr().out
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_a_value_head_beside_a_policy_is_harmless(policy, capsys):
    change(policy, {"v_head.summary.weight": (1, 16), "v_head.summary.bias": (1,)})
    load_checkpoint(POLICY, policy)
    assert "v_head.summary.bias, v_head.summary.weight" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("heads", "words"),
    [
        ({"v_head.weight": (1, 16)}, "rename in model.safetensors: v_head.weight to score.weight$"),
        (
            {"value_head.summary.weight": (1, 16), "value_head.summary.bias": (1,)},
            "rename in model.safetensors: value_head.summary.weight to score.weight, and remove "
            "value_head.summary.bias",
        ),
        (
            {"score.0.weight": (16, 16), "score.0.bias": (16,), "score.2.weight": (1, 16)},
            "score.0.weight and score.2.weight are several layers, which no renaming",
        ),
        ({"head.weight": (2, 16)}, "it lacks score.weight, and holds head.weight, .* Check"),
        ({}, "it lacks score.weight. Check the path"),
    ],
)
def test_a_head_of_another_name_is_named_with_the_renaming(classifier, heads, words):
    change(classifier, heads, remove=("score.weight",))
    with pytest.raises(UserError, match=words):
        load_checkpoint(CLASSIFIER, classifier)


def test_the_renaming_that_is_told_serves(classifier):
    expected = load_file(classifier / "model.safetensors")["score.weight"]
    path = classifier / "model.safetensors"
    tensors = load_file(path)
    tensors["v_head.weight"] = tensors.pop("score.weight")
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"v_head.weight to score.weight"):
        load_checkpoint(CLASSIFIER, classifier)
    tensors["score.weight"] = tensors.pop("v_head.weight")
    save_file(tensors, path, metadata={"format": "pt"})
    assert torch.equal(load_checkpoint(CLASSIFIER, classifier).score.weight, expected)


def test_a_head_of_two_layers_is_named_for_a_classifier_that_has_two(tmp_path):
    save_classifier("roberta", tmp_path / "source")
    path = tmp_path / "source" / "model.safetensors"
    tensors = {k.replace("classifier.", "head."): v for k, v in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})
    words = "head.dense.bias to classifier.dense.bias, .*head.out_proj.bias to classifier.out_proj"
    with pytest.raises(UserError, match=words):
        load_checkpoint(CLASSIFIER, tmp_path / "source")


def test_tied_output_layers_and_shards_are_no_surplus(tmp_path, policy):
    model = POLICY.from_pretrained(policy)
    model.save_pretrained(tmp_path / "shards", max_shard_size="10KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    load_checkpoint(POLICY, tmp_path / "shards")
    shard = sorted((tmp_path / "shards").glob("*.safetensors"))[0]
    save_file({**load_file(shard), "extra.weight": torch.ones(2, 2)}, shard, {"format": "pt"})
    with pytest.raises(UserError, match="extra.weight"):
        load_checkpoint(POLICY, tmp_path / "shards")
