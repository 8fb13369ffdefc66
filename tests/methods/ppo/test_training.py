"""PPO on a toy: a proxy that likes one token, runs that are killed, and a reference trajectory."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from overopt.config.ppo import PPOConfig
from overopt.methods.evaluation import Evaluator
from overopt.methods.ppo.algorithm import PPO
from overopt.methods.rl.loop import STREAMS, RLLoop
from overopt.methods.rl.update import Updater
from overopt.models.tokens import join
from overopt.models.training.state import TrainingState
from overopt.randomness import torch_generator
from overopt.reward_model import scorer
from overopt.reward_model.scorer import SequenceScorer
from overopt.reward_model.scoring import score_sequences
from rl_examples import (
    LIKED,
    MAX_RESPONSE_TOKENS,
    PROMPTS,
    count_liked,
    reward_model_that_likes_a_token,
)

CONFIG = PPOConfig(
    num_iterations=5,
    batch_size=32,
    num_value_warmup_iterations=1,
    num_value_warmup_epochs=2,
    num_ramp_iterations=1,
    num_mini_batches=2,
    evaluate_every=1,
    evaluate_at_sqrt_kl=100.0,
    num_evaluation_responses=16,
    num_normalization_responses=256,
)


class KilledError(Exception):
    """Stands for the end of a process."""


@pytest.fixture(scope="module")
def proxy_rm(build_tiny_policy):
    return reward_model_that_likes_a_token(build_tiny_policy)


@pytest.fixture
def start(build_tiny_policy, build_tiny_reward_model, proxy_rm):
    """Set up a run: trainer and evaluator, from the same start each time."""

    def start(
        config: PPOConfig = CONFIG,
        *,
        learning_rate: float = 3e-3,
        kl_coef: float = 0.0,
        human_scores=None,
        reward_model=proxy_rm,
        **changes: object,
    ) -> tuple[RLLoop, Evaluator]:
        config = config.model_copy(update=changes)
        policy = build_tiny_policy(0, 1.0, hidden_size=16)
        ref_policy = copy.deepcopy(policy)
        trainer = RLLoop(
            PPO(policy, config, learning_rate=learning_rate, kl_coef=kl_coef),
            ref_policy,
            SequenceScorer(reward_model, join),
            PROMPTS,
            config,
            max_response_tokens=MAX_RESPONSE_TOKENS,
            generators={name: torch_generator(0, name) for name in STREAMS},
        )
        evaluator = Evaluator(
            prompts=PROMPTS[::-1],
            num_responses=config.num_evaluation_responses,
            max_response_tokens=MAX_RESPONSE_TOKENS,
            ref_policy=ref_policy,
            proxy_rm=SequenceScorer(reward_model, join),
            gold_rm=SequenceScorer(build_tiny_reward_model(3), join),
            human_scores=human_scores,
        )
        return trainer, evaluator

    return start


def means(evaluations, name: str) -> list[float]:
    return [float(np.mean(evaluation["measured"][name])) for evaluation in evaluations]


def weights_of(trainer: RLLoop) -> dict[str, torch.Tensor]:
    return {name: t.clone() for name, t in trainer.policy.state_dict().items()}


def is_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_ppo_raises_the_proxy_score_and_the_kl(start):
    trainer, evaluator = start(
        num_iterations=16, evaluate_every=4, batch_size=64, human_scores=count_liked
    )
    evaluations, iterations, _ = trainer.run(evaluator, TrainingState(None))
    assert [evaluation["step"] for evaluation in evaluations] == [0, 4, 8, 12, 16]
    assert [iteration["step"] for iteration in iterations] == list(range(16))
    proxy, kl, liked = (means(evaluations, name) for name in ("proxy_score", "kl", "human_score"))
    assert proxy[-1] > proxy[0] + 1
    assert liked[-1] > liked[0] + 1
    assert kl[0] == pytest.approx(0, abs=1e-6)
    assert all(later > earlier for earlier, later in zip(kl, kl[1:], strict=False))
    assert kl[-1] > 0.5
    # The same responses give the sampled estimate: it agrees but for its noise.
    assert means(evaluations, "kl_k1")[-1] == pytest.approx(kl[-1], rel=0.5)
    score = [iteration["metrics"]["score"] for iteration in iterations]
    # In sd of the initial policy, from its mean.
    assert score[0] == pytest.approx(0, abs=0.4)
    assert score[-1] > 1


def test_a_large_penalty_keeps_the_kl_small(start):
    kl = {}
    for kl_coef in (0.0, 0.3, 10.0):
        trainer, evaluator = start(
            num_iterations=12, evaluate_every=12, batch_size=64, kl_coef=kl_coef
        )
        evaluations, _, _ = trainer.run(evaluator, TrainingState(None))
        kl[kl_coef] = means(evaluations, "kl")[-1]
    # The last is noise: whitened advantages have unit size, however small the reward.
    assert kl[0.0] > 1.5 * kl[0.3] > 1.5**2 * kl[10.0]
    assert kl[10.0] < 1


def test_the_ratio_is_one_at_the_first_mini_batch(start, monkeypatch):
    checks = []
    check_ratio = Updater._check_ratio

    def record(*arguments):
        checks.append(arguments)
        check_ratio(*arguments)

    monkeypatch.setattr(Updater, "_check_ratio", record)
    trainer, evaluator = start(num_iterations=3)
    trainer.run(evaluator, TrainingState(None))
    assert len(checks) == 3  # once a rollout, during the warm-up too


def test_a_policy_that_moved_since_the_rollout_is_noticed(start, monkeypatch):
    trainer, evaluator = start()
    roll_out = RLLoop._roll_out

    def roll_out_and_move(self):
        rollout = roll_out(self)
        with torch.no_grad():
            self.policy.transformer.wte.weight += 1e-3
            self.policy.transformer.wte.weight[LIKED] *= 1.01
        return rollout

    monkeypatch.setattr(RLLoop, "_roll_out", roll_out_and_move)
    with pytest.raises(AssertionError, match="the probability ratio differs from 1 by"):
        trainer.run(evaluator, TrainingState(None))


def test_the_policy_does_not_move_while_the_value_head_warms_up(start):
    trainer, evaluator = start(
        num_iterations=4, num_value_warmup_iterations=4, num_value_warmup_epochs=8
    )
    before = weights_of(trainer)
    evaluations, iterations, _ = trainer.run(evaluator, TrainingState(None))
    assert is_equal(weights_of(trainer), before)
    assert means(evaluations, "kl") == pytest.approx([0] * 5, abs=1e-6)
    losses = [iteration["metrics"]["value_loss"] for iteration in iterations]
    assert losses[-1] < losses[0]
    trainer, evaluator = start(num_iterations=2)
    trainer.run(evaluator, TrainingState(None))
    assert not is_equal(weights_of(trainer), before)


def test_the_run_stops_at_the_kl_asked_for(start):
    trainer, evaluator = start(num_iterations=50, batch_size=64, stop_kl=0.2)
    evaluations, iterations, _ = trainer.run(evaluator, TrainingState(None))
    kl = means(evaluations, "kl")
    assert len(iterations) < 50
    assert len(evaluations) == len(iterations) + 1
    assert kl[-1] > 0.2 > max(kl[:-1])


def test_evaluations_follow_the_kl_and_the_last_step_is_one(start):
    trainer, evaluator = start(
        num_iterations=14, batch_size=64, evaluate_every=6, evaluate_at_sqrt_kl=0.3
    )
    evaluations, iterations, _ = trainer.run(evaluator, TrainingState(None))
    kl = dict(zip([e["step"] for e in evaluations], means(evaluations, "kl"), strict=True))
    due, last = [], None
    for step in range(15):
        rolled_out = iterations[step - 1]["metrics"]["kl_k1"] if step else 0.0
        on_grid = step in (0, 6, 12, 14)
        if on_grid or abs(max(rolled_out, 0) ** 0.5 - max(kl[last], 0) ** 0.5) >= 0.3:
            due.append(step)
            last = step
    assert list(kl) == due
    assert set(due) > {0, 6, 12, 14}


def test_a_response_that_was_cut_pays_the_penalty(start):
    rollouts = []
    for penalty in (0.0, 7.0):
        trainer, _ = start(missing_eos_penalty=penalty, batch_size=200)
        trainer._scale = trainer._measure_reward_scale()
        rollouts.append(trainer._roll_out())
    free, fined = rollouts
    starts = free.episodes.prompt_lengths.tolist()
    rows = [row[begin:] for row, begin in zip(free.episodes.sequences, starts, strict=True)]
    at_the_limit = [row for row in rows if len(row) == MAX_RESPONSE_TOKENS]
    assert {row[-1] == 2 for row in at_the_limit} == {True, False}
    expected = [7.0 * (row[-1] != 2) for row in rows]
    np.testing.assert_allclose((free.scores - fined.scores).numpy(), expected, atol=1e-5)


def test_a_run_that_diverges_ends_and_keeps_its_curve(start, capsys):
    trainer, evaluator = start(learning_rate=math.inf, evaluate_every=1)
    evaluations, iterations, ended = trainer.run(evaluator, TrainingState(None))
    assert ended.startswith(f"diverged in iteration {evaluations[-1]['step']}")
    assert "lower the policy's ppo_learning_rate (inf)" in ended
    assert ended in capsys.readouterr().out
    assert len(evaluations) == len(iterations) + 1 >= 1
    numbers = [list(e["measured"].values()) for e in evaluations]
    assert np.isfinite(np.array(numbers)).all()


def test_an_evaluation_that_is_no_number_is_not_kept(start, monkeypatch):
    trainer, evaluator = start(evaluate_every=1)
    evaluate = type(evaluator).evaluate
    calls = []

    def broken_later(self, policy, generator):
        calls.append(1)
        measured = evaluate(self, policy, generator)
        return measured | ({"kl": [math.nan] * len(measured["kl"])} if len(calls) == 3 else {})

    monkeypatch.setattr(type(evaluator), "evaluate", broken_later)
    evaluations, _, ended = trainer.run(evaluator, TrainingState(None))
    assert [evaluation["step"] for evaluation in evaluations] == [0, 1]
    assert ended == "diverged in iteration 2: kl of the evaluation at iteration 2 is not finite"


def test_a_run_says_why_it_ended(start):
    trainer, evaluator = start()
    assert trainer.run(evaluator, TrainingState(None)).ended == "last iteration"


@pytest.mark.parametrize("killed_in", ["evaluation", "rollout"])
def test_a_killed_run_goes_on_to_the_same_bits(start, tmp_path, monkeypatch, killed_in):
    trainer, evaluator = start(evaluate_every=2, human_scores=count_liked)
    expected = trainer.run(evaluator, TrainingState(None))
    weights = weights_of(trainer)
    assert [evaluation["step"] for evaluation in expected[0]] == [0, 2, 4, 5]
    path = tmp_path / "state.safetensors"
    calls = 0

    def die_at_call(last, function):
        def dying(*arguments):
            nonlocal calls
            calls += 1
            if calls == last:
                raise KilledError
            return function(*arguments)

        return dying

    with monkeypatch.context() as patched, pytest.raises(KilledError):
        if killed_in == "rollout":  # after the reward's scale, an evaluation and one rollout
            patched.setattr(scorer, "score_sequences", die_at_call(5, score_sequences))
            trainer, evaluator = start(evaluate_every=2, human_scores=count_liked)
        else:
            human_scores = die_at_call(3, count_liked)
            trainer, evaluator = start(evaluate_every=2, human_scores=human_scores)
        trainer.run(evaluator, TrainingState(path, "x", seconds_between_saves=0))
    assert path.exists()
    trainer, evaluator = start(evaluate_every=2, human_scores=count_liked)
    with torch.no_grad():  # whatever the new process starts from
        trainer.policy.transformer.wte.weight += 1
    found = trainer.run(evaluator, TrainingState(path, "x"))
    assert found == expected
    assert is_equal(weights_of(trainer), weights)
    # Under another fingerprint the state does not count.
    trainer, evaluator = start(evaluate_every=2, human_scores=count_liked)
    evaluator = replace(evaluator, human_scores=None)
    evaluations, iterations, _ = trainer.run(evaluator, TrainingState(path, "y"))
    assert iterations == expected[1]
    assert "human_score" not in evaluations[0]["measured"]


def test_the_trajectory_is_that_of_the_reference(start, build_tiny_reward_model, compare_reference):
    trainer, evaluator = start(
        kl_coef=0.05, missing_eos_penalty=0.5, reward_model=build_tiny_reward_model(4)
    )
    evaluations, iterations, _ = trainer.run(evaluator, TrainingState(None))
    measured = {name: means(evaluations, name) for name in evaluations[0]["measured"]}
    metrics = {
        f"iteration_{name}": [iteration["metrics"][name] for iteration in iterations]
        for name in iterations[0]["metrics"]
    }
    assert len(iterations) == 5
    compare_reference("ppo", {**measured, **metrics})
