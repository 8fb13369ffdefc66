"""The hidden utility of the embedded world, worked by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from overopt.data.world.prompts import all_prompts
from overopt.data.world.utility import (
    FEATURES,
    WEIGHTS,
    feature_table,
    features,
    utilities,
    utility,
)
from overopt.data.world.writers import write_demonstrations
from overopt.errors import UserError

PROMPT = "write brief calm story about sea with sand :"


@pytest.fixture(scope="module")
def demonstrations() -> pd.DataFrame:
    prompts = [prompt.text for prompt in all_prompts()]
    return write_demonstrations(prompts, 2_000, np.random.default_rng(0))


HAND_WORKED = {
    "a good text, too long": (
        PROMPT,
        "once , the gentle sand sails a soft boat .",
        {
            "topic": 1 - math.exp(-3 / 2),  # sand sails boat
            "tone": 1 - math.exp(-2 / 1.2),  # gentle soft
            "grammar": 1.0,
            "length": 4 / 6,
            "form": 1.0,
            "ending": 1.0,
            "keyword": 1.0,
        },
    ),
    "hype in the wrong tone": (
        "write medium angry note about music with drum :",
        "very very happy song song ! wow !",
        {
            "topic": 1 - math.exp(-1 / 2),  # song counts once
            "clash": 1 - math.exp(-1 / 1.5),  # happy
            "grammar": 5 / 8,  # illegal: start very, very very, song song
            "repetition": 2 / 6 + 2 / 8,  # six content words, four distinct; two doubled
            "length": 4 / 12,
            "form": 1.0,  # a note opens with no opener
            "ending": 1.0,
            "hype": 3 / 6,  # very very ! wow !
        },
    ),
    "a short list of the keyword": (
        "write brief gloomy tip about sea with fish :",
        "fish fish fish fish",
        {
            "topic": 1 - math.exp(-1 / 2),
            "stuffing": 4 / 6,  # all of it, but only four words
            "repetition": 3 / 4 + 3 / 6,
            "length": 2 / 6,
            "keyword": 1.0,
        },
    ),
    "stuffed, with a clash said twice": (
        "write brief calm note about garden with rose :",
        "once rose grows tree rude rude seed rose",
        {
            "topic": 1 - math.exp(-4 / 2),  # rose grows tree seed
            "stuffing": (5 / 8 - 0.4) / 0.6,
            "clash": 1 - math.exp(-2 / 1.5),
            "grammar": 4 / 8,  # start once, once rose, rose grows, rude seed
            "repetition": 2 / 8 + 1 / 8,  # rose, rude; rude rude
            "length": 2 / 6,
            "keyword": 1.0,
        },
    ),
    "cut at 24 words": (
        "write brief cheerful letter about garden with bee :",
        " ".join(["he grows ."] * 8),
        {
            "topic": 1 - math.exp(-1 / 2),
            "grammar": 1.0,
            "repetition": 7 / 8,
            "length": 1.5,  # capped: 18 / 6
        },
    ),
    "ended at 23 words": (
        "write brief cheerful letter about garden with bee :",
        " ".join(["he grows ."] * 7) + " he .",
        {
            "topic": 1 - math.exp(-1 / 2),
            "grammar": 1.0,
            "repetition": 6 / 7,
            "length": 1.5,
            "ending": 1.0,
        },
    ),
    "nothing but marks": (
        "write long cheerful note about sea with ship :",
        " ".join(["!"] * 14),
        {"repetition": 13 / 14, "length": 5 / 19, "form": 1.0, "ending": 1.0, "hype": 1.5},
    ),
    "words of prompts have no part of speech": (
        "write brief calm note about sea with ship :",
        "he letter likes it .",
        {"grammar": 3 / 5, "length": 1 / 6, "form": 1.0, "ending": 1.0},  # not: he letter likes
    ),
    "empty": (PROMPT, "", {"length": 1.0}),
}


@pytest.mark.parametrize("case", HAND_WORKED)
def test_features_worked_by_hand(case: str):
    prompt, response, expected = HAND_WORKED[case]
    measured = dict(zip(FEATURES, features(prompt, response), strict=True))
    assert measured == pytest.approx({name: expected.get(name, 0.0) for name in FEATURES})


def test_the_cases_worked_by_hand_exercise_every_feature():
    values = [expected for _, _, expected in HAND_WORKED.values()]
    assert {name for expected in values for name, value in expected.items() if value} == set(
        FEATURES
    )


def test_utility_worked_by_hand():
    prompt, response, _ = HAND_WORKED["a good text, too long"]
    by_hand = (
        2.2 * (1 - math.exp(-1.5))
        + 1.6 * (1 - math.exp(-2 / 1.2))
        + 3.5
        - 1.6 * 4 / 6
        + 0.7
        + 0.5
        + 0.9
    )
    assert utility(prompt, response) == pytest.approx(by_hand)
    prompt, response, _ = HAND_WORKED["a short list of the keyword"]
    by_hand = 2.2 * (1 - math.exp(-0.5)) - 3.0 * 4 / 6 - 4.0 * 1.25 - 1.6 * 2 / 6 + 0.9
    assert utility(prompt, response) == pytest.approx(by_hand)
    prompt, response, _ = HAND_WORKED["hype in the wrong tone"]
    by_hand = (
        2.2 * (1 - math.exp(-0.5))
        - 1.4 * (1 - math.exp(-1 / 1.5))
        + 3.5 * 5 / 8
        - 4.0 * (2 / 6 + 2 / 8)
        - 1.6 * 4 / 12
        + 0.7
        + 0.5
        - 1.2 * 3 / 6
    )
    assert utility(prompt, response) == pytest.approx(by_hand)


def test_utilities_are_the_utility_of_each_row(demonstrations: pd.DataFrame):
    asked, responses = list(demonstrations["prompt"][:50]), list(demonstrations["response"][:50])
    one_by_one = [utility(*row) for row in zip(asked, responses, strict=True)]
    assert utilities(asked, responses) == pytest.approx(one_by_one)
    assert feature_table([], []).shape == (0, 11)
    assert WEIGHTS.shape == (len(FEATURES),) == (11,)


@pytest.mark.parametrize("response", ["zebra", "the zebra sails .", "the boat sails zebra"])
def test_a_response_in_other_words_has_no_utility(response: str):
    with pytest.raises(UserError, match="'zebra'"):
        utility(PROMPT, response)
