"""The annotators: people who compare two responses, each with tastes around the mean utility."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from overopt.data.world.utility import FEATURES, WEIGHTS, feature_table


def annotator_weights(
    num_annotators: int, weight_spread: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw the tastes of a group: WEIGHTS * exp(N(0, weight_spread)), shape (num_annotators, 11).

    Signs never change: all like the same things, and differ in how much.
    """
    return WEIGHTS * np.exp(rng.normal(0, weight_spread, (num_annotators, len(FEATURES))))


def preference_probabilities(
    feature_differences: np.ndarray, weights: np.ndarray, inverse_temperature: float
) -> np.ndarray:
    """Probability that response a is chosen: sigmoid(inverse_temperature * (u_a - u_b)).

    Parameters
    ----------
    feature_differences
        Features of a minus features of b, shape (..., 11).
    weights
        Of the annotators, shape (..., 11), broadcast against the differences.
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
) -> pd.DataFrame:
    """Have each pair compared once, by an annotator drawn at random from one group.

    The group is drawn from `rng` first, so judge all pairs of a study in one call, or they are
    judged by several groups. Two equal responses are a coin.

    Returns
    -------
    pd.DataFrame
        Columns `prompt`, `chosen`, `rejected` (str), one row per pair, in the given order.

    Raises
    ------
    UserError
        If a prompt or a word is not of the embedded world.
    """
    group = annotator_weights(num_annotators, weight_spread, rng)
    annotator = rng.integers(0, num_annotators, len(prompts))
    differences = feature_table(prompts, responses_a) - feature_table(prompts, responses_b)
    probabilities = preference_probabilities(differences, group[annotator], inverse_temperature)
    is_a_chosen = rng.random(len(prompts)) < probabilities
    a, b = np.array(responses_a, dtype=object), np.array(responses_b, dtype=object)
    return pd.DataFrame(
        {
            "prompt": list(prompts),
            "chosen": np.where(is_a_chosen, a, b),
            "rejected": np.where(is_a_chosen, b, a),
        },
        dtype="str",
    )
