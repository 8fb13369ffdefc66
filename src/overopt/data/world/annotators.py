"""The annotators: people who compare two responses, each with tastes around the mean utility."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from overopt.config.world import PLAIN_WORLD, WorldConfig
from overopt.data.world.dials import dial_weights
from overopt.data.world.utility import FEATURES, WEIGHTS, feature_table


def annotator_weights(
    num_annotators: int,
    weight_spread: float,
    rng: np.random.Generator,
    world: WorldConfig = PLAIN_WORLD,
) -> np.ndarray:
    """Draw the weights of a group: the mean ones * exp(N(0, weight_spread)).

    The shape is (num_annotators, features of the world). Signs never change: all like the same
    things, and differ in how much. A dial leaves the eleven weights as they are.
    """
    plain = WEIGHTS * np.exp(rng.normal(0, weight_spread, (num_annotators, len(FEATURES))))
    added = np.array(list(dial_weights(world).values()))
    spread = np.exp(rng.normal(0, weight_spread, (num_annotators, len(added))))
    return np.hstack([plain, added * spread])


def preference_probabilities(
    feature_differences: np.ndarray, weights: np.ndarray, inverse_temperature: float
) -> np.ndarray:
    """Probability that response a is chosen: sigmoid(inverse_temperature * (u_a - u_b)).

    Parameters
    ----------
    feature_differences
        Features of a minus features of b, shape (..., features).
    weights
        Of the annotators, shape (..., features), broadcast against the differences.
    inverse_temperature
        How sure a choice is, per unit of utility; 0 is a coin.
    """
    utility_differences = np.sum(feature_differences * weights, axis=-1)
    # The sigmoid, in a form that does not overflow.
    return 0.5 * (1 + np.tanh(0.5 * inverse_temperature * utility_differences))


def judge(
    prompts: Sequence[str],
    responses_a: Sequence[str],
    responses_b: Sequence[str],
    *,
    num_annotators: int,
    weight_spread: float,
    inverse_temperature: float,
    rng: np.random.Generator,
    label_noise: float = 0.0,
    world: WorldConfig = PLAIN_WORLD,
) -> pd.DataFrame:
    """Have each pair compared once, by an annotator drawn at random from one group.

    The group is drawn from `rng` first, so judge all pairs of a study in one call, or they are
    judged by several groups. Two equal responses are a coin. A share `label_noise` of the
    choices is noted the wrong way round.

    Returns
    -------
    pd.DataFrame
        Columns `prompt`, `chosen`, `rejected` (str), one row per pair, in the given order.

    Raises
    ------
    UserError
        If a prompt or a word is not of the embedded world.
    """
    group = annotator_weights(num_annotators, weight_spread, rng, world)
    annotator = rng.integers(0, num_annotators, len(prompts))
    first, second = (feature_table(prompts, side, world) for side in (responses_a, responses_b))
    differences = first - second
    probabilities = preference_probabilities(differences, group[annotator], inverse_temperature)
    is_a_chosen = rng.random(len(prompts)) < probabilities
    is_a_chosen ^= rng.random(len(prompts)) < label_noise
    a, b = np.array(responses_a, dtype=object), np.array(responses_b, dtype=object)
    return pd.DataFrame(
        {
            "prompt": list(prompts),
            "chosen": np.where(is_a_chosen, a, b),
            "rejected": np.where(is_a_chosen, b, a),
        },
        dtype="str",
    )
