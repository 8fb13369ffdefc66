"""The words of the embedded world: 176 of them, each with one part of speech.

The order of `VOCABULARY` is the order of the token ids and must not change: checkpoints store ids.
"""

from collections.abc import Mapping
from typing import NamedTuple

MAX_PROMPT_TOKENS = 10  # <bos> and nine words
MAX_RESPONSE_TOKENS = 24  # at most 23 words and <eos>, or 24 words of a response that was cut


class Topic(NamedTuple):
    """What a text about one topic speaks of; the first noun is the name of the topic itself."""

    nouns: tuple[str, ...]
    verbs: tuple[str, ...]

    @property
    def keywords(self) -> tuple[str, ...]:
        """The six nouns that a prompt can ask for: all but the name of the topic."""
        return self.nouns[1:]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


TOPICS: Mapping[str, Topic] = {
    nouns.split()[0]: Topic(_words(nouns), _words(verbs))
    for nouns, verbs in (
        ("garden flower tree seed leaf rose bee", "grows plants waters"),
        ("kitchen bread soup apple cake spoon plate", "cooks bakes tastes"),
        ("sea boat wave fish sand shell ship", "swims sails dives"),
        ("city street bus shop tower bridge park", "drives builds visits"),
        ("music song drum piano band voice flute", "sings plays hums"),
        ("sport ball team race goal coach game", "runs kicks wins"),
        ("winter snow ice coat sled frost scarf", "freezes melts skates"),
        ("school book class pencil lesson teacher desk", "reads writes learns"),
    )
}

TONES: Mapping[str, tuple[str, ...]] = {
    "cheerful": _words("happy bright lovely sunny merry sweet"),
    "gloomy": _words("sad dark lonely grey tired bitter"),
    "calm": _words("quiet gentle soft slow still mild"),
    "angry": _words("furious loud harsh wild rude fierce"),
}

# Words that a response of this length should have.
LENGTHS: Mapping[str, int] = {"brief": 6, "medium": 12, "long": 19}

# Words that open a response of this form.
FORMS: Mapping[str, tuple[str, ...]] = {
    "note": (),
    "story": _words("once ,"),
    "letter": _words("dear friend ,"),
    "tip": _words("you should know"),
}

NEUTRAL_ADJECTIVES = _words("big small old new red round")
GENERAL_NOUNS = _words("day thing place time friend house man child")
GENERAL_VERBS = _words("sees likes finds has wants needs")
PRONOUNS = _words("he she it someone")
DETERMINERS = _words("the a my our this every")
PREPOSITIONS = _words("in near with under by from")
CONJUNCTIONS = _words("and but because while")
INTENSIFIERS = _words("very so really quite")
STOPS = _words(". !")
COMMAS = _words(",")
POLITENESS = _words("thanks please wow")
OPENERS = _words("once dear you should know")

_TABLE: tuple[tuple[str, tuple[str, ...]], ...] = (
    *(row for topic in TOPICS.values() for row in (("noun", topic.nouns), ("verb", topic.verbs))),
    *(("adjective", adjectives) for adjectives in TONES.values()),
    ("adjective", NEUTRAL_ADJECTIVES),
    ("noun", GENERAL_NOUNS),
    ("verb", GENERAL_VERBS),
    ("pronoun", PRONOUNS),
    ("determiner", DETERMINERS),
    ("preposition", PREPOSITIONS),
    ("conjunction", CONJUNCTIONS),
    ("intensifier", INTENSIFIERS),
    ("stop", STOPS),
    ("comma", COMMAS),
    ("politeness", POLITENESS),
    ("opener", OPENERS),
)

# Part of speech of every word that a writer uses; words found in prompts only have none.
PARTS_OF_SPEECH: dict[str, str] = {
    word: part_of_speech for part_of_speech, words in _TABLE for word in words
}

SPECIAL_TOKENS = ("<pad>", "<bos>", "<eos>")
PROMPT_WORDS = ("write", *FORMS, "about", ":", *LENGTHS, *TONES)
RESPONSE_WORDS = tuple(PARTS_OF_SPEECH)
VOCABULARY: tuple[str, ...] = (*SPECIAL_TOKENS, *PROMPT_WORDS, *RESPONSE_WORDS)
