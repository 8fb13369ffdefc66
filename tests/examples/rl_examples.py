"""A toy for RL: eleven words, a proxy RM that has learnt to like one of them, and REINFORCE."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from overopt.config.reward_model import RewardModelSettings
from overopt.methods.episodes import response_logprobs
from overopt.methods.rl.algorithm import Algorithm, Batch, Loss, Rollout, Schedule
from overopt.models.architecture import Policy
from overopt.models.gpt2 import GPT2Policy, GPT2RewardModel
from overopt.models.loading import build_reward_model
from overopt.models.training.state import TrainingState
from overopt.reward_model.training import TokenizedComparisons, train_on_comparisons

LIKED = 5
PROMPTS = [[1, 3], [1], [1, 4, 6], [1, 7, 8, 9, 10]]
MAX_RESPONSE_TOKENS = 6


def reward_model_that_likes_a_token(
    build_tiny_policy: Callable[..., GPT2Policy],
) -> GPT2RewardModel:
    """A reward model that has learnt to count the liked token."""
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 11, (1600, 2, 7)).tolist()
    ordered = [sorted(pair, key=lambda r: r.count(LIKED)) for pair in pairs]
    ordered = [pair for pair in ordered if pair[0].count(LIKED) < pair[1].count(LIKED)]
    settings = RewardModelSettings.model_validate(
        {
            "proxy_rm": None,
            "num_comparisons": len(ordered),
            "num_validation": 1,
            "optimization": {"learning_rate": 1e-2, "batch_size": 8},
            "text": {"max_prompt_tokens": 6, "max_response_tokens": MAX_RESPONSE_TOKENS},
            "seed": 0,
            "subset_seed": 0,
        }
    )
    comparisons = TokenizedComparisons(
        [chosen for _, chosen in ordered], [rejected for rejected, _ in ordered]
    )
    reward_model = build_reward_model(build_tiny_policy(9, 1.0))
    losses = train_on_comparisons(reward_model, comparisons, settings, TrainingState(None))
    assert losses[-20:].mean() < 0.3
    assert isinstance(reward_model, GPT2RewardModel)
    return reward_model


def count_liked(prompts: Sequence[list[int]], responses: Sequence[list[int]]) -> np.ndarray:
    """How often each response has the liked token."""
    return np.array([row.count(LIKED) for row in responses], dtype=float)


class Reinforce(Algorithm):
    """Policy gradient (Williams 1992) whose baseline is the mean score of the same prompt."""

    responses_per_prompt = 8
    averaged_over = "responses"

    def __init__(self, policy: Policy, learning_rate: float) -> None:
        super().__init__(policy)
        self._learning_rate = learning_rate

    def schedule(self, step: int) -> Schedule:
        """One step a rollout."""
        return Schedule(num_epochs=1, num_mini_batches=1, learning_rates=[self._learning_rate])

    def finish(self, rollout: Rollout) -> dict[str, torch.Tensor]:
        """Scores less the mean of the responses to the same prompt."""
        by_prompt = rollout.scores.view(-1, self.responses_per_prompt)
        return {"advantages": (by_prompt - by_prompt.mean(1, keepdim=True)).flatten()}

    def forward(self, batch: Batch) -> Loss:
        """Minus the mean over responses of advantage times log-probability."""
        logprobs = response_logprobs(self.policy, batch.episodes)
        loss = -(batch.targets["advantages"] * logprobs.sum(1)).mean()
        return Loss(loss, logprobs.detach(), {"policy_loss": loss.detach()})
