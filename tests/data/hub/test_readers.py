"""Rows in each data set's own schema become `prompt, chosen, rejected` or `prompt, response`."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from overopt.data.dialogue import conversation_of, messages_of
from overopt.data.hub.readers import (
    COMPARISON_READERS,
    NoPreference,
    Unusable,
    comparison,
    comparison_reader,
    demonstration,
    demonstration_reader,
)

PROMPT = "\n\nHuman: What is rain?\n\nAssistant:"


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


def read(name: str, row: dict[str, Any]) -> tuple[str, str, str]:
    texts = comparison(COMPARISON_READERS[name], row)
    return texts["prompt"], texts["chosen"], texts["rejected"]


def respond(row: dict[str, Any]) -> tuple[str, str]:
    reader = demonstration_reader(list(row))
    assert reader is not None
    texts = demonstration(reader, row)
    return texts["prompt"], texts["response"]


# Anthropic/hh-rlhf: chosen and rejected, nothing else.


def hh_rlhf(prompt: str, chosen: str, rejected: str) -> dict[str, Any]:
    return {"chosen": f"{prompt} {chosen}", "rejected": f"{prompt} {rejected}"}


def test_hh_rlhf() -> None:
    longer = f"{PROMPT} Water.\n\nHuman: Why?\n\nAssistant:"
    assert read("hh_rlhf", hh_rlhf(PROMPT, "Water.", "Sun.")) == (PROMPT, " Water.", " Sun.")
    assert read("hh_rlhf", hh_rlhf(longer, "Well.", "Who?")) == (longer, " Well.", " Who?")


def test_equal_dialogues_of_hh_rlhf_are_no_preference() -> None:
    with pytest.raises(NoPreference):
        read("hh_rlhf", hh_rlhf(PROMPT, "Water.", "Water."))


def test_an_empty_answer_of_hh_rlhf_is_unusable() -> None:
    with pytest.raises(Unusable, match="rejected is empty"):
        read("hh_rlhf", hh_rlhf(PROMPT, "Water.", ""))


# openai/summarize_from_feedback, comparisons.


def feedback(choice: object = 1, **info: Any) -> dict[str, Any]:
    return {
        "info": {
            "id": "t3_1",
            "post": "It rains.\n\nStill.",
            "title": "Rain",
            "subreddit": "weather",
            "site": None,
            "article": None,
        }
        | info,
        "summaries": [
            {"text": " It is dry.", "policy": "sup1", "note": None},
            {"text": " It rains. ", "policy": "ref", "note": "good"},
        ],
        "choice": choice,
        "worker": "w",
        "batch": "batch3",
        "split": "train",
        "extra": {"confidence": 5},
    }


POST = "SUBREDDIT: r/weather\n\nTITLE: Rain\n\nPOST: It rains.\n\nStill.\n\nTL;DR:"


def test_summarize_from_feedback() -> None:
    name = "summarize_from_feedback"
    assert read(name, feedback(1)) == (POST, " It rains.", " It is dry.")
    assert read(name, feedback(0)) == (POST, " It is dry.", " It rains.")


@pytest.mark.parametrize("choice", [None, -1, 2])
def test_a_comparison_of_summaries_without_a_choice_is_no_preference(choice: object) -> None:
    with pytest.raises(NoPreference):
        read("summarize_from_feedback", feedback(choice))


def test_an_article_in_place_of_a_post_is_unusable() -> None:
    row = feedback(post=None, title=None, subreddit=None, article="News.", site="cnndm")
    with pytest.raises(Unusable, match="no post"):
        read("summarize_from_feedback", row)


def test_demonstrations_of_tldr_ask_as_the_comparisons_do() -> None:
    row = {
        "id": "t3_1",
        "subreddit": "weather",
        "title": "Rain",
        "post": "It rains.\n\nStill.",
        "summary": "It rains.",
    }
    assert respond(row) == (POST, " It rains.")


# HuggingFaceH4/ultrafeedback_binarized.


def ultrafeedback(chosen: str = "Water.", rejected: str = "Sun.", **scores: float) -> dict:
    question = "What is rain?"
    return {
        "prompt": question,
        "prompt_id": "0f",
        "chosen": [user(question), assistant(chosen)],
        "rejected": [user(question), assistant(rejected)],
        "messages": [user(question), assistant(chosen)],
        "score_chosen": 8.5,
        "score_rejected": 7.0,
    } | scores


def test_ultrafeedback_binarized() -> None:
    assert read("ultrafeedback_binarized", ultrafeedback()) == (PROMPT, " Water.", " Sun.")


def test_equal_scores_of_ultrafeedback_are_no_preference() -> None:
    with pytest.raises(NoPreference):
        read("ultrafeedback_binarized", ultrafeedback(score_rejected=8.5))
    with pytest.raises(NoPreference):
        read("ultrafeedback_binarized", ultrafeedback("Sun."))


def test_demonstrations_of_ultrafeedback_are_its_messages() -> None:
    assert respond(ultrafeedback()) == (PROMPT, " Water.")


# The standard preference format.


def test_plain_text_with_its_prompt_stays_as_it_is() -> None:
    row = {"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}
    assert read("standard", row) == ("The sky is", " blue.", " green.")


def test_plain_text_with_its_prompt_inside_is_read_as_dialogues() -> None:
    row = hh_rlhf(PROMPT, "Water.", "Sun.")
    assert read("standard", row) == (PROMPT, " Water.", " Sun.")
    with pytest.raises(Unusable, match="share no prompt"):
        read("standard", {"chosen": "The sky is blue.", "rejected": "The sky is green."})


@pytest.mark.parametrize("prompt", [[user("What is rain?")], "What is rain?", None])
def test_conversations_with_their_prompt_inside(prompt: object) -> None:
    question = user("What is rain?")
    row = {"prompt": prompt, "chosen": [question, assistant("Water.")]}
    row |= {"rejected": [question, assistant("Sun.")]}
    assert read("standard", row) == (PROMPT, " Water.", " Sun.")


def test_conversations_with_their_prompt_beside() -> None:
    row = {"chosen": [assistant("Water.")], "rejected": [assistant("Sun.")]}
    assert read("standard", row | {"prompt": [user("What is rain?")]})[0] == PROMPT
    assert read("standard", row | {"prompt": "What is rain?"})[0] == "What is rain?"
    with pytest.raises(Unusable, match="does not end with a message of the user"):
        read("standard", row)


def test_a_conversation_of_several_turns_with_a_system_message() -> None:
    asked = [
        {"role": "system", "content": "Be brief."},
        user("What is rain?"),
        assistant("Water."),
        user("Why?"),
    ]
    row = {"chosen": [*asked, assistant("Sun.")], "rejected": [*asked, assistant("Sea.")]}
    prompt, chosen, _ = read("standard", row)
    assert prompt.startswith("Be brief.\n\nHuman: What")
    assert messages_of(prompt) == asked
    assert conversation_of(prompt, chosen) == row["chosen"]


@pytest.mark.parametrize(
    ("chosen", "rejected", "fault"),
    [
        ([user("A?"), assistant("b")], [user("A?"), assistant(" ")], "rejected is empty"),
        ([user("A?"), assistant("b")], [user("A?"), user("b")], "rejected is not one message"),
        (
            [user("A?"), assistant("b"), user("C?"), assistant("d")],
            [user("A?"), assistant("e"), user("F?"), assistant("g")],
            "chosen is not one message",
        ),
        ([user("A?"), assistant("b")], [user("B?"), assistant("b")], "chosen is not one message"),
        (
            [user("A?"), assistant(None)],
            [user("A?"), assistant("b")],
            "whose content is null",
        ),
        (
            [user("A?"), "b"],
            [user("A?"), assistant("b")],
            "a message of chosen is a string",
        ),
        ([], [user("A?"), assistant("b")], "chosen is an empty list, expected a list"),
        ([user("A?"), assistant("b")], "text", "rejected is a string, expected a list"),
        ("text", [user("A?")], "rejected is a list, expected a text"),
        (None, "text", "chosen is null, expected a text"),
        (3, "text", "chosen is a number, expected a text"),
    ],
)
def test_rows_that_hold_no_comparison_are_unusable(
    chosen: object, rejected: object, fault: str
) -> None:
    with pytest.raises(Unusable, match=fault):
        read("standard", {"chosen": chosen, "rejected": rejected})


@pytest.mark.parametrize(
    ("prompt", "fault"),
    [
        (" \n", "prompt is empty"),
        ("a\0", "NUL"),
        ("\ud800", "surrogate"),
        (3, "is a number"),
    ],
)
def test_texts_that_no_file_could_hold_are_unusable(prompt: object, fault: str) -> None:
    with pytest.raises(Unusable, match=fault):
        read("standard", {"prompt": prompt, "chosen": "a", "rejected": "b"})


# Demonstrations, by their columns.


@pytest.mark.parametrize("column", ["response", "completion"])
def test_prompts_with_their_answers(column: str) -> None:
    assert respond({"prompt": "The sky is", column: " blue."}) == ("The sky is", " blue.")
    row = {"prompt": [user("What is rain?")], column: [assistant("Water.")]}
    assert respond(row) == (PROMPT, " Water.")


def test_the_last_message_is_the_response() -> None:
    messages = [user("What is rain?"), assistant("Water."), user("Why?"), assistant("Sun.")]
    prompt, response = respond({"messages": messages})
    assert conversation_of(prompt, response) == messages
    with pytest.raises(Unusable, match="messages is not one message of the assistant"):
        respond({"messages": messages[:3]})


@pytest.mark.parametrize("columns", [[], ["prompt"], ["chosen", "rejected"], ["text"]])
def test_other_columns_are_no_demonstrations(columns: list[str]) -> None:
    assert demonstration_reader(columns) is None


# Which reader.


@pytest.mark.parametrize(
    ("dataset", "reader"),
    [
        ("Anthropic/hh-rlhf", "hh_rlhf"),
        ("openai/summarize_from_feedback", "summarize_from_feedback"),
        ("HuggingFaceH4/ultrafeedback_binarized", "ultrafeedback_binarized"),
        ("huggingfaceh4/ultrafeedback_binarized", "ultrafeedback_binarized"),
        ("trl-lib/anything", "standard"),
        ("/some/folder", "standard"),
    ],
)
def test_the_reader_belongs_to_the_data_set_unless_another_is_named(
    dataset: str, reader: str
) -> None:
    assert comparison_reader(None, dataset) == (reader, COMPARISON_READERS[reader])
    assert comparison_reader("standard", dataset)[0] == "standard"


# Real data, written in two of the schemas.


@pytest.fixture(scope="module")
def human_comparisons() -> list[dict[str, str]]:
    folder = os.environ.get("OVEROPT_HUMAN_DATA")
    if not folder:
        pytest.skip("OVEROPT_HUMAN_DATA names no folder of real human comparisons")
    lines = (Path(folder) / "qa_feedback_comparisons.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_real_comparisons_come_back_from_the_schema_of_hh_rlhf(
    human_comparisons: list[dict[str, str]],
) -> None:
    for row in human_comparisons:
        asked = f"\n\nHuman: {row['prompt']}\n\nAssistant:"
        prompt, chosen, rejected = read("hh_rlhf", hh_rlhf(asked, row["chosen"], row["rejected"]))
        assert messages_of(prompt) == [user(row["prompt"])]
        assert (chosen, rejected) == (f" {row['chosen']}", f" {row['rejected']}")


def test_real_comparisons_come_back_from_the_schema_of_ultrafeedback(
    human_comparisons: list[dict[str, str]],
) -> None:
    for row in human_comparisons:
        question = user(row["prompt"])
        dialogues = {key: [question, assistant(row[key])] for key in ("chosen", "rejected")}
        prompt, chosen, rejected = read(
            "ultrafeedback_binarized", {"prompt": row["prompt"], **dialogues}
        )
        assert conversation_of(prompt, chosen) == dialogues["chosen"]
        assert conversation_of(prompt, rejected) == dialogues["rejected"]
