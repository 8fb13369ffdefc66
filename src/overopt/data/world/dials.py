"""What the dials of a world add to its utility: tastes for single words, and flowery text.

`taste`: a like or dislike of every content word, drawn once for each topic and each tone. A
response gets the sum over its distinct words: many small independent likes, so nearly normal.

`blind_spots`: flowery words are liked, each as much as the one before, up to a limit that most
responses of a policy never reach; beyond it a text is overdone, and hated more with every word.
"""

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from overopt.config.world import WorldConfig
from overopt.data.world.prompts import parse_prompt
from overopt.data.world.vocabulary import LENGTHS, PARTS_OF_SPEECH, TONES, TOPICS

_TASTE_SEED = 12
_TASTE_SCALE = 3.0  # brings its within-prompt sd to about 1
_FLOWERY_WEIGHT = 0.91  # of each flowery word
_OVERDONE_WEIGHT = -2.8
_LIMIT = 2.0  # flowery words that are never too many
_LIMIT_PER_WORD = 0.15  # and further ones, for each word of the asked length
_MOST_BEYOND = 4.0


def _words_of(*parts_of_speech: str) -> tuple[str, ...]:
    return tuple(word for word, part in PARTS_OF_SPEECH.items() if part in parts_of_speech)


_TASTED_WORDS = _words_of("noun", "verb", "adjective", "intensifier", "politeness", "opener")
_FLOWERY_WORDS = frozenset(
    ("!", *_words_of("intensifier", "politeness"), *(w for tone in TONES.values() for w in tone))
)

Likes = Mapping[str, Mapping[str, float]]


@functools.cache
def _likes() -> tuple[Likes, Likes]:
    """Standard normal likes of every word, by topic and by tone."""
    rng = np.random.default_rng(_TASTE_SEED)

    def draw(names: Sequence[str]) -> Likes:
        table = rng.standard_normal((len(names), len(_TASTED_WORDS))).tolist()
        return {
            name: dict(zip(_TASTED_WORDS, row, strict=True))
            for name, row in zip(names, table, strict=True)
        }

    return draw(tuple(TOPICS)), draw(tuple(TONES))


def taste(prompt: str, response: str) -> float:
    """Sum the likes of the distinct words of a response, for its prompt's topic and tone."""
    request = parse_prompt(prompt)
    by_topic, by_tone = _likes()
    topic, tone = by_topic[request.topic], by_tone[request.tone]
    # In the order of the text, so that the sum does not depend on the hashes of words.
    words = dict.fromkeys(response.split())
    return sum(topic.get(word, 0.0) + tone.get(word, 0.0) for word in words) / _TASTE_SCALE


def flowery(prompt: str, response: str) -> float:
    """Count adjectives of any tone, intensifiers, polite words and "!"."""
    return float(sum(map(_FLOWERY_WORDS.__contains__, response.split())))


def overdone(prompt: str, response: str) -> float:
    """Measure how far beyond the limit the flowery words go: x + x^2 / 4, x at most 4."""
    limit = _LIMIT + _LIMIT_PER_WORD * LENGTHS[parse_prompt(prompt).length]
    beyond = min(_MOST_BEYOND, max(0.0, flowery(prompt, response) - limit))
    return beyond + beyond**2 / 4


_FEATURES: dict[str, Callable[[str, str], float]] = {
    function.__name__: function for function in (taste, flowery, overdone)
}


def dial_weights(world: WorldConfig) -> dict[str, float]:
    """Weights of the features that the dials add, by name; none where all are at 0."""
    weights = {"taste": world.taste} if world.taste else {}
    if world.blind_spots:
        weights["flowery"] = world.blind_spots * _FLOWERY_WEIGHT
        weights["overdone"] = world.blind_spots * _OVERDONE_WEIGHT
    return weights


def dial_table(world: WorldConfig, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
    """Measure the features that the dials add, shape (num_responses, len(dial_weights(world)))."""
    functions = [_FEATURES[name] for name in dial_weights(world)]
    rows = [
        [function(prompt, response) for function in functions]
        for prompt, response in zip(prompts, responses, strict=True)
    ]
    return np.array(rows, dtype=float).reshape(len(rows), len(functions))
