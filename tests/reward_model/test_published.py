"""A published gold RM reads what its makers' pipeline reads, whatever its family or template."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from classifiers import FAMILIES, NOT_BUILT, save_classifier
from overopt.config.chat_format import ChatFormat
from overopt.config.model import CheckpointSettings
from overopt.config.reward_model import GoldRMConfig, PublishedGoldRMSettings
from overopt.errors import UserError
from overopt.jobs.job import Job
from overopt.models.published_checkpoint import prepare_checkpoint
from overopt.reward_model.fixed_template import stopped_clock
from overopt.reward_model.published import PublishedRewardModel, load_published, mark_as_published
from overopt.reward_model.published_gold import take_as_gold_rm
from overopt.reward_model.validation import require_distinctions
from published_models import chat_reward_model

PAIRS = [
    ("Why does ice float?", " It is lighter than water."),
    ("hi", " no"),
    ("the quick brown fox " * 5, " jumps over a lazy dog, quite often."),
    ("Name 3 colours", ""),
]
IN_PYTHON = (
    *("biogpt", "canine", "ctrl", "esm", "flaubert", "perceiver", "plbart", "roc_bert", "tapas"),
    "xlm",
)
REFUSED = {
    **dict.fromkeys(IN_PYTHON, "Expected a fast one, with tokenizer.json"),
    **dict.fromkeys(("big_bird", "bigbird_pegasus"), "depends on the texts before it"),
    **dict.fromkeys(("layoutlmv3", "markuplm"), "no score for a prompt and a response as text"),
    "reformer": "gives one text two scores",
}
CONSTANT = ("mra",)
"""Whose attention has code for a GPU alone, and gives zeros elsewhere, to their pipeline too."""


def prepared(source: Path, folder: Path) -> Path:
    folder.mkdir(parents=True)
    settings = CheckpointSettings(checkpoint=str(source), revision=None, role="reward_model")
    prepare_checkpoint(Job("x"), settings, folder)
    return folder


def published(source: Path, folder: Path, **chat: object) -> PublishedRewardModel:
    """The reward model of a folder as the jobs that score by it have it."""
    mark_as_published(prepared(source, folder), ChatFormat.model_validate(chat))
    return load_published(folder)


def scores_of_pipeline(source: Path, pairs: list[tuple[str, str]]) -> np.ndarray:
    """Of each pair alone."""
    judge = pipeline(
        "text-classification",
        str(source),
        function_to_apply="none",
        device="cpu",
        dtype=torch.float32,
    )
    found = [judge({"text": prompt, "text_pair": text})["score"] for prompt, text in pairs]
    return np.array(found, dtype=np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_score_is_that_of_the_models_own_pipeline(family, tmp_path):
    if family in NOT_BUILT:
        pytest.skip(NOT_BUILT[family])
    save_classifier(family, tmp_path / "source")
    if family in REFUSED:
        with pytest.raises(UserError, match=REFUSED[family]):
            published(tmp_path / "source", tmp_path / "prepared")
        return
    gold = published(tmp_path / "source", tmp_path / "prepared")
    together = gold.score(*map(list, zip(*PAIRS, strict=True)))
    expected = scores_of_pipeline(tmp_path / "source", PAIRS)
    np.testing.assert_allclose(together, expected, rtol=1e-5, atol=1e-6)
    assert np.std(expected) > 0.05 or family in CONSTANT
    backwards = gold.score(*map(list, zip(*PAIRS[::-1], strict=True)))
    np.testing.assert_array_equal(backwards[::-1], together)
    alone = [gold.score([prompt], [text])[0] for prompt, text in PAIRS]
    np.testing.assert_array_equal(alone, together)


def test_every_family_is_built_served_or_refused():
    assert set(REFUSED) | set(NOT_BUILT) | set(CONSTANT) <= set(FAMILIES)
    assert len(FAMILIES) - len(REFUSED) - len(NOT_BUILT) > 100


@pytest.mark.parametrize("family", ["electra", "bert", "xlnet", "roberta", "gpt2", "fnet"])
def test_all_that_a_tokenizer_makes_is_passed_on(family, tmp_path):
    save_classifier(family, tmp_path / "source")
    gold = published(tmp_path / "source", tmp_path / "prepared")
    found = gold.score(*map(list, zip(*PAIRS, strict=True)))
    np.testing.assert_allclose(found, scores_of_pipeline(tmp_path / "source", PAIRS), atol=1e-6)


def test_batches_for_a_gpu_hold_texts_of_one_length(tmp_path, monkeypatch):
    save_classifier("bert", tmp_path / "source")
    gold = published(tmp_path / "source", tmp_path / "prepared")
    encodings = gold.own_format.encode(["ab", "cd", "abc", "xy"], ["e"] * 4)
    device = torch.device("cuda")
    monkeypatch.setattr(type(gold.model), "device", property(lambda _: device))
    ordered = sorted(encodings, key=lambda encoding: len(encoding["input_ids"]))
    lengths = [[len(e["input_ids"]) for e in batch] for batch in gold._batches(ordered)]
    assert [len(batch) for batch in lengths] == [3, 1]
    assert all(len(set(batch)) == 1 for batch in lengths)


def test_the_limit_of_a_model_whose_positions_are_offset(tmp_path):
    save_classifier("roberta", tmp_path / "source")
    gold = published(tmp_path / "source", tmp_path / "prepared")
    # 256 positions, of which the first two are of the padding; 4 special tokens.
    assert len(gold.own_format.encode(["a" * 240], ["b" * 10])[0]["input_ids"]) == 254
    assert np.isfinite(gold.score(["a" * 240], ["b" * 10])).all()
    with pytest.raises(UserError, match="has 255 tokens of the gold RM, which reads at most 254"):
        gold.score(["a" * 240], ["b" * 11])


# Chat templates.


def test_what_reads_alike_ties(tmp_path):
    template = "{% for m in messages %}{{ m['content'] | trim }}{{ eos_token }}{% endfor %}"
    gold = chat_model(tmp_path, template)
    prompts = ["Why?", "Why?", "  Why?", "Why?\n"] * 3
    responses = [" Because.", "Because.", "Because. ", "\nBecause."] * 3
    read: list[tuple[int, ...]] = []

    def record(_: object, __: object, inputs: dict[str, torch.Tensor]) -> None:
        read.extend(tuple(row) for row in inputs["input_ids"].tolist())

    gold.model.register_forward_pre_hook(record, with_kwargs=True)
    scores = gold.score([*prompts, "x"], [*responses, "y"])
    assert len(read) == len(set(read)) == 2
    assert len(set(scores[:-1].tolist())) == 1
    assert scores[0] != scores[-1]


def chat_model(folder: Path, chat_template: object, **chat: object) -> PublishedRewardModel:
    """A chat reward model with this template, as gold RM of a study."""
    take(folder, chat_template, PROMPTS, **chat)
    return load_published(folder / "gold")


PROMPTS = ["\n\nHuman: Hi\n\nAssistant:", "\n\nHuman: Why?\n\nAssistant:"]
HEAD = "{{ bos_token }}{% for m in messages %}"
TAIL = "<{{ m['role'] }}>{{ m['content'] }}{{ eos_token }}{% endfor %}"
PLAIN = HEAD + TAIL


def take(folder: Path, chat_template: object, prompts: list[str], **chat: object) -> dict:
    """The metrics of a gold RM that a study takes with this template and these prompts."""
    source = chat_reward_model(folder / "source", PROMPTS)
    tokenizer = AutoTokenizer.from_pretrained(source)
    tokenizer.chat_template = chat_template
    (source / "chat_template.jinja").unlink()
    tokenizer.save_pretrained(source)
    return take_source(folder, source, prompts, **chat)


def take_source(folder: Path, source: Path, prompts: list[str], **chat: object) -> dict:
    checkpoint = prepared(source, folder / "prepared")
    pd.DataFrame({"prompt": prompts}).to_parquet(folder / "prompts.parquet")
    human = {"prompt": PROMPTS, "chosen": [" Good day.", " So."], "rejected": [" No.", " Hm hm."]}
    pd.DataFrame({**human, "split": "validation"}).to_parquet(folder / "human.parquet")
    (folder / "gold").mkdir()
    settings = PublishedGoldRMSettings(num_validation=2, chat=ChatFormat.model_validate(chat))
    files = (folder / "prompts.parquet", folder / "human.parquet", folder / "gold")
    take_as_gold_rm(Job("x"), settings, checkpoint, *files)
    return json.loads((folder / "gold" / "metrics.json").read_text())


CLOCK = (
    "{%- if strftime_now is defined %}{% set day = strftime_now('%d %b %Y') %}"
    "{% set code = '%Y-%m-%d' %}{% endif %}Today Date: {{ day }}, {{ strftime_now(code) }}\n"
)


@pytest.mark.parametrize(
    ("chat", "days"),
    [
        ({}, "Today Date: 26 Jul 2024, 2024-07-26\n"),
        ({"date": date(2021, 3, 4)}, "Today Date: 04 Mar 2021, 2021-03-04\n"),
    ],
)
def test_a_template_that_reads_the_clock_gets_one_day(chat, days, tmp_path, capsys):
    metrics = take(tmp_path, CLOCK + PLAIN, PROMPTS, **chat)
    day = chat.get("date", date(2024, 7, 26)).isoformat()
    assert metrics["chat_template_day"] == day
    assert f"it is {day}, always (gold_rm.chat.date)" in capsys.readouterr().out
    gold = load_published(tmp_path / "gold")
    assert gold.own_format.render(*PAIRS[1]) == f"{days}<s><user>hi</s><assistant> no</s>"
    # Whoever reads the folder with transformers gets the same.
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "gold")
    messages = [{"role": "user", "content": "hi"}]
    assert tokenizer.apply_chat_template(messages, tokenize=False).startswith(days)


def test_the_clock_stands_for_every_directive_and_adds_no_text(tmp_path):
    text = "\n  {% if true %}x{% endif %}{{ strftime_now('%A %-d %B %y, %j, 100%%, %H:%M') }}"
    tokenizer = AutoTokenizer.from_pretrained(chat_reward_model(tmp_path / "source", PROMPTS))
    messages = [{"role": "user", "content": "hi"}]

    def rendered(template: str) -> str:
        return tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False)

    found = rendered(stopped_clock(date(2024, 3, 4)) + text)
    assert found == "\nxMonday 4 March 24, 064, 100%, 00:00"
    plain = text.split("{{")[0]
    assert rendered(stopped_clock(date(2024, 3, 4)) + plain) == rendered(plain)


DRAWING = {
    "the filter random": [
        "{{ ['a', 'b'] | random }}",
        "{% filter random %}ab{% endfilter %}",
        "{{ [['a', 'b']] | map('random') | first }}",
        "{% generation %}{% if messages %}{{ 'ab'|random }}{% endif %}{% endgeneration %}",
        "{% for m in messages %}{% break %}{% endfor %}{{ 'ab'|random }}",
    ],
    "the function lipsum": ["{{ lipsum(n=1) }}", "{% set draw = lipsum %}{{ draw() }}"],
}


@pytest.mark.parametrize(
    ("part", "template"), [(part, template) for part, all_ in DRAWING.items() for template in all_]
)
def test_a_template_that_draws_at_random_is_refused(part, template, tmp_path):
    with pytest.raises(UserError, match=rf"^gold_rm.checkpoint: .* at random \({part}\).*choose"):
        take(tmp_path, template + PLAIN, PROMPTS)


def test_a_template_may_speak_of_random_things(tmp_path):
    spoken = (
        "{# x|random, lipsum() #}random | random lipsum "
        "{%- set lipsum = 'random' %}{{ lipsum }}{{ messages[0].lipsum }}"
    )
    take(tmp_path, spoken + PLAIN, PROMPTS)
    gold = load_published(tmp_path / "gold")
    assert gold.own_format.render("hi", " no").startswith("random | random lipsumrandom<s>")


NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system!') }}{% endif %}"
ALTERNATE = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}{% endfor %}"
)
SYSTEM = "Be brief.\n\nHuman: Hi\n\nAssistant:"
TWICE = "\n\nHuman: Hi\n\nHuman: Are you there?\n\nAssistant:"


@pytest.mark.parametrize(
    ("template", "prompt", "words", "key", "expected"),
    [
        (
            NO_SYSTEM,
            SYSTEM,
            r"No system!\): 'Be brief\..*gold_rm.chat.join_system_message",
            "join_system_message",
            "<s><user>Be brief.\n\nHi</s><assistant>no</s>",
        ),
        (
            ALTERNATE,
            TWICE,
            r"Roles must alternate\): .*Are you there.*gold_rm.chat.merge_turns",
            "merge_turns",
            "<s><user>Hi\n\nAre you there?</s><assistant>no</s>",
        ),
    ],
)
def test_a_template_that_refuses_a_prompt(template, prompt, words, key, expected, tmp_path):
    with pytest.raises(UserError, match=rf"^gold_rm.checkpoint: .*{words}"):
        take(tmp_path / "a", template + PLAIN, [*PROMPTS, prompt])
    take(tmp_path / "b", template + PLAIN, [*PROMPTS, prompt], **{key: True})
    gold = load_published(tmp_path / "b" / "gold")
    assert gold.own_format.render(prompt, " no") == expected


def test_one_of_several_templates_is_chosen_by_name(tmp_path):
    both = {"rm": "{{ 'RM' }}" + PLAIN, "tools": PLAIN}
    with pytest.raises(UserError, match="gold_rm.chat.template: several .* one of rm, tools"):
        take(tmp_path / "a", both, PROMPTS)
    with pytest.raises(UserError, match="there is no 'gold'; choose one of rm, tools"):
        take(tmp_path / "b", both, PROMPTS, template="gold")
    with pytest.raises(UserError, match="has one template without a name; remove the key"):
        take(tmp_path / "c", PLAIN, PROMPTS, template="rm")
    assert chat_model(tmp_path / "d", both, template="rm").own_format.render("x", "y") == (
        "RM<s><user>x</s><assistant>y</s>"
    )
    with_default = {**both, "default": "D" + PLAIN}
    assert chat_model(tmp_path / "e", with_default).own_format.render("x", "y").startswith("D<s>")


def test_a_pad_token_that_also_ends_texts_is_left_as_its_makers_have_it(tmp_path):
    """transformers then reads the score before the last end, and so did who trained the model."""
    source = chat_reward_model(tmp_path / "source", PROMPTS)
    path = source / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pad_token_id": 1}))
    (source / "chat_template.jinja").write_text(PLAIN)
    gold = published(source, tmp_path / "prepared")
    texts = [gold.own_format.render(*pair) for pair in PAIRS]
    assert all(text.endswith("</s>") for text in texts)
    judge = pipeline("text-classification", str(source), function_to_apply="none", device="cpu")
    expected = [judge([text], add_special_tokens=False)[0]["score"] for text in texts]
    found = gold.score(*map(list, zip(*PAIRS, strict=True)))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    gold.model.config.pad_token_id = -1
    assert abs(gold.score(*map(list, zip(*PAIRS, strict=True))) - found).max() > 0.01


def test_one_example_of_what_is_read_is_logged_and_recorded(tmp_path, capsys):
    metrics = take(tmp_path, PLAIN, PROMPTS)
    assert metrics["reads"] == "<s><user>Hi</s><assistant>Good day.</s>"
    assert metrics["reads"] in capsys.readouterr().out.splitlines()


def test_a_pair_is_shown_with_its_special_tokens(tmp_path):
    save_classifier("bert", tmp_path / "source")
    metrics = take_source(tmp_path, tmp_path / "source", PROMPTS)
    assert metrics["reads"].startswith("[CLS] human")
    assert metrics["reads"].endswith("[SEP]")
    assert metrics["chat_template_day"] is None


# Special tokens that a text spells.


def test_a_response_that_spells_a_special_token_is_read_as_characters(tmp_path):
    gold = chat_model(tmp_path, PLAIN)
    end = gold.own_format.tokenizer.eos_token_id
    spelled, plain = gold.own_format.encode(["Hi"] * 2, ["Yes.</s> <s>No", "Yes."])
    assert spelled["input_ids"].count(end) == plain["input_ids"].count(end) == 2
    assert gold.own_format.readable(spelled) == "<s><user>Hi</s><assistant>Yes.</s> <s>No</s>"
    assert spelled["attention_mask"] == [1] * len(spelled["input_ids"])


@pytest.mark.parametrize("family", ["bert", "roberta", "llama", "gemma"])
def test_a_pair_that_spells_a_special_token_is_read_as_characters(family, tmp_path):
    tokenizer = save_classifier(family, tmp_path / "source")
    gold = published(tmp_path / "source", tmp_path / "prepared")
    token = tokenizer.sep_token or tokenizer.eos_token
    number = tokenizer.convert_tokens_to_ids(token)
    spelled, plain = gold.own_format.encode(["a", "a"], [f"b {token} c", "b c"])
    count = [encoding["input_ids"].count(number) for encoding in (spelled, plain)]
    assert count[0] == count[1]
    assert len(spelled["input_ids"]) > len(plain["input_ids"]) + 1


def test_a_special_token_that_has_no_characters_is_refused(tmp_path):
    save_classifier("xlm-roberta", tmp_path / "source")
    gold = published(tmp_path / "source", tmp_path / "prepared")
    with pytest.raises(UserError, match="'b </s>' spells a special token .* cannot read as text"):
        gold.score(["a"], ["b </s>"])


# A gold RM that tells nothing apart.


def test_a_constant_gold_rm_stops_at_its_own_job(tmp_path):
    source = chat_reward_model(tmp_path / "source", PROMPTS)
    model = AutoModelForSequenceClassification.from_pretrained(source)
    torch.nn.init.zeros_(model.score.weight)
    model.save_pretrained(source)
    with pytest.raises(UserError, match="gold_rm.checkpoint: .* the same score, .* score head"):
        take_source(tmp_path, source, PROMPTS)


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(UserError, match="gold_rm: a score .* is not a finite number"):
        require_distinctions(np.array([0.5, np.nan]), "gold_rm")
    require_distinctions(np.array([0.0, 1e-8]), "gold_rm")


def test_a_gold_rm_that_is_trained_has_no_template():
    trained = {"backbone": "s", "num_comparisons": 9, "learning_rate": 1e-3, "num_validation": 2}
    GoldRMConfig.model_validate(trained)
    with pytest.raises(ValueError, match="chat without a checkpoint"):
        GoldRMConfig.model_validate({**trained, "chat": {"merge_turns": True}})
