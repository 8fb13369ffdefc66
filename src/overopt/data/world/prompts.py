"""The prompts: 4 forms x 3 lengths x 4 tones x 8 topics x 6 keywords = 2,304, nine words each."""

import functools
import itertools
from collections.abc import Iterable
from typing import NamedTuple

from overopt.data.world.vocabulary import FORMS, LENGTHS, TONES, TOPICS
from overopt.errors import UserError


class Prompt(NamedTuple):
    """One request, its five slots as words."""

    length: str
    tone: str
    form: str
    topic: str
    keyword: str

    @property
    def text(self) -> str:
        """The prompt as the policy reads it, without `<bos>`: nine words and single spaces."""
        return (
            f"write {self.length} {self.tone} {self.form} about {self.topic} with {self.keyword} :"
        )


def all_prompts() -> list[Prompt]:
    """Every prompt of the world, 2,304 in a fixed order (form, length, tone, topic, keyword)."""
    return [
        Prompt(length, tone, form, topic, keyword)
        for form, length, tone, topic in itertools.product(FORMS, LENGTHS, TONES, TOPICS)
        for keyword in TOPICS[topic].keywords
    ]


@functools.cache
def _prompts_by_text() -> dict[str, Prompt]:
    return {prompt.text: prompt for prompt in all_prompts()}


def parse_prompt(text: str) -> Prompt:
    """Read the five slots out of the text of a prompt.

    Raises
    ------
    UserError
        If the text is not one of the prompts of the embedded world.
    """
    prompt = _prompts_by_text().get(text)
    if prompt is None:
        raise UserError(
            f"prompt {text!r} is not of the embedded world. Expected nine words and single spaces:"
            " write {length} {tone} {form} about {topic} with {keyword} :"
            f" with length in {_listed(LENGTHS)}; tone in {_listed(TONES)};"
            f" form in {_listed(FORMS)}; topic in {_listed(TOPICS)}; keyword a noun of the topic,"
            f" such as {_listed(TOPICS['sea'].keywords)} for sea. Correct the prompt, or choose the"
            " data source that it comes from."
        )
    return prompt


def _listed(words: Iterable[str]) -> str:
    return "{" + ", ".join(words) + "}"
