"""Evaluation of a policy on held-out prompts: KL, proxy and gold from the same samples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from overopt.architecture import Policy, backbone_of
from overopt.policy.sampling import sample_responses
from overopt.ppo.policy import (
    Episodes,
    logprobs_of,
    repeat_prompts,
    response_states,
    token_log_distributions,
)
from overopt.ppo.sequence_kl import exact_kl, sampled_kl
from overopt.reward_model.scorer import Scorer

HumanScores = Callable[[Episodes], np.ndarray]


@dataclass(frozen=True)
class Evaluator:
    """Everything a curve's point is measured with; the same for every point of a run.

    Attributes
    ----------
    prompts : token ids of the evaluation prompts.
    num_responses : responses per prompt and evaluation.
    human_scores : the embedded world's hidden utility of each episode, or None.
    """

    prompts: Sequence[Sequence[int]]
    num_responses: int
    max_response_tokens: int
    ref_policy: Policy
    proxy_rm: Scorer
    gold_rm: Scorer
    human_scores: HumanScores | None

    @torch.no_grad()
    def evaluate(self, policy: Policy, generator: torch.Generator) -> dict[str, list[float]]:
        """Sample fresh responses; means per prompt of kl, kl_k1 and the scores, and the length."""
        prompts = repeat_prompts(self.prompts, self.num_responses)
        responses = sample_responses(policy, prompts, self.max_response_tokens, generator)
        episodes = Episodes.of(prompts, responses)
        distributions = {
            name: token_log_distributions(model, response_states(backbone_of(model), episodes))
            for name, model in (("policy", policy), ("ref", self.ref_policy))
        }
        logprobs = {
            name: logprobs_of(distribution, episodes.response_ids)
            for name, distribution in distributions.items()
        }
        kl = exact_kl(distributions["policy"], distributions["ref"], episodes.mask)
        measured = {
            "kl": kl.cpu().numpy(),
            "kl_k1": sampled_kl(logprobs["policy"], logprobs["ref"], episodes.mask).cpu().numpy(),
            "proxy_score": self.proxy_rm.score(*episodes.parts),
            "gold_score": self.gold_rm.score(*episodes.parts),
            "response_length": episodes.lengths.cpu().numpy(),
        }
        if self.human_scores is not None:
            measured["human_score"] = self.human_scores(episodes)
        return {
            name: values.reshape(len(self.prompts), -1).mean(1, dtype=np.float64).tolist()
            for name, values in measured.items()
        }
