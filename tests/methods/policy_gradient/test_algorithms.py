"""RLOO, GRPO, Dr. GRPO and REINFORCE++ in the loop that all RL methods share."""

import copy
from functools import partial

import numpy as np
import pytest
import torch

from overopt.config.methods import METHODS, job_methods
from overopt.config.policy_gradient import GroupConfig, PolicyGradientConfig
from overopt.jobs.plugins import resolve
from overopt.methods.episodes import Episodes
from overopt.methods.evaluation import Evaluator
from overopt.methods.policy_gradient.algorithms import GRPO, RLOO, DrGRPO, ReinforcePlusPlus
from overopt.methods.rl.algorithm import Batch, Rollout
from overopt.methods.rl.loop import STREAMS, RLLoop
from overopt.models.tokens import join
from overopt.models.training.state import TrainingState
from overopt.policy.sampling import sample_responses
from overopt.randomness import torch_generator
from overopt.reward_model.scorer import SequenceScorer
from rl_examples import (
    MAX_RESPONSE_TOKENS,
    PROMPTS,
    count_liked,
    reward_model_that_likes_a_token,
)

LOOP = {
    "num_iterations": 12,
    "batch_size": 64,
    "evaluate_every": 6,
    "num_evaluation_responses": 16,
    "num_normalization_responses": 128,
}
ALGORITHMS = {
    "rloo": (RLOO, GroupConfig),
    "grpo": (GRPO, GroupConfig),
    "dr_grpo": (partial(DrGRPO, max_response_tokens=MAX_RESPONSE_TOKENS), GroupConfig),
    "reinforce_pp": (ReinforcePlusPlus, PolicyGradientConfig),
}


@pytest.fixture(scope="module")
def proxy_rm(build_tiny_policy):
    return reward_model_that_likes_a_token(build_tiny_policy)


def test_each_is_a_method_whose_function_is_there() -> None:
    assert set(ALGORITHMS) == set(job_methods())
    for name, (_, config) in ALGORITHMS.items():
        resolve(METHODS[name].job, ("job", "settings", "files"))
        assert METHODS[name].options_model is config


def run(name, build_tiny_policy, build_tiny_reward_model, proxy_rm, *, kl_coef=0.0, **changes):
    algorithm, settings = ALGORITHMS[name]
    config = settings(**(LOOP | changes))
    policy = build_tiny_policy(0, 1.0, hidden_size=16)
    ref_policy = copy.deepcopy(policy)
    scorer = SequenceScorer(proxy_rm, join)
    loop = RLLoop(
        algorithm(policy, config, learning_rate=1e-2, kl_coef=kl_coef),
        ref_policy,
        scorer,
        PROMPTS,
        config,
        max_response_tokens=MAX_RESPONSE_TOKENS,
        generators={name: torch_generator(0, name) for name in STREAMS},
    )
    evaluator = Evaluator(
        prompts=PROMPTS[::-1],
        num_responses=16,
        max_response_tokens=MAX_RESPONSE_TOKENS,
        ref_policy=ref_policy,
        proxy_rm=scorer,
        gold_rm=SequenceScorer(build_tiny_reward_model(3), join),
        human_scores=count_liked,
    )
    return loop.run(evaluator, TrainingState(None))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_it_learns_what_the_proxy_likes(
    name, build_tiny_policy, build_tiny_reward_model, proxy_rm
) -> None:
    result = run(name, build_tiny_policy, build_tiny_reward_model, proxy_rm)
    first, last = (result.evaluations[i]["measured"] for i in (0, -1))
    assert np.mean(last["human_score"]) > np.mean(first["human_score"]) + 0.5
    assert np.mean(last["proxy_score"]) > np.mean(first["proxy_score"]) + 0.5
    assert np.mean(last["kl"]) > 0.1


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_penalty_keeps_the_policy_near(
    name, build_tiny_policy, build_tiny_reward_model, proxy_rm
) -> None:
    arguments = (name, build_tiny_policy, build_tiny_reward_model, proxy_rm)
    free, held = run(*arguments), run(*arguments, kl_coef=3.0)
    kls = [np.mean(result.evaluations[-1]["measured"]["kl"]) for result in (free, held)]
    assert kls[1] < 0.5 * kls[0]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_first_gradient_is_that_of_a_plain_policy_gradient(name, build_tiny_policy) -> None:
    """At the rollout's own policy no ratio is clipped: advantage times the log-probability."""
    algorithm_of, settings = ALGORITHMS[name]
    policy = build_tiny_policy(0, 1.0)
    algorithm = algorithm_of(policy, settings(), learning_rate=1e-2, kl_coef=0.0)
    prompts = [prompt for prompt in PROMPTS for _ in range(4)]
    responses = sample_responses(policy, prompts, MAX_RESPONSE_TOKENS, torch_generator(0, "x"))
    episodes = Episodes.of(prompts, responses)
    with torch.no_grad():
        logprobs = algorithm.read(episodes)["logprobs"]
    scores = torch.linspace(-1, 1, len(prompts)).sin()
    kl = torch.zeros(len(prompts))
    targets = algorithm.finish(Rollout(episodes, scores, logprobs, logprobs, kl))
    loss = algorithm(Batch(episodes, logprobs, targets, 0))
    loss.total.backward()
    found = [p.grad.clone() for p in policy.parameters()]
    algorithm.zero_grad()

    advantages = targets["advantages"]
    if advantages.dim() == 1:
        advantages = advantages[:, None].expand_as(logprobs)
    now = algorithm.read(episodes)["logprobs"]
    lengths = episodes.mask.sum(1, keepdim=True)
    weights = {
        "rloo": torch.ones_like(lengths) / len(prompts),
        "grpo": 1 / lengths / len(prompts),
        "dr_grpo": torch.ones_like(lengths) / len(prompts) / MAX_RESPONSE_TOKENS,
        "reinforce_pp": torch.ones_like(lengths) / lengths.sum(),
    }[name]
    (-(weights * advantages * now * episodes.mask)).sum().backward()
    for mine, plain in zip(found, policy.parameters(), strict=True):
        torch.testing.assert_close(mine, plain.grad, atol=1e-6, rtol=1e-4)
