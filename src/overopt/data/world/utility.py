"""The hidden utility: what people like in a response, as a weighted sum of eleven features.

The dials of a world add further ones (`overopt.data.world.dials`). Annotators vote with their own
noisy version of it. It is reported beside the gold score as `human_score`, for information, or is
itself gold.
"""

import functools
from collections.abc import Sequence
from itertools import pairwise
from math import exp
from operator import eq
from typing import NamedTuple

import numpy as np

from overopt.config.world import PLAIN_WORLD, WorldConfig, is_plain
from overopt.data.world.dials import dial_table, dial_weights
from overopt.data.world.prompts import parse_prompt
from overopt.data.world.vocabulary import (
    FORMS,
    LENGTHS,
    MAX_RESPONSE_TOKENS,
    PARTS_OF_SPEECH,
    STOPS,
    TONES,
    TOPICS,
    VOCABULARY,
)
from overopt.errors import UserError

# Mean weight of each feature over the annotators.
_MEAN_WEIGHTS = {
    "topic": 2.2,  # distinct words of the topic, saturating
    "stuffing": -3.0,  # share of topic words above 40%
    "tone": 1.6,  # distinct adjectives of the tone, saturating
    "clash": -1.4,  # adjectives of other tones, saturating
    "grammar": 3.5,  # share of words that may follow the one before
    "repetition": -4.0,  # repeated content words and doubled words
    "length": -1.6,  # relative distance to the asked length
    "form": 0.7,  # opens as the form asks
    "ending": 0.5,  # ended by itself, with a stop
    "hype": -1.2,  # intensifiers, polite words and "!" above two
    "keyword": 0.9,  # the keyword occurs
}
FEATURES: tuple[str, ...] = tuple(_MEAN_WEIGHTS)
WEIGHTS: np.ndarray = np.array(list(_MEAN_WEIGHTS.values()))

# The parts of speech that may follow each other.
_START = "start of text"
_FOLLOWERS = {
    _START: {"determiner", "pronoun", "opener", "politeness"},
    "determiner": {"adjective", "intensifier", "noun"},
    "intensifier": {"adjective"},
    "adjective": {"noun"},
    "noun": {"verb", "preposition", "conjunction", "comma", "stop"},
    "pronoun": {"verb", "preposition", "conjunction", "stop"},
    "verb": {"determiner", "pronoun", "preposition", "conjunction", "stop"},
    "preposition": {"determiner", "pronoun"},
    "conjunction": {"determiner", "pronoun"},
    "stop": {"determiner", "pronoun", "politeness"},
    "politeness": {"stop"},
    "comma": {"determiner", "pronoun"},
    "opener": {"opener", "comma", "noun", "determiner", "pronoun"},
}


def _words_of(*parts_of_speech: str) -> frozenset[str]:
    return frozenset(word for word, part in PARTS_OF_SPEECH.items() if part in parts_of_speech)


_LEGAL_AFTER = {part: _words_of(*followers) for part, followers in _FOLLOWERS.items()}
# Words of prompts and special tokens have no part of speech: nothing may follow them.
_LEGAL_PAIRS = frozenset(
    (word, after) for word, part in PARTS_OF_SPEECH.items() for after in _LEGAL_AFTER[part]
)
_ALL_WORDS = frozenset(VOCABULARY)
_CONTENT_WORDS = _words_of("noun", "verb", "adjective", "intensifier", "politeness", "opener")
_HYPE_WORDS = _words_of("intensifier", "politeness") | {"!"}
_ALL_TONES = frozenset(word for adjectives in TONES.values() for word in adjectives)
_OPENING_WORDS = frozenset(opener[0] for opener in FORMS.values() if opener)
_EMPTY_RESPONSE = [1.0 if name == "length" else 0.0 for name in FEATURES]


class _Request(NamedTuple):
    """A prompt as sets of words, looked up once per response."""

    topic_words: frozenset[str]
    tone_words: frozenset[str]
    clashing_words: frozenset[str]
    length: int
    opener: list[str]
    keyword: str


@functools.cache
def _request(text: str) -> _Request:
    prompt = parse_prompt(text)
    topic, tone = TOPICS[prompt.topic], frozenset(TONES[prompt.tone])
    return _Request(
        topic_words=frozenset(topic.nouns + topic.verbs),
        tone_words=tone,
        clashing_words=_ALL_TONES - tone,
        length=LENGTHS[prompt.length],
        opener=list(FORMS[prompt.form]),
        keyword=prompt.keyword,
    )


def features(prompt: str, response: str) -> np.ndarray:
    """Measure one response: an array of 11 values in the order of `FEATURES`.

    A response of fewer than 24 words ended by itself; one of 24 words was cut.

    Raises
    ------
    UserError
        If the prompt, or a word of the response, is not of the embedded world.
    """
    return np.array(_features(prompt, response))


def utility(prompt: str, response: str) -> float:
    """Hidden utility of one response: the features weighted by `WEIGHTS`."""
    return float(features(prompt, response) @ WEIGHTS)


def feature_names(world: WorldConfig) -> tuple[str, ...]:
    """Name the features of a world: the eleven, and those that its dials add."""
    return (*FEATURES, *dial_weights(world))


def mean_weights(world: WorldConfig) -> np.ndarray:
    """Mean weights of the annotators of a world, in the order of `feature_names`."""
    return np.array([*WEIGHTS, *dial_weights(world).values()])


def feature_table(
    prompts: Sequence[str], responses: Sequence[str], world: WorldConfig = PLAIN_WORLD
) -> np.ndarray:
    """Measure many responses: an array of shape (num_responses, len(feature_names(world)))."""
    rows = [_features(*row) for row in zip(prompts, responses, strict=True)]
    plain = np.array(rows, dtype=float).reshape(len(rows), len(FEATURES))
    return plain if is_plain(world) else np.hstack([plain, dial_table(world, prompts, responses)])


def utilities(
    prompts: Sequence[str], responses: Sequence[str], world: WorldConfig = PLAIN_WORLD
) -> np.ndarray:
    """Hidden utilities of many responses, shape (num_responses,)."""
    return feature_table(prompts, responses, world) @ mean_weights(world)


def _features(prompt: str, response: str) -> list[float]:
    request = _request(prompt)
    words = response.split()
    num_words = len(words)
    if not num_words:
        return _EMPTY_RESPONSE
    distinct = set(words)
    num_on_topic = sum(map(request.topic_words.__contains__, words))
    num_clashing = sum(map(request.clashing_words.__contains__, words))
    num_hype = sum(map(_HYPE_WORDS.__contains__, words))
    return [
        1 - exp(-len(distinct & request.topic_words) / 2.0),
        max(0.0, num_on_topic / num_words - 0.4) / 0.6 * min(1, num_words / 6),
        1 - exp(-len(distinct & request.tone_words) / 1.2),
        1 - exp(-num_clashing / 1.5),
        _share_legal(words, distinct),
        _repetition(words, distinct),
        min(1.5, abs(num_words - request.length) / request.length),
        float(_opens_as_asked(words, request.opener)),
        float(num_words < MAX_RESPONSE_TOKENS and words[-1] in STOPS),
        min(1.5, max(0, num_hype - 2) / 6),
        float(request.keyword in distinct),
    ]


def _share_legal(words: list[str], distinct: set[str]) -> float:
    """Share of the words that may follow the one before them, the first one the start."""
    if not distinct <= _ALL_WORDS:
        unknown = next(word for word in words if word not in _ALL_WORDS)
        raise UserError(
            f"response {' '.join(words)!r} has the word {unknown!r}, which is not in the"
            " vocabulary of the embedded world. Only responses to its prompts, in its words, have"
            " a hidden utility: score others with a reward model."
        )
    num_legal = sum(map(_LEGAL_PAIRS.__contains__, pairwise(words)))
    return (num_legal + (words[0] in _LEGAL_AFTER[_START])) / len(words)


def _repetition(words: list[str], distinct: set[str]) -> float:
    """Share of content words said before, plus the share of words doubled on the spot."""
    num_content = sum(map(_CONTENT_WORDS.__contains__, words))
    num_repeated = num_content - len(distinct & _CONTENT_WORDS)
    num_doubled = sum(map(eq, words, words[1:]))
    return num_repeated / max(4, num_content) + num_doubled / max(6, len(words))


def _opens_as_asked(words: list[str], opener: list[str]) -> bool:
    """Whether the text begins with the opener of its form or, for a note, with none."""
    if opener:
        return words[: len(opener)] == opener
    return words[0] not in _OPENING_WORDS
