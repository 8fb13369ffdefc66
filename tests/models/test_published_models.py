"""Models that others published: fetched, read, and scored as their own pipelines score them."""

import json
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pandas as pd
import pytest
import torch
from huggingface_hub import errors
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

from overopt.config.model import CheckpointSettings
from overopt.config.policy import LanguageModelSettings
from overopt.config.reward_model import PublishedGoldRMSettings
from overopt.data.dialogue import conversation_of
from overopt.errors import UserError
from overopt.jobs.job import Job
from overopt.models.loading import build_reward_model, load_policy, save_model
from overopt.models.pipeline import read_own_tokenizer
from overopt.models.published_checkpoint import complete_special_tokens, prepare_checkpoint
from overopt.models.tokens import (
    copy_tokenizer,
    decode_responses,
    encode_prompts,
    encode_responses,
    join,
    load_tokenizer,
)
from overopt.policy.sampling import sample_responses
from overopt.policy.sft import fit_to_demonstrations
from overopt.reward_model.published_gold import take_as_gold_rm
from overopt.reward_model.scorer import have_same_tokenizer, load_scorer
from overopt.reward_model.scoring import score_sequences
from published_models import (
    CHAT_TEMPLATE,
    byte_level,
    chat_reward_model,
    pair_reward_model,
    pythia,
)

PROMPTS = [
    "\n\nHuman: Why does ice float?\n\nAssistant:",
    "Name a colour",
    "\n\nHuman: Hi\n\nAssistant: Hello. What is it?\n\nHuman: Naïve 漢字?\n\nAssistant:",
]
ANSWERS = [" It is lighter than water.", " Blue, I think.", " No idea — sorry."]
TEXTS = [prompt + answer for prompt in PROMPTS for answer in ANSWERS]
TEXT = {"max_prompt_tokens": 120, "max_response_tokens": 24}


def prepared(source: Path, folder: Path, role: str = "language_model") -> Path:
    folder.mkdir(parents=True)
    settings = CheckpointSettings(checkpoint=str(source), revision=None, role=role)
    prepare_checkpoint(Job("x"), settings, folder)
    return folder


@pytest.fixture(scope="module")
def policy_dir(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    return prepared(pythia(folder / "pythia", TEXTS), folder / "prepared")


def test_a_checkpoint_is_written_as_the_projects_own(policy_dir):
    assert {path.name for path in policy_dir.iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "source.json",
    }
    assert len(list((policy_dir.parent / "pythia").glob("*.safetensors"))) > 1
    published = AutoModelForCausalLM.from_pretrained(policy_dir.parent / "pythia").eval()
    ours = load_policy(policy_dir)
    assert published.dtype == torch.bfloat16
    assert ours.dtype == torch.float32
    assert all(
        torch.equal(ours.state_dict()[name], weight.float())
        for name, weight in published.state_dict().items()
    )
    assert (ours.config.pad_token_id, ours.config.bos_token_id, ours.config.eos_token_id) == (
        1,
        0,
        0,
    )
    assert ours.config.hidden_dropout == 0
    tokenizer = load_tokenizer(policy_dir)
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<|padding|>", "<|endoftext|>")
    assert (
        tokenizer(TEXTS)["input_ids"]
        == (AutoTokenizer.from_pretrained(policy_dir.parent / "pythia")(TEXTS)["input_ids"])
    )


def test_a_pretrained_policy_is_fine_tuned_or_taken_as_it_is(policy_dir, tmp_path):
    table = pd.DataFrame({"prompt": PROMPTS * 8, "response": ANSWERS * 8})
    table.to_parquet(tmp_path / "demonstrations.parquet")
    weights = {}
    for num_epochs in (0, 2):
        settings = LanguageModelSettings.model_validate(
            {
                "shape": None,
                "optimization": {
                    "learning_rate": 1e-3,
                    "batch_size": 8,
                    "num_epochs": num_epochs,
                },
                "text": TEXT,
                "seed": 0,
            }
        )
        folder = tmp_path / f"{num_epochs}-epochs"
        folder.mkdir()
        fit_to_demonstrations(
            Job("x"), settings, tmp_path / "demonstrations.parquet", policy_dir, folder
        )
        weights[num_epochs] = load_policy(folder).state_dict()
        assert have_same_tokenizer(folder, policy_dir)
        loss = json.loads((folder / "metrics.json").read_text())["training_loss"]
        assert (loss is None) == (num_epochs == 0)
    start = load_policy(policy_dir).state_dict()
    assert all(torch.equal(weights[0][name], start[name]) for name in start)
    assert any(not torch.equal(weights[2][name], start[name]) for name in start)


def sampled(policy_dir: Path) -> tuple[list[list[int]], list[list[int]]]:
    """Token ids of prompts and of responses, some of which are cut."""
    tokenizer, policy = load_tokenizer(policy_dir), load_policy(policy_dir)
    prompts = encode_prompts(tokenizer, PROMPTS, 120) * 6
    answers = encode_responses(tokenizer, ANSWERS, 24) * 2
    drawn = sample_responses(policy, prompts[6:], 24, torch.Generator().manual_seed(0)).as_lists()
    return prompts, [*answers, *drawn]


@pytest.mark.parametrize("publish", [chat_reward_model, pair_reward_model])
def test_scores_equal_those_of_the_models_own_pipeline(publish, policy_dir, tmp_path):
    source = publish(tmp_path / "published", TEXTS)
    checkpoint = prepared(source, tmp_path / "prepared", "reward_model")
    prompts, responses = sampled(policy_dir)
    texts = decode_responses(load_tokenizer(policy_dir), responses)
    human = pd.DataFrame({"prompt": PROMPTS, "chosen": ANSWERS, "rejected": ANSWERS[::-1]})
    human["split"] = "validation"
    human.to_parquet(tmp_path / "human.parquet")
    human[["prompt"]].to_parquet(tmp_path / "prompts.parquet")
    (tmp_path / "gold").mkdir()
    take_as_gold_rm(
        Job("x"),
        PublishedGoldRMSettings(num_validation=3),
        checkpoint,
        tmp_path / "prompts.parquet",
        tmp_path / "human.parquet",
        tmp_path / "gold",
    )
    scores = load_scorer(tmp_path / "gold", policy_dir).score(prompts, responses)
    assert scores.dtype == np.float32
    judge = pipeline("text-classification", str(source), function_to_apply="none", device="cpu")
    for prompt, text, score in zip(PROMPTS * 6, texts, scores, strict=True):
        if judge.tokenizer.chat_template:
            written = judge.tokenizer.apply_chat_template(
                conversation_of(prompt, text), tokenize=False
            )
            [expected] = judge([written], add_special_tokens=False)
        else:
            expected = judge({"text": prompt, "text_pair": text})
        assert score == pytest.approx(expected["score"], abs=1e-4)
    assert np.std(scores) > 0.05
    metrics = json.loads((tmp_path / "gold" / "metrics.json").read_text())
    assert metrics["num_validation"] == 3
    assert 0 <= metrics["validation_accuracy"] <= 1


def test_text_crosses_between_tokenizers_and_ids_do_not(policy_dir, tmp_path):
    other = prepared(pythia(tmp_path / "other", TEXTS[:3], seed=3), tmp_path / "prepared")
    assert not have_same_tokenizer(policy_dir, other)
    prompts, responses = sampled(policy_dir)
    ours, theirs = load_tokenizer(policy_dir), load_tokenizer(other)
    for folder, name in ((policy_dir, "same"), (other, "other")):
        reward_model = build_reward_model(load_policy(folder))
        with torch.no_grad():
            reward_model.score.weight.normal_(generator=torch.Generator().manual_seed(0))
        save_model(reward_model, tmp_path / name)
        copy_tokenizer(folder, tmp_path / name)
        found = load_scorer(tmp_path / name, policy_dir).score(prompts, responses)
        if name == "same":
            expected = score_sequences(reward_model, join(prompts, responses))
        else:
            texts = decode_responses(ours, responses)
            ended = [response[-1] == ours.eos_token_id for response in responses]
            assert set(ended) == {True, False}
            encoded = encode_responses(theirs, texts, 10**6)
            expected = score_sequences(
                reward_model,
                join(
                    encode_prompts(theirs, PROMPTS * 6, None),
                    [row if end else row[:-1] for row, end in zip(encoded, ended, strict=True)],
                ),
            )
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_pad_token_is_made_where_there_is_none(tmp_path):
    texts, end = TEXTS, "<|end|>"
    tokenizer = byte_level(texts, 290, [end], bos_token=end, eos_token=end)
    model = AutoModelForCausalLM.from_pretrained(pythia(tmp_path / "published", texts))
    complete_special_tokens("x", tokenizer, model)
    assert tokenizer.pad_token == "<pad>"
    assert tokenizer.pad_token_id == len(tokenizer) - 1 == model.config.pad_token_id


def test_a_published_reward_model_keeps_its_own_special_tokens(tmp_path):
    source = chat_reward_model(tmp_path / "published", TEXTS)
    folder = prepared(source, tmp_path / "prepared", "reward_model")
    tokenizer = read_own_tokenizer(folder)
    assert tokenizer.pad_token is None
    assert tokenizer.chat_template == CHAT_TEMPLATE
    assert json.loads((folder / "config.json").read_text())["pad_token_id"] is None


def test_a_text_longer_than_the_model_reads_is_refused(policy_dir, tmp_path):
    checkpoint = prepared(
        chat_reward_model(tmp_path / "published", TEXTS), tmp_path / "prepared", "reward_model"
    )
    config = json.loads((checkpoint / "config.json").read_text())
    config |= {"max_position_embeddings": 20, "published": {}}
    (checkpoint / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="which reads at most 20; lower"):
        load_scorer(checkpoint, policy_dir).score(*sampled(policy_dir))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_labels": 3, "id2label": {0: "a", 1: "b", 2: "c"}}, "a classifier with 3 labels"),
        ({"auto_map": {"AutoModel": "x.Y"}}, "code of the checkpoint's own"),
        ({"model_type": "unheard"}, "gives no model"),
    ],
)
def test_a_checkpoint_that_cannot_serve_is_refused(tmp_path, change, words):
    source = chat_reward_model(tmp_path / "published", TEXTS)
    config = json.loads((source / "config.json").read_text()) | change
    (source / "config.json").write_text(json.dumps(config))
    if "num_labels" in change:
        weights = __import__("safetensors.torch", fromlist=["x"])
        tensors = weights.load_file(source / "model.safetensors")
        tensors["score.weight"] = tensors["score.weight"].repeat(3, 1)
        weights.save_file(tensors, source / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=words):
        prepared(source, tmp_path / "prepared", "reward_model")


RESPONSE = SimpleNamespace(headers={}, request=None)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            errors.GatedRepoError("x", response=RESPONSE),
            "is gated; .* https://huggingface.co/a/b,",
        ),
        (
            errors.RepositoryNotFoundError("x", response=RESPONSE),
            "the hub has no model of this",
        ),
        (
            errors.RevisionNotFoundError("x", response=RESPONSE),
            "has no revision 0{40}; take .*/a/b/com",
        ),
        (
            errors.LocalEntryNotFoundError("x"),
            r"reached \(x\).* download a/b --rev.* as checkpoint",
        ),
        (errors.OfflineModeIsEnabled("x"), r"cannot be reached \(HF_HUB_OFFLINE is set\)"),
        (ValueError("strange\nthing"), r"cannot be fetched \(strange thing\)"),
    ],
)
def test_why_a_repository_was_not_fetched_is_one_sentence(tmp_path, monkeypatch, error, words):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    settings = CheckpointSettings(checkpoint="a/b", revision="0" * 40, role="language_model")
    with pytest.raises(UserError, match=words):
        prepare_checkpoint(Job("x"), settings, tmp_path)


def test_a_repository_of_the_hub_is_read_from_its_cache(tmp_path, monkeypatch):
    source = pythia(tmp_path / "snapshots" / ("c" * 40), TEXTS)
    asked = {}

    def fetch(repository: str, **options: object) -> str:
        asked.update(options, repository=repository)
        return str(source)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    settings = CheckpointSettings(checkpoint="a/b", revision="v1", role="language_model")
    folder = tmp_path / "prepared"
    folder.mkdir()
    prepare_checkpoint(Job("x"), settings, folder)
    assert (asked["repository"], asked["revision"]) == ("a/b", "v1")
    assert not any("bin" in pattern or "py" in pattern for pattern in asked["allow_patterns"])
    assert json.loads((folder / "source.json").read_text())["commit"] == "c" * 40
