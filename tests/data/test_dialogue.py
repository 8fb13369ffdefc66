"""Conversations become text in one form, and messages again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overopt.data.dialogue import (
    DialogueFault,
    Message,
    conversation_of,
    is_dialogue,
    messages_of,
    prompt_of,
    response_of,
    split_pair,
)


def user(content: str) -> Message:
    return {"role": "user", "content": content}


def assistant(content: str) -> Message:
    return {"role": "assistant", "content": content}


def system(content: str) -> Message:
    return {"role": "system", "content": content}


SINGLE = "\n\nHuman: What is rain?\n\nAssistant:"
LONG = [system("You are brief."), user("What is rain?"), assistant("Water."), user("Why?")]
LONG_PROMPT = (
    "You are brief.\n\nHuman: What is rain?\n\nAssistant: Water.\n\nHuman: Why?\n\nAssistant:"
)


def test_the_form_is_that_of_hh_rlhf() -> None:
    assert prompt_of([user("What is rain?")]) == SINGLE
    assert prompt_of(LONG) == LONG_PROMPT
    assert prompt_of([user("A?"), user("B?")]) == "\n\nHuman: A?\n\nHuman: B?\n\nAssistant:"
    assert SINGLE + response_of("Water.") == SINGLE + " Water."


def test_an_empty_system_message_is_left_out() -> None:
    assert prompt_of([system(""), user("What is rain?")]) == SINGLE


# Pieces that come close to a marker, between and inside of messages.
PIECES = st.lists(
    st.sampled_from(["\n", "\n\n", " ", ":", "Human", "Assistant", "Human: ", "a", "Why?", "é"]),
    min_size=1,
).map("".join)
CONTENTS = PIECES.filter(lambda text: text.strip() != "").filter(
    lambda text: "\n\nHuman:" not in text and "\n\nAssistant:" not in text
)
MESSAGES = st.builds(
    lambda first, turns, last: [*first, *turns, user(last)],
    st.lists(CONTENTS.map(system), max_size=1),
    st.lists(
        st.builds(lambda make, text: make(text), st.sampled_from([user, assistant]), CONTENTS)
    ),
    CONTENTS,
)


@given(MESSAGES)
def test_messages_come_back_from_their_prompt(messages: list[Message]) -> None:
    prompt = prompt_of(messages)
    assert messages_of(prompt) == messages
    assert prompt_of(messages_of(prompt)) == prompt


@given(MESSAGES, CONTENTS)
def test_a_conversation_comes_back_with_its_answer(messages: list[Message], answer: str) -> None:
    expected = [*messages, assistant(answer)]
    assert conversation_of(prompt_of(messages), response_of(answer)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "What is rain?",
        "",
        "\n\nHuman: What is rain?",
        "\n\nAssistant:",
        "Say: \n\nAssistant:",
        "Human: What is rain?\n\nAssistant:",
        "SUBREDDIT: r/rain\n\nTITLE: Rain\n\nPOST: It rains.\n\nTL;DR:",
    ],
)
def test_any_other_text_is_one_message_of_a_user(text: str) -> None:
    assert not is_dialogue(text)
    assert messages_of(text) == [user(text)]
    assert conversation_of(text, " Water.") == [user(text), assistant(" Water.")]


def test_a_dialogue_that_lacks_spaces_after_its_markers_is_understood() -> None:
    assert messages_of("\n\nHuman:Hi\n\nAssistant:") == [user("Hi")]


@pytest.mark.parametrize(
    ("messages", "fault"),
    [
        ([], "does not end with a message of the user"),
        ([user("A?"), assistant("B.")], "does not end with a message of the user"),
        ([user("A?"), system("C"), user("A?")], "a message of 'system' where"),
        ([{"role": "tool", "content": "3"}, user("A?")], "a message of 'tool' where"),
        ([user(" \n")], "a turn without text"),
        ([assistant(""), user("A?")], "a turn without text"),
        ([user("A?\n\nAssistant: B.")], "the marker of another turn"),
        ([system("\n\nHuman: x"), user("A?")], "the marker of another turn"),
    ],
)
def test_messages_that_the_form_cannot_hold_are_refused(
    messages: list[Message], fault: str
) -> None:
    with pytest.raises(DialogueFault, match=fault):
        prompt_of(messages)


# Two dialogues with a common start.


def test_a_pair_is_split_at_its_last_common_turn_of_the_assistant() -> None:
    assert split_pair(f"{LONG_PROMPT} The sun.", f"{LONG_PROMPT} The sea.") == (
        LONG_PROMPT,
        " The sun.",
        " The sea.",
    )


@pytest.mark.parametrize(("chosen", "rejected"), [("Yes", "Yes, it is"), ("Yes", ""), ("a", "a")])
def test_one_answer_may_be_the_start_of_the_other(chosen: str, rejected: str) -> None:
    pair = split_pair(f"{SINGLE} {chosen}", f"{SINGLE} {rejected}")
    assert pair == (SINGLE, f" {chosen}", f" {rejected}")


def test_the_prompt_of_a_pair_gets_the_one_form() -> None:
    prompt = "\n\nHuman:Hi\n\nAssistant:Ho\n\nHuman: A?\n\nAssistant:"
    prompt, chosen, rejected = split_pair(f"{prompt}b", f"{prompt} c ")
    assert prompt == "\n\nHuman: Hi\n\nAssistant: Ho\n\nHuman: A?\n\nAssistant:"
    assert (chosen, rejected) == (" b", " c ")


@pytest.mark.parametrize(
    ("chosen", "rejected", "fault"),
    [
        ("The sun.", "The sea.", "share no prompt"),
        (f"{SINGLE} a", "\n\nHuman: Other?\n\nAssistant: a", "share no prompt"),
        ("\n\nAssistant: a", "\n\nAssistant: b", "without a turn of the user"),
        (f"{SINGLE} a\n\nHuman: B?\n\nAssistant: c", f"{SINGLE} d", "part before their last"),
        ("\n\nHuman: \n\nAssistant: a", "\n\nHuman: \n\nAssistant: b", "a turn without text"),
    ],
)
def test_pairs_that_differ_in_more_than_an_answer_are_refused(
    chosen: str, rejected: str, fault: str
) -> None:
    with pytest.raises(DialogueFault, match=fault):
        split_pair(chosen, rejected)
