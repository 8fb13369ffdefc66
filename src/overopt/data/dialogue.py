r"""Conversations as text, in one fixed form: that of Anthropic's hh-rlhf.

A prompt is an optional system message, then turns, each after a marker, and ends with the marker of
the assistant, whose turn it is:

    "You are brief.\n\nHuman: What is rain?\n\nAssistant: Water.\n\nHuman: Why?\n\nAssistant:"

A response is one space and the answer. So prompt and response joined are one text, and the space
stands before the first word, where tokenizers of pretrained models want it. A single message of a
user becomes a prompt of this form too, so that a policy sees one form; a prompt that was plain text
from the start stays as it is.
"""

import re
from collections.abc import Iterator, Sequence

Message = dict[str, str]
"""`role` (system, user or assistant) and `content`, as chat templates read them."""

_NAMES = {"user": "Human", "assistant": "Assistant"}
_ROLES = {name: role for role, name in _NAMES.items()}
_MARKER = re.compile(r"\n\n(Human|Assistant):")
_END = "\n\nAssistant:"


class DialogueFault(Exception):
    """Why messages cannot be written as a prompt, in words."""


def prompt_of(messages: Sequence[Message]) -> str:
    """The prompt that asks for an answer to these messages; the last is a user's.

    An empty system message is left out.

    Raises
    ------
    DialogueFault: no message, the last is not a user's, a system message that is not the first, an
    unknown role, a message without text, or one that holds a marker and would be read as two.
    """
    if not messages or messages[-1]["role"] != "user":
        raise DialogueFault("the prompt does not end with a message of the user")
    turns: list[str] = []
    for number, message in enumerate(messages):
        role, content = message["role"], message["content"]
        if role == "system" and number == 0 and not content:
            continue
        if not content.strip():
            raise DialogueFault("a turn without text")
        if _MARKER.search(content):
            raise DialogueFault("a turn that holds the marker of another turn")
        if role == "system" and number == 0:
            turns.append(content)
        elif role in _NAMES:
            turns.append(f"\n\n{_NAMES[role]}: {content}")
        else:
            raise DialogueFault(f"a message of {role!r} where a user or an assistant speaks")
    return "".join(turns) + _END


def response_of(answer: str) -> str:
    """The response that holds this answer."""
    return f" {answer}"


def is_dialogue(prompt: str) -> bool:
    """Whether a prompt has the form of a dialogue: a turn of the user, then the assistant's."""
    return prompt.endswith(_END) and any(role == "user" for role, _ in _turns(prompt))


def messages_of(prompt: str) -> list[Message]:
    """Messages of a prompt: the inverse of `prompt_of`. Any other text is one message of a user."""
    if not is_dialogue(prompt):
        return [{"role": "user", "content": prompt}]
    system = prompt[: _first_marker(prompt)]
    turns = [{"role": role, "content": content} for role, content in _turns(prompt)]
    return [{"role": "system", "content": system}] * bool(system) + turns[:-1]


def conversation_of(prompt: str, response: str) -> list[Message]:
    """The messages of a prompt and the assistant's answer: what a chat template renders.

    Of a response to a dialogue, one space before the answer is not part of it (`response_of`).
    """
    answer = response.removeprefix(" ") if is_dialogue(prompt) else response
    return [*messages_of(prompt), {"role": "assistant", "content": answer}]


def split_pair(chosen: str, rejected: str) -> tuple[str, str, str]:
    """Prompt, chosen and rejected response of two dialogues that part in their last answer.

    The prompt is what they have in common up to its last turn of the assistant. It is written anew
    in the one form, since some turns of hh-rlhf lack the space after the marker.

    Raises
    ------
    DialogueFault: they have no turn of the assistant in common, or part before the last answer, so
    that they differ in more than a response.
    """
    start = chosen.rfind(_END, 0, _common_length(chosen, rejected))
    if start < 0:
        raise DialogueFault("the two texts share no prompt that ends with '\\n\\nAssistant:'")
    end = start + len(_END)
    if not is_dialogue(chosen[:end]):
        raise DialogueFault("a prompt without a turn of the user")
    answers = chosen[end:], rejected[end:]
    if any(_MARKER.search(answer) for answer in answers):
        raise DialogueFault("the dialogues part before their last answer")
    prompt = prompt_of(messages_of(chosen[:end]))
    first, second = (response_of(answer.removeprefix(" ")) for answer in answers)
    return prompt, first, second


def _common_length(first: str, second: str) -> int:
    """Characters that two texts have in common from their start."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if first[:middle] == second[:middle] else (low, middle - 1)
    return low


def _first_marker(text: str) -> int:
    marker = _MARKER.search(text)
    return marker.start() if marker else len(text)


def _turns(text: str) -> Iterator[tuple[str, str]]:
    """Role and content of each turn; of the last, which the prompt leaves open, an empty one."""
    markers = list(_MARKER.finditer(text))
    ends = [marker.start() for marker in markers[1:]] + [len(text)]
    for marker, end in zip(markers, ends, strict=True):
        yield _ROLES[marker[1]], text[marker.end() : end].removeprefix(" ")
