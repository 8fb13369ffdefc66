"""
The text that a published reward model reads: a conversation under its chat template, or a pair.

No text of a prompt or response becomes a special token: only
the template, or the tokenizer as it joins a pair, writes those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

from overopt.config.chat_format import ChatFormat
from overopt.data.dialogue import Message, conversation_of
from overopt.errors import UserError, in_one_line

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Encoding = dict[str, list[int]]
"""What a model is given of one text: `input_ids` and whatever else its tokenizer makes."""

_ENCODED_AT_ONCE = 1024


class OwnFormat:
    """How one published reward model reads prompts and responses.

    Attributes
    ----------
    tokenizer : that of the model's makers.
    chat : what the study set for its chat template.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, chat: ChatFormat) -> None:
        self.tokenizer, self.chat = tokenizer, chat
        # A template's special tokens are to be found in the text it gives.
        tokenizer.split_special_tokens = not tokenizer.chat_template
        template = cast(str, tokenizer.chat_template or "")
        self._control = [
            token.content
            for token in tokenizer.added_tokens_decoder.values()
            if token.special or (token.content in template and not token.content.isspace())
        ]

    def encode(self, prompts: Sequence[str], responses: Sequence[str]) -> list[Encoding]:
        """What the model reads of each of N prompts with its response.

        Raises
        ------
        UserError
            The template refuses a conversation, or a text spells a special token that the
            tokenizer cannot read as characters.
        """
        encodings: list[Encoding] = []
        encode = self._chats if self.tokenizer.chat_template else self._pairs
        for start in range(0, len(prompts), _ENCODED_AT_ONCE):
            part = slice(start, start + _ENCODED_AT_ONCE)
            encodings += encode(prompts[part], responses[part])
        return encodings

    def conversation(self, prompt: str, response: str) -> list[Message]:
        """The messages that the chat template is given."""
        messages = conversation_of(prompt, response)
        if self.chat.join_system_message:
            messages = _with_joined_system_message(messages)
        return list(_merged(messages)) if self.chat.merge_turns else messages

    def render(self, prompt: str, response: str) -> str:
        """The text of a conversation under the chat template."""
        conversation = self.conversation(prompt, response)
        try:
            return cast(str, self.tokenizer.apply_chat_template(conversation, tokenize=False))
        # A template can raise what it likes; it is data of the checkpoint.
        except Exception as error:
            raise UserError(_why_not_rendered(prompt, conversation, error)) from error

    def readable(self, encoding: Encoding) -> str:
        """Text of what is read, special tokens included."""
        return self.tokenizer.backend_tokenizer.decode(
            encoding["input_ids"], skip_special_tokens=False
        )

    def _pairs(self, prompts: Sequence[str], responses: Sequence[str]) -> list[Encoding]:
        self._refuse_unreadable([*prompts, *responses])
        encode = cast(Any, self.tokenizer)
        encodings = _each(encode(list(prompts), list(responses)))
        for row, response in enumerate(responses):
            if not response:  # a second text without characters is none to the library
                encodings[row] = dict(encode(prompts[row]))
        return encodings

    def _chats(self, prompts: Sequence[str], responses: Sequence[str]) -> list[Encoding]:
        texts = list(map(self.render, prompts, responses))
        # The template has written all special tokens.
        encodings = _each(cast(Any, self.tokenizer)(texts, add_special_tokens=False))
        for row, pair in enumerate(zip(prompts, responses, strict=True)):
            if self._spells_control(pair[0]) or self._spells_control(pair[1]):
                encodings[row] = self._sanitized(*pair, encodings[row])
        return encodings

    def _spells_control(self, text: str) -> bool:
        return any(token in text for token in self._control)

    def _sanitized(self, prompt: str, response: str, encoding: Encoding) -> Encoding:
        """A conversation that spells special tokens: theirs are read as characters."""
        try:
            ids = cast(
                list[int],
                self.tokenizer.apply_chat_template(
                    self.conversation(prompt, response),
                    sanitize_control_tokens=True,
                    return_dict=False,
                ),
            )
        except ValueError as error:
            raise UserError(_unreadable(f"{prompt}{response}", in_one_line(error))) from error
        # One text, to which the tokenizer adds nothing: what stands beside the ids is constant.
        others = {name: values[:1] * len(ids) for name, values in encoding.items()}
        return {**others, "input_ids": ids}

    def _refuse_unreadable(self, texts: Sequence[str]) -> None:
        """Raise `UserError` where a text spells a special token that cannot be read as text."""
        suspects = [text for text in dict.fromkeys(texts) if self._spells_control(text)]
        unknown = self.tokenizer.unk_token
        vocabulary = self.tokenizer.get_added_vocab()
        special = {vocabulary[token] for token in self._control if token != unknown}
        for text in suspects:
            ids = self.tokenizer.encode(text, add_special_tokens=False)
            if not special.isdisjoint(ids):
                raise UserError(_unreadable(text, "it has no characters for it"))


def _each(encoded: Any) -> list[Encoding]:
    """One dictionary for each text, of a dictionary of lists."""
    names = list(encoded.keys())
    return [
        dict(zip(names, values, strict=True))
        for values in zip(*(encoded[name] for name in names), strict=True)
    ]


def _with_joined_system_message(messages: list[Message]) -> list[Message]:
    if messages[0]["role"] != "system":
        return messages
    system, first, *others = messages
    if first["role"] != "user":
        return [{**system, "role": "user"}, first, *others]
    return [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *others]


def _merged(messages: list[Message]) -> Iterator[Message]:
    for role, turns in groupby(messages, key=lambda message: message["role"]):
        yield {"role": role, "content": "\n\n".join(turn["content"] for turn in turns)}


def _unreadable(text: str, why: str) -> str:
    return (
        f"the text {text[:60]!r} spells a special token of the gold RM, which its tokenizer cannot "
        f"read as text ({why}); remove the token from the data, or choose another "
        "gold_rm.checkpoint"
    )


def _why_not_rendered(prompt: str, conversation: list[Message], error: Exception) -> str:
    roles = [message["role"] for message in conversation]
    remedies: list[str] = []
    if "system" in roles:
        remedies.append("gold_rm.chat.join_system_message: true puts it before the user's text")
    if any(first == second for first, second in zip(roles, roles[1:], strict=False)):
        remedies.append("gold_rm.chat.merge_turns: true makes one turn of several in a row")
    remedy = "; ".join(remedies) or "leave such prompts out of the data, or choose another model"
    return (
        f"gold_rm.checkpoint: its chat template refuses a prompt ({in_one_line(error)}): "
        f"{prompt[:200]!r}, with the roles {', '.join(roles)}. {remedy}"
    )
