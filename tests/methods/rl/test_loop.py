"""The loop that RL methods share, with an algorithm of 25 lines: REINFORCE on the toy."""

import copy

import numpy as np
import pytest
import torch

from overopt.config.rl import RLConfig
from overopt.errors import UserError
from overopt.methods.evaluation import Evaluator
from overopt.methods.rl.algorithm import Algorithm, Batch
from overopt.methods.rl.loop import STREAMS, RLLoop
from overopt.models.tokens import join
from overopt.models.training.loop import DivergedError
from overopt.models.training.state import TrainingState
from overopt.randomness import torch_generator
from overopt.reward_model.scorer import SequenceScorer
from rl_examples import (
    MAX_RESPONSE_TOKENS,
    PROMPTS,
    Reinforce,
    count_liked,
    reward_model_that_likes_a_token,
)

CONFIG = RLConfig(
    num_iterations=12,
    batch_size=64,
    evaluate_every=6,
    num_evaluation_responses=16,
    num_normalization_responses=128,
)


@pytest.fixture(scope="module")
def proxy_rm(build_tiny_policy):
    return reward_model_that_likes_a_token(build_tiny_policy)


@pytest.fixture
def start(build_tiny_policy, build_tiny_reward_model, proxy_rm):
    """Set up a run of an algorithm: loop and evaluator, from the same start each time."""

    def start(
        algorithm: type[Algorithm] = Reinforce, *, learning_rate: float = 1e-2, **changes: object
    ) -> tuple[RLLoop, Evaluator]:
        policy = build_tiny_policy(0, 1.0, hidden_size=16)
        ref_policy = copy.deepcopy(policy)
        loop = RLLoop(
            algorithm(policy, learning_rate),
            ref_policy,
            SequenceScorer(proxy_rm, join),
            PROMPTS,
            CONFIG.model_copy(update=changes),
            max_response_tokens=MAX_RESPONSE_TOKENS,
            generators={name: torch_generator(0, name) for name in STREAMS},
        )
        evaluator = Evaluator(
            prompts=PROMPTS[::-1],
            num_responses=16,
            max_response_tokens=MAX_RESPONSE_TOKENS,
            ref_policy=ref_policy,
            proxy_rm=SequenceScorer(proxy_rm, join),
            gold_rm=SequenceScorer(build_tiny_reward_model(3), join),
            human_scores=count_liked,
        )
        return loop, evaluator

    return start


def test_reinforce_raises_the_proxy_score(start):
    loop, evaluator = start()
    evaluations, iterations, ended = loop.run(evaluator, TrainingState(None))
    assert ended == "last iteration"
    assert len(iterations) == 12
    assert list(iterations[0]["metrics"]) == [
        *("score", "kl_k1", "response_length"),
        "policy_loss",
    ]
    first, last = (evaluations[i]["measured"] for i in (0, -1))
    assert np.mean(first["kl"]) == pytest.approx(0, abs=1e-6)
    assert np.mean(last["kl"]) > 0.3
    for name in ("proxy_score", "human_score"):
        assert np.mean(last[name]) > np.mean(first[name]) + 1


def test_responses_to_one_prompt_stand_together(start):
    loop, _ = start()
    episodes = loop._roll_out().episodes
    groups = zip(*[iter(episodes.parts[0])] * Reinforce.responses_per_prompt, strict=True)
    assert all(len(set(map(tuple, group))) == 1 for group in groups)
    assert len({tuple(prompt) for prompt in episodes.parts[0]}) > 1


def test_the_batch_size_is_a_multiple_of_the_responses_to_a_prompt(start):
    with pytest.raises(UserError, match="batch_size: 12 is no multiple of the 8 responses that"):
        start(batch_size=12)


def test_parts_of_a_batch_weigh_by_their_responses(start, monkeypatch):
    """Micro-batches of two responses give the gradient of the whole minibatch."""
    gradients = []
    for size in (64, 2):
        loop, _ = start()
        monkeypatch.setattr("overopt.methods.episodes.MICRO_BATCH_SIZE", size)
        rollout, updater = loop._roll_out(), loop._updater
        batch = Batch(rollout.episodes, rollout.logprobs, loop.algorithm.finish(rollout), 0)
        updater._with_gradient(batch, np.arange(64), np.ones(64), is_first=True)
        gradients.append(loop.policy.transformer.wte.weight.grad)
    assert gradients[0].abs().max() > 0.01
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-5, rtol=1e-4)


class MissingRows(Reinforce):
    def finish(self, rollout):
        return {"advantages": super().finish(rollout)["advantages"][:-1]}


def test_targets_of_a_wrong_shape_are_refused(start):
    loop, evaluator = start(MissingRows)
    expected = r"MissingRows.finish: advantages has shape \(63,\); expected one row for each of"
    with pytest.raises(UserError, match=expected):
        loop.run(evaluator, TrainingState(None))


class NoNumber(Reinforce):
    def finish(self, rollout):
        return {"advantages": super().finish(rollout)["advantages"] / 0}


def test_a_loss_that_is_no_number_ends_the_run(start):
    loop, evaluator = start(NoNumber)
    result = loop.run(evaluator, TrainingState(None))
    assert result.ended == (
        "diverged in iteration 0: the loss of NoNumber is nan; lower its learning rate"
    )
    assert len(result.evaluations) == 1
    with pytest.raises(DivergedError):
        loop._iterate(0)


def test_an_algorithm_without_a_loss_is_none(build_tiny_policy):
    class NoLoss(Algorithm):
        def schedule(self, step):
            raise NotImplementedError

        def finish(self, rollout):
            raise NotImplementedError

    with pytest.raises(TypeError, match="abstract method '?forward"):
        NoLoss(build_tiny_policy())  # type: ignore[abstract]
