"""Scores of several models together, against numpy."""

import numpy as np
import pytest
import torch

from overopt.models.tokens import join
from overopt.reward_model.ensemble import EnsembleScorer, mean, mean_less_sd, member_folders, worst
from overopt.reward_model.scorer import SequenceScorer

PROMPTS = [[1, 3], [1], [1, 4, 6]]
RESPONSES = [[5, 2], [7, 8, 2], [9]]


@pytest.fixture
def members(build_tiny_reward_model):
    return [SequenceScorer(build_tiny_reward_model(seed), join) for seed in (1, 2, 3)]


@pytest.mark.parametrize(
    ("combine", "expected"),
    [
        (mean, lambda scores: scores.sum(0) / 3),
        (worst, lambda scores: np.minimum(np.minimum(scores[0], scores[1]), scores[2])),
        (mean_less_sd(0.5), lambda scores: np.mean(scores, 0) - 0.5 * np.sqrt(np.var(scores, 0))),
        (mean_less_sd(0.0), lambda scores: np.mean(scores, 0)),
    ],
)
def test_scores_are_combined_as_numpy_says(members, combine, expected):
    scores = np.stack([member.score(PROMPTS, RESPONSES) for member in members])
    assert np.ptp(scores, axis=0).min() > 0.01
    found = EnsembleScorer(members, combine).score(PROMPTS, RESPONSES)
    assert found.dtype == np.float32
    assert found.shape == (3,)
    np.testing.assert_allclose(found, expected(scores.astype(np.float64)), rtol=1e-5)


def test_the_size_of_an_ensemble_is_that_of_a_member(members):
    ensemble = EnsembleScorer(members, mean)
    assert ensemble.num_parameters == members[0].num_parameters > 0
    ensemble.to(torch.device("cpu"))


def test_an_ensemble_has_a_member():
    with pytest.raises(ValueError, match="needs a member"):
        EnsembleScorer([], mean)


def test_members_are_read_in_the_order_of_their_numbers(tmp_path):
    for number in (1, 10, 2):
        (tmp_path / f"member-{number}").mkdir()
    names = [folder.name for folder in member_folders(tmp_path)]
    assert names == [tmp_path.name, "member-1", "member-2", "member-10"]
