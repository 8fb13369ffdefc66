"""Points of a PPO curve: KL, proxy, gold and human score of the same responses."""

import copy

import numpy as np
import pytest
import torch

from library_twins import twin_of
from overopt.methods.episodes import Episodes, repeat_prompts
from overopt.methods.evaluation import Evaluator
from overopt.models.tokens import join
from overopt.policy.sampling import sample_responses
from overopt.reward_model.scorer import SequenceScorer
from overopt.reward_model.scoring import score_sequences

PROMPTS = [[1, 7, 8, 9, 10], [1, 4, 6], [1], [1, 3]]
NUM_RESPONSES = 16
MAX_RESPONSE_TOKENS = 6


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def policy(build_tiny_policy):
    return build_tiny_policy()


@pytest.fixture
def evaluator(policy, build_tiny_reward_model):
    return Evaluator(
        prompts=PROMPTS,
        num_responses=NUM_RESPONSES,
        max_response_tokens=MAX_RESPONSE_TOKENS,
        ref_policy=copy.deepcopy(policy),
        proxy_rm=SequenceScorer(build_tiny_reward_model(1), join),
        gold_rm=SequenceScorer(build_tiny_reward_model(2), join),
        human_scores=None,
    )


def test_the_initial_policy_is_at_zero(policy, evaluator):
    measured = evaluator.evaluate(policy, rng())
    names = {"kl", "kl_k1", "proxy_score", "gold_score", "response_length"}
    assert set(measured) == names | {"gold_proxy_covariance", "proxy_variance"}
    assert {len(values) for values in measured.values()} == {len(PROMPTS)}
    for name in ("kl", "kl_k1"):
        assert measured[name] == pytest.approx([0] * len(PROMPTS), abs=1e-6)
    prompts = repeat_prompts(PROMPTS, NUM_RESPONSES)
    responses = sample_responses(policy, prompts, MAX_RESPONSE_TOKENS, rng())
    sequences = Episodes.of(prompts, responses).sequences
    by_prompt = score_sequences(evaluator.proxy_rm._model, sequences).reshape(len(PROMPTS), -1)
    assert measured["proxy_score"] == pytest.approx(by_prompt.mean(1).tolist(), rel=1e-5)
    gold = score_sequences(evaluator.gold_rm._model, sequences).reshape(len(PROMPTS), -1)
    covariances = [np.cov(p, g) for p, g in zip(by_prompt, gold, strict=True)]
    expected = [matrix[0, 1] for matrix in covariances]
    assert measured["gold_proxy_covariance"] == pytest.approx(expected, rel=1e-4, abs=1e-9)
    expected = [matrix[0, 0] for matrix in covariances]
    assert measured["proxy_variance"] == pytest.approx(expected, rel=1e-4, abs=1e-12)


def test_one_response_has_no_covariance(policy, evaluator):
    measured = Evaluator(**{**vars(evaluator), "num_responses": 1}).evaluate(policy, rng())
    assert "gold_proxy_covariance" not in measured and "gold_score" in measured


@torch.no_grad()
def kl_of(policy, ref_policy, sequence: list[int], prompt_length: int) -> tuple[float, float]:
    """Exact and sampled KL of one response, by unpadded forward passes of transformers."""
    ids = torch.tensor([sequence])
    ours, theirs = (
        twin_of(model)(ids).logits[0, prompt_length - 1 : -1].log_softmax(-1)
        for model in (policy, ref_policy)
    )
    sampled = (ours - theirs).gather(1, ids[0, prompt_length:, None]).sum()
    return (ours.exp() * (ours - theirs)).sum().item(), sampled.item()


def test_all_measurements_are_of_the_same_responses(policy, evaluator):
    seen: list[tuple[list[int], list[int]]] = []

    def human_scores(prompts: list[list[int]], responses: list[list[int]]) -> np.ndarray:
        seen.extend(zip(prompts, responses, strict=True))
        return np.array([prompt.count(5) + row.count(5) for prompt, row in seen], dtype=float)

    evaluator = Evaluator(**{**vars(evaluator), "human_scores": human_scores})
    with torch.no_grad():
        policy.transformer.wte.weight *= 1.3
    measured = evaluator.evaluate(policy, rng())
    sequences, starts = [prompt + row for prompt, row in seen], [len(prompt) for prompt, _ in seen]
    assert [prompt for prompt, _ in seen] == [p for p in PROMPTS for _ in range(NUM_RESPONSES)]
    exact, sampled = zip(
        *(
            kl_of(policy, evaluator.ref_policy, row, start)
            for row, start in zip(sequences, starts, strict=True)
        ),
        strict=True,
    )
    expected = {
        "kl": exact,
        "kl_k1": sampled,
        "proxy_score": score_sequences(evaluator.proxy_rm._model, sequences),
        "gold_score": score_sequences(evaluator.gold_rm._model, sequences),
        "human_score": [row.count(5) for row in sequences],
        "response_length": [len(row) - start for row, start in zip(sequences, starts, strict=True)],
    }
    assert measured.keys() - {"gold_proxy_covariance", "proxy_variance"} == expected.keys()
    for name, values in expected.items():
        by_prompt = np.reshape(values, (len(PROMPTS), NUM_RESPONSES)).mean(1)
        np.testing.assert_allclose(measured[name], by_prompt, atol=1e-5, err_msg=name)
    assert min(measured["kl"]) > 0.01
    assert len(set(measured["human_score"])) > 1


def test_the_generator_decides_the_responses(policy, evaluator):
    generator = rng()
    first, second = (evaluator.evaluate(policy, generator) for _ in range(2))
    assert first == evaluator.evaluate(policy, rng())
    assert first["gold_score"] != second["gold_score"]
