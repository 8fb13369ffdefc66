"""
Each data set's own schema, mapped once to `prompt, chosen, rejected` or to `prompt, response`.

A reader takes one row as its file has it, with any values of JSON or of Parquet. Which columns a
data set has is checked before; what a row lacks is said by `Unusable`, and `NoPreference` says that
nobody preferred either response.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from overopt.config.hub import READERS
from overopt.data.dialogue import DialogueFault, Message, prompt_of, response_of, split_pair
from overopt.data.json_rows import type_name
from overopt.errors import UserError
from overopt.jobs.plugins import resolve

Row = Mapping[str, Any]
Texts = dict[str, str]
TEXT_PARTS = ("text", "input_text", "output_text")
"""Types of the parts of a message that are text."""


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
    if (own := COMPARISON_READERS.get(name)) is not None:
        return name, own
    entry = READERS[name]
    return name, Reader(entry.columns, _checked_read(entry.read))


def _checked_read(place: str) -> Callable[[Row], Texts]:
    """A plugin's function from a row to texts, which must be the three of a comparison."""
    function = resolve(place, ("row",))

    def read(row: Row) -> Texts:
        texts = function(row)
        names = ("prompt", "chosen", "rejected")
        if not isinstance(texts, dict) or not all(isinstance(texts.get(n), str) for n in names):
            raise UserError(f"{place}: returned {texts!r:.200}; expected text for {names}")
        return cast(Texts, texts)

    return read


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
    if missing := [column for column in reader.columns if column not in row]:
        raise Unusable(f"it has no {missing[0]}")
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
        found = "an empty list" if value == [] else _kind(value)
        raise Unusable(f"{column} is {found}, expected a list of messages")
    return [_message(column, message) for message in cast(list[object], value)]


def _message(column: str, value: object) -> Message:
    message = _object(f"a message of {column}", value)
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str):
        raise Unusable(f"{column} has a message whose role is {_kind(role)}, expected a text")
    return {"role": role, "content": _content(column, content)}


def _content(column: str, content: object) -> str:
    """The text of a message; of one in parts, the parts joined, as chat templates join them."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Unusable(f"{column} has a message whose content is {_kind(content)}")
    return "".join(_part(column, part) for part in cast(list[object], content))


def _part(column: str, value: object) -> str:
    if isinstance(value, str):
        return value
    part = {k: v for k, v in _object(f"a part of {column}", value).items() if v is not None}
    text, kind = part.get("text"), part.get("type", "text")
    if kind not in TEXT_PARTS:
        raise Unusable(f"{column} has a message with a part of type {kind!r:.40}, which is no text")
    if not isinstance(text, str):
        raise Unusable(f"{column} has a part whose text is {_kind(text)}")
    return text


def _text(column: str, value: object) -> str:
    if not isinstance(value, str):
        raise Unusable(f"{column} is {_kind(value)}, expected a text")
    return value


def _object(name: str, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise Unusable(f"{name} is {_kind(value)}, expected an object")
    return cast(dict[str, object], value)


def _kind(value: object) -> str:
    """What a value is, in words; of Parquet there are more kinds than of JSON."""
    if isinstance(value, bytes):
        return "bytes"
    if value is None or isinstance(value, bool | int | float | str | list | dict):
        return type_name(value)
    return f"of the type {type(value).__name__}"


# Data sets with a schema of their own.


def _hh_rlhf(row: Row) -> Texts:
    """Anthropic/hh-rlhf: `chosen` and `rejected` are whole dialogues."""
    return _named_pair(
        *split_pair(_text("chosen", row["chosen"]), _text("rejected", row["rejected"]))
    )


def _summarize_from_feedback(row: Row) -> Texts:
    """openai/summarize_from_feedback, comparisons: two summaries, `choice` is 0 or 1."""
    summaries, choice = row["summaries"], row["choice"]
    if isinstance(choice, bool) or choice not in (0, 1):
        raise NoPreference
    if not isinstance(summaries, list) or len(cast(list[object], summaries)) != 2:
        raise Unusable("not two summaries")
    both = [_object("a summary", summary) for summary in cast(list[object], summaries)]
    first, second = (_summary("a summary", summary.get("text")) for summary in both)
    chosen, rejected = (first, second) if choice == 0 else (second, first)
    return _named_pair(_post(_object("info", row["info"] or {})), chosen, rejected)


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
