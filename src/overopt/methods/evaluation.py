"""Evaluation of a policy on held-out prompts: KL, proxy and gold from the same samples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from overopt.config.training import Precision
from overopt.data.hidden_utility import Utilities
from overopt.jobs.processes import Processes
from overopt.methods.episodes import (
    Episodes,
    in_order,
    logprobs_of,
    repeat_prompts,
    response_states,
    token_log_distributions,
)
from overopt.methods.sequence_kl import exact_token_kl, sampled_kl
from overopt.models.architecture import Policy
from overopt.models.training.accelerator import body_precision
from overopt.policy.sampling import sample_responses
from overopt.reward_model.scorer import Scorer


@dataclass(frozen=True)
class Evaluator:
    """Everything a curve's point is measured with; the same for every point of a run.

    Attributes
    ----------
    prompts : token ids of the evaluation prompts.
    num_responses : responses per prompt and evaluation.
    human_scores : the hidden utility of each response, where the data source knows it.
    precision : of the policies' bodies. Scores and KL are fp32 under any.
    """

    prompts: Sequence[Sequence[int]]
    num_responses: int
    max_response_tokens: int
    ref_policy: Policy
    proxy_rm: Scorer
    gold_rm: Scorer
    human_scores: Utilities | None
    precision: Precision = "fp32"

    @torch.no_grad()
    def evaluate(self, policy: Policy, generator: torch.Generator) -> dict[str, list[float]]:
        """Sample fresh responses; what `overopt.methods.curves` tells of a point, per prompt.

        Several processes share the responses, and each returns the numbers of all. A single
        response to a prompt has no covariance and no variance.
        """
        prompts, processes = (
            repeat_prompts(self.prompts, self.num_responses),
            Processes.of_this_job(),
        )
        with body_precision(self.precision, policy.device):
            responses = sample_responses(
                policy, prompts, self.max_response_tokens, generator, processes=processes
            )
            episodes = Episodes.of(prompts, responses).share(processes)
            kl, kl_k1 = self._kl(policy, episodes)
        measured = {
            "kl": kl.cpu().numpy(),
            "kl_k1": kl_k1.cpu().numpy(),
            "proxy_score": self.proxy_rm.score(*episodes.parts),
            "gold_score": self.gold_rm.score(*episodes.parts),
            "response_length": episodes.lengths.cpu().numpy(),
        }
        if self.human_scores is not None:
            measured["human_score"] = self.human_scores(*episodes.parts)
        by_prompt = {
            name: processes.gather_array(values, len(prompts))
            .reshape(len(self.prompts), -1)
            .astype(np.float64)
            for name, values in measured.items()
        }
        points = {name: values.mean(1) for name, values in by_prompt.items()}
        if self.num_responses > 1:
            points |= _spread(by_prompt["proxy_score"], by_prompt["gold_score"])
        return {name: values.tolist() for name, values in points.items()}

    def _kl(self, policy: Policy, episodes: Episodes) -> tuple[torch.Tensor, torch.Tensor]:
        """Exact and sampled KL of each response, nats per sequence."""
        exact: list[tuple[torch.Tensor, torch.Tensor]] = []
        sampled: list[tuple[torch.Tensor, torch.Tensor]] = []
        for rows, micro_batch in episodes.micro_batches(policy):
            ours, theirs = (
                token_log_distributions(model, response_states(model, micro_batch))
                for model in (policy, self.ref_policy)
            )
            exact.append((rows, micro_batch.by_response(exact_token_kl(ours, theirs)).sum(1)))
            logprobs, ref_logprobs = (
                micro_batch.by_response(logprobs_of(p, micro_batch.tokens)) for p in (ours, theirs)
            )
            sampled.append((rows, sampled_kl(logprobs, ref_logprobs, micro_batch.mask)))
        return in_order(exact), in_order(sampled)


def _spread(proxy: np.ndarray, gold: np.ndarray) -> dict[str, np.ndarray]:
    """Covariance of gold and proxy, and variance of the proxy, over the responses to each prompt.

    Both of shape (Q, n), n at least 2; results (Q,), unbiased.
    """
    proxy = proxy - proxy.mean(1, keepdims=True)
    gold = gold - gold.mean(1, keepdims=True)
    below = proxy.shape[1] - 1
    return {
        "gold_proxy_covariance": (proxy * gold).sum(1) / below,
        "proxy_variance": (proxy**2).sum(1) / below,
    }
