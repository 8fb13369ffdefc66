"""The writers: people with graded habits who answer a prompt, and texts that no person writes.

A writer fills a small phrase grammar: an opener, then clauses of noun phrase, verb, and sometimes
an object and a place, up to the asked length, and then makes slips. Nobody here knows what the
annotators like. The order of the random draws is part of the world: one seed, one text.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import pandas as pd

from overopt.data.world.prompts import Prompt, parse_prompt
from overopt.data.world.vocabulary import (
    CONJUNCTIONS,
    DETERMINERS,
    FORMS,
    GENERAL_NOUNS,
    GENERAL_VERBS,
    INTENSIFIERS,
    LENGTHS,
    MAX_RESPONSE_TOKENS,
    NEUTRAL_ADJECTIVES,
    POLITENESS,
    PREPOSITIONS,
    PRONOUNS,
    RESPONSE_WORDS,
    STOPS,
    TONES,
    TOPICS,
)

MAX_WRITTEN_WORDS = MAX_RESPONSE_TOKENS - 1  # room for <eos>

_TOPIC_NAMES = tuple(TOPICS)
_TONE_NAMES = tuple(TONES)
_FORM_NAMES = tuple(FORMS)


class Writer(NamedTuple):
    """The hidden traits of one person; probabilities unless said."""

    on_topic: float  # a noun is of the topic
    on_tone: float  # an adjective is of the tone
    slip: float  # a word is dropped, doubled, replaced or swapped
    reuse: float  # a noun is one that was used before
    length_factor: float  # written length over asked length
    opener: float  # the opener of the form is written
    adjective: float  # a noun phrase has an adjective
    intensifier: float  # half the rate at which an adjective is intensified
    exclamation: float  # how readily a sentence ends with "!" (at 0.6 of this rate)
    politeness: float  # a polite word follows a sentence
    listing: float  # a list of words takes the place of a clause
    off_tone: float  # an adjective is of any tone, beyond the usual rate

    @classmethod
    def sample(cls, rng: np.random.Generator, spread: float) -> Self:
        """Draw one writer; `spread` multiplies the bad habits (1: demonstrators, 3: anyone)."""
        beta, random = rng.beta, rng.random
        return cls(
            on_topic=beta(6, 2) if random() > 0.1 * spread else beta(1, 2),
            on_tone=beta(6, 2) if random() > 0.1 * spread else beta(1, 4),
            slip=0.01 + 0.08 * beta(1, 3) * spread,
            reuse=0.03 + 0.20 * beta(1, 6) * spread,
            length_factor=float(np.exp(rng.normal(0, 0.2 * spread))),
            opener=0.85 if random() > 0.12 * spread else 0.1,
            adjective=beta(3, 4),
            intensifier=0.12 * beta(1, 1.5) * spread + 0.02,
            exclamation=beta(1, 4),
            politeness=0.10 * beta(1, 2) * spread,
            listing=0.0 if random() > 0.05 * spread else 0.5 * beta(1.2, 1.5),
            off_tone=0.10 * beta(1, 4) * spread,
        )

    @classmethod
    def exuberant(cls, rng: np.random.Generator) -> Self:
        """Draw a demonstrator fond of adjectives, intensifiers, "!" and, of two one, thanks."""
        beta = rng.beta
        return cls.sample(rng, 1.0)._replace(
            adjective=beta(1.2, 1),
            intensifier=0.3 * beta(1, 1.5),
            exclamation=beta(1, 1.2),
            off_tone=0.3 * beta(1, 3),
            politeness=0.3 * beta(1, 2) if rng.random() < 0.5 else 0.0,
        )


class _Draft:
    """A text in the making: who writes it, what was asked, what was said so far."""

    def __init__(self, writer: Writer, prompt: Prompt, rng: np.random.Generator) -> None:
        self.writer = writer
        self.topic = TOPICS[prompt.topic]
        self.tone = TONES[prompt.tone]
        self.keyword = prompt.keyword
        self.rng = rng
        self.random = rng.random
        self.used_nouns: list[str] = []
        self.wants_keyword = self.random() < 0.25 + 0.7 * writer.on_topic

    def pick(self, options: Sequence[str]) -> str:
        return _pick(options, self.rng)

    def opener(self, form: str) -> tuple[str, ...]:
        if self.random() < self.writer.opener:
            return FORMS[form]
        if self.random() < 0.1:
            return FORMS[self.pick(_FORM_NAMES)]
        return ()

    def noun(self) -> str:
        if self.wants_keyword and self.random() < 0.6:
            self.wants_keyword = False
            noun = self.keyword
        elif self.used_nouns and self.random() < self.writer.reuse:
            return self.pick(self.used_nouns)
        elif self.random() < self.writer.on_topic:
            noun = self.pick(self.topic.nouns)
        elif self.random() < 0.7:
            noun = self.pick(GENERAL_NOUNS)
        else:
            noun = self.pick(TOPICS[self.pick(_TOPIC_NAMES)].nouns)
        self.used_nouns.append(noun)
        return noun

    def verb(self) -> str:
        is_on_topic = self.random() < self.writer.on_topic * 0.8
        return self.pick(self.topic.verbs if is_on_topic else GENERAL_VERBS)

    def adjective(self) -> str:
        draw, on_tone = self.random(), self.writer.on_tone
        if draw < on_tone:
            return self.pick(self.tone)
        if draw < on_tone + 0.35 * (1 - on_tone) + self.writer.off_tone:
            return self.pick(TONES[self.pick(_TONE_NAMES)])
        return self.pick(NEUTRAL_ADJECTIVES)

    def noun_phrase(self) -> list[str]:
        if self.random() < 0.15:
            return [self.pick(PRONOUNS)]
        words = [self.pick(DETERMINERS)]
        if self.random() < self.writer.adjective:
            if self.random() < 2 * self.writer.intensifier:
                words.append(self.pick(INTENSIFIERS))
            words.append(self.adjective())
        words.append(self.noun())
        return words

    def word_list(self) -> list[str]:
        num_words = 1 + int(self.random() * 4)
        return [self.noun() if self.random() < 0.7 else self.adjective() for _ in range(num_words)]

    def polite_remark(self) -> list[str]:
        return [self.pick(POLITENESS), "!" if self.random() < 0.5 else "."]

    def clause(self, room: int) -> list[str]:
        """Subject, verb, perhaps an object and, with more than three words of room, a place."""
        words = [*self.noun_phrase(), self.verb()]
        if self.random() < 0.5:
            words += self.noun_phrase()
        if room - len(words) > 3 and self.random() < 0.6:
            words += [self.pick(PREPOSITIONS), *self.noun_phrase()]
        return words

    def link(self, room: int) -> str:
        """Link to a next clause with a conjunction, if there is room for one, or stop."""
        if room > 4 and self.random() < 0.35:
            return self.pick(CONJUNCTIONS)
        return "!" if self.random() < self.writer.exclamation * 0.6 else "."


def write(writer: Writer, prompt: str, rng: np.random.Generator) -> str:
    """Write one response of 1 to 23 words: a draft of about the asked length, then slips.

    Raises
    ------
    UserError
        If the prompt is not of the embedded world.
    """
    request = parse_prompt(prompt)
    draft = _Draft(writer, request, rng)
    words = [*draft.opener(request.form)]
    asked = LENGTHS[request.length] * writer.length_factor + rng.normal(0, 1)
    length = max(3, round(asked))
    while len(words) < length - 1:
        if writer.listing and rng.random() < writer.listing:
            words += draft.word_list()
        elif words and words[-1] in STOPS and rng.random() < writer.politeness:
            words += draft.polite_remark()
        else:
            words += draft.clause(length - len(words))
            words.append(draft.link(length - len(words)))
    if words[-1] not in STOPS and rng.random() < 0.85:
        words.append(".")
    return " ".join(_with_slips(words, writer.slip, rng)[:MAX_WRITTEN_WORDS])


def _with_slips(words: list[str], slip: float, rng: np.random.Generator) -> list[str]:
    slipped: list[str] = []
    for word in words:
        if rng.random() >= slip:
            slipped.append(word)
            continue
        kind = int(rng.random() * 4)
        if kind == 1:
            slipped += [word, word]
        elif kind == 2:
            slipped.append(_pick(RESPONSE_WORDS, rng))
        elif kind == 3:
            slipped.insert(max(0, len(slipped) - 1), word)
        # kind 0: the word is dropped
    return slipped or words  # nobody hands in an empty page


def degenerate(prompt: str, rng: np.random.Generator) -> str:
    """Loop over one to six words, mixed with pieces of a normal text: 3 to 23 words.

    What an over-trained policy emits. Humans judge some of these too, so that the gold RM knows
    that loops and word lists are bad.
    """
    request = parse_prompt(prompt)
    source = _loop_source(request, rng)
    loop = [_pick(source, rng) for _ in range(1 + int(rng.random() * 6))]
    length = 3 + int(rng.random() * (MAX_WRITTEN_WORDS - 3))
    share_of_text = 0.8 * rng.random()
    text = write(Writer.sample(rng, 1.0), prompt, rng).split()
    words = [
        text[i % len(text)] if rng.random() < share_of_text else _pick(loop, rng)
        for i in range(length)
    ]
    if rng.random() < 0.5:
        words.append(".")
    return " ".join(words[:MAX_WRITTEN_WORDS])


def _loop_source(request: Prompt, rng: np.random.Generator) -> tuple[str, ...]:
    """Draw what a degenerate response loops over: the topic, a tone, any words, filler, openers."""
    topic = TOPICS[request.topic]
    any_tone = TONES[_pick(_TONE_NAMES, rng)]
    any_topic = TOPICS[_pick(_TOPIC_NAMES, rng)]
    sources = (
        topic.nouns + topic.verbs,
        TONES[request.tone],
        any_tone,
        any_topic.nouns,
        RESPONSE_WORDS,
        RESPONSE_WORDS,  # twice as likely as the others
        INTENSIFIERS + POLITENESS + STOPS,
        FORMS["tip"] + FORMS["letter"] + FORMS["story"] + DETERMINERS,
    )
    return sources[int(rng.random() * len(sources))]


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.random() * len(options))]


def write_demonstrations(
    prompts: Sequence[str], num_demonstrations: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Write demonstrations, each by a new writer of spread 1, for prompts drawn with replacement.

    Returns
    -------
    pd.DataFrame
        Columns `prompt`, `response` (str), `num_demonstrations` rows.
    """
    available = list(prompts)
    drawn = [available[int(i)] for i in rng.integers(0, len(available), num_demonstrations)]
    responses = [write(Writer.sample(rng, 1.0), prompt, rng) for prompt in drawn]
    return pd.DataFrame({"prompt": drawn, "response": responses}, dtype="str")
