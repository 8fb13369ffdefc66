"""
Each data set's own schema, mapped once to `prompt, chosen, rejected` or to `prompt, response`.

A reader takes one row as `datasets` gives it. Which columns a data set has is checked before; what
a row lacks is said by `Unusable`, and `NoPreference` says that nobody preferred either response.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from overopt.data.dialogue import DialogueFault, Message, prompt_of, response_of, split_pair

Row = Mapping[str, Any]
Texts = dict[str, str]


class Unusable(Exception):
    """Why a row cannot be used, in words that fit many rows."""


class NoPreference(Exception):
    """A tie, or a row that nobody judged."""


@dataclass(frozen=True)
class Reader:
    """How to read one schema: the columns it needs, and the texts of a row."""

    columns: tuple[str, ...]
    read: Callable[[Row], Texts]


def comparison_reader(name: str | None, dataset: str) -> tuple[str, Reader]:
    """The reader of this name, or the one that belongs to the data set, with its name."""
    name = name or READER_OF_DATASET.get(dataset.lower(), "standard")
    return name, COMPARISON_READERS[name]


def demonstration_reader(columns: Collection[str]) -> Reader | None:
    """The reader for demonstrations with these columns; none if no reader knows them."""
    return next((r for r in DEMONSTRATION_READERS if set(r.columns) <= set(columns)), None)


def comparison(reader: Reader, row: Row) -> Texts:
    """`prompt`, `chosen` and `rejected` of a row.

    Raises
    ------
    Unusable, NoPreference: as above.
    """
    texts = _checked(reader, row)
    if texts["chosen"] == texts["rejected"]:
        raise NoPreference
    return texts


def demonstration(reader: Reader, row: Row) -> Texts:
    """`prompt` and `response` of a row; raises Unusable."""
    return _checked(reader, row)


def _checked(reader: Reader, row: Row) -> Texts:
    try:
        texts = reader.read(row)
    except DialogueFault as fault:
        raise Unusable(str(fault)) from None
    for column, text in texts.items():
        if not text.strip():
            raise Unusable(f"{column} is empty")
        if "\0" in text:
            raise Unusable(f"{column} holds a NUL character")
        if not _is_unicode(text):
            raise Unusable(f"{column} holds half of a surrogate pair")
    return texts


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


# The standard preference format (TRL's): plain or conversational, its prompt explicit or implicit.


def _standard(row: Row) -> Texts:
    prompt, chosen, rejected = row.get("prompt"), row["chosen"], row["rejected"]
    if isinstance(chosen, list):
        return _conversations(prompt, chosen, rejected)
    chosen, rejected = _text("chosen", chosen), _text("rejected", rejected)
    if prompt is None:
        return _named_pair(*split_pair(chosen, rejected))
    return _named_pair(_prompt(prompt), chosen, rejected)


def _conversations(prompt: object, chosen: object, rejected: object) -> Texts:
    """Whole dialogues, whose prompt is what they share; or answers alone, with their prompt."""
    first, second = _messages("chosen", chosen), _messages("rejected", rejected)
    if first[0]["role"] == "assistant" and prompt is not None:
        return _named_pair(_prompt(prompt), _answer("chosen", first), _answer("rejected", second))
    shared = 0
    while shared < min(len(first), len(second)) and first[shared] == second[shared]:
        shared += 1
    shared = min(shared, len(first) - 1, len(second) - 1)  # of equal dialogues the last is answer
    answers = _answer("chosen", first[shared:]), _answer("rejected", second[shared:])
    return _named_pair(prompt_of(first[:shared]), *answers)


def _named_pair(prompt: str, chosen: str, rejected: str) -> Texts:
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def _prompt(value: object) -> str:
    """A prompt as it stands in its column: text stays as it is, messages become a dialogue."""
    return (
        prompt_of(_messages("prompt", value)) if isinstance(value, list) else _text("prompt", value)
    )


def _answer(column: str, messages: Sequence[Message]) -> str:
    if len(messages) != 1 or messages[0]["role"] != "assistant":
        raise Unusable(f"{column} is not one message of the assistant after the shared ones")
    if not messages[0]["content"].strip():
        raise Unusable(f"{column} is empty")
    return response_of(messages[0]["content"])


def _messages(column: str, value: object) -> list[Message]:
    if not isinstance(value, list) or not value:
        raise Unusable(f"{column} is no list of messages")
    return [_message(column, message) for message in cast(list[object], value)]


def _message(column: str, value: object) -> Message:
    message = cast(dict[str, object], value) if isinstance(value, dict) else {}
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or not isinstance(content, str):
        raise Unusable(f"{column} holds a message without role or text")
    return {"role": role, "content": content}


def _text(column: str, value: object) -> str:
    if not isinstance(value, str):
        raise Unusable(f"{column} is no text")
    return value


# Data sets with a schema of their own.


def _hh_rlhf(row: Row) -> Texts:
    """Anthropic/hh-rlhf: `chosen` and `rejected` are whole dialogues."""
    return _named_pair(
        *split_pair(_text("chosen", row["chosen"]), _text("rejected", row["rejected"]))
    )


def _summarize_from_feedback(row: Row) -> Texts:
    """openai/summarize_from_feedback, comparisons: two summaries, `choice` is 0 or 1."""
    summaries, choice = row["summaries"], row["choice"]
    if choice not in (0, 1):
        raise NoPreference
    if not isinstance(summaries, list) or len(cast(list[object], summaries)) != 2:
        raise Unusable("not two summaries")
    chosen, rejected = (
        _summary("a summary", cast(list[Row], summaries)[index].get("text"))
        for index in (choice, 1 - choice)
    )
    return _named_pair(_post(cast(Row, row["info"] or {})), chosen, rejected)


def _ultrafeedback_binarized(row: Row) -> Texts:
    """HuggingFaceH4/ultrafeedback_binarized, train_prefs: equal scores are a tie."""
    score = row.get("score_chosen")
    if score is not None and score == row.get("score_rejected"):
        raise NoPreference
    return _conversations(row.get("prompt"), row["chosen"], row["rejected"])


def _post(post: Row) -> str:
    """A post of Reddit, as Stiennon et al. (2020, appendix B.1) ask for its summary."""
    parts = [_text(name, post.get(name) or "") for name in ("subreddit", "title", "post")]
    if not parts[2].strip():
        raise Unusable("no post (the data set also holds articles of newspapers)")
    subreddit, title, text = parts
    return f"SUBREDDIT: r/{subreddit}\n\nTITLE: {title}\n\nPOST: {text}\n\nTL;DR:"


def _summary(column: str, value: object) -> str:
    """One space and the summary, whether or not it came with the space."""
    return response_of(_text(column, value).strip())


# Demonstrations, told apart by their columns.


def _prompt_and(column: str) -> Callable[[Row], Texts]:
    def read(row: Row) -> Texts:
        response = row[column]
        if isinstance(response, list):
            response = _answer(column, _messages(column, response))
        return {"prompt": _prompt(row["prompt"]), "response": _text(column, response)}

    return read


def _last_message(row: Row) -> Texts:
    messages = _messages("messages", row["messages"])
    response = _answer("messages", messages[-1:])
    return {"prompt": prompt_of(messages[:-1]), "response": response}


def _tldr(row: Row) -> Texts:
    return {"prompt": _post(row), "response": _summary("summary", row["summary"])}


COMPARISON_READERS = {
    "standard": Reader(("chosen", "rejected"), _standard),
    "hh_rlhf": Reader(("chosen", "rejected"), _hh_rlhf),
    "summarize_from_feedback": Reader(("info", "summaries", "choice"), _summarize_from_feedback),
    "ultrafeedback_binarized": Reader(("chosen", "rejected"), _ultrafeedback_binarized),
}
READER_OF_DATASET = {
    "anthropic/hh-rlhf": "hh_rlhf",
    "openai/summarize_from_feedback": "summarize_from_feedback",
    "huggingfaceh4/ultrafeedback_binarized": "ultrafeedback_binarized",
}
DEMONSTRATION_READERS = (
    Reader(("prompt", "response"), _prompt_and("response")),
    Reader(("prompt", "completion"), _prompt_and("completion")),
    Reader(("messages",), _last_message),
    Reader(("subreddit", "title", "post", "summary"), _tldr),
)
