"""
RLOO, GRPO, Dr. GRPO and REINFORCE++ as algorithms of the RL loop.

They differ in the advantage, in where the KL penalty stands (in the reward by k1, or in the loss by
k3), and in what the loss is a mean of. None has a value head. The reward's unit is the loop's, as
with PPO: standard deviations of the proxy score on the initial policy.
"""

import torch

from overopt.config.policy_gradient import GroupConfig, PolicyGradientConfig
from overopt.methods.episodes import response_logprobs
from overopt.methods.policy_gradient.losses import (
    group_relative,
    k3,
    leave_one_out,
    mean_at_constant_length,
    mean_of_responses,
    rewards_to_go,
    sequence_clipped,
    token_clipped,
)
from overopt.methods.ppo.rewards import masked_mean, masked_whiten, token_rewards
from overopt.methods.rl.algorithm import Algorithm, Batch, Loss, Rollout, Schedule
from overopt.models.architecture import Policy


class PolicyGradient(Algorithm):
    """What the four have in common: a learning rate that rises at first, and a clip."""

    def __init__(
        self, policy: Policy, config: PolicyGradientConfig, *, learning_rate: float, kl_coef: float
    ) -> None:
        super().__init__(policy)
        self._config = config
        self._learning_rate = learning_rate
        self._kl_coef = kl_coef

    @property
    def remedy(self) -> str:
        """What a user does when the loss is not finite."""
        return f"lower its learning rate ({self._learning_rate})"

    def schedule(self, step: int) -> Schedule:
        """Raise the learning rate linearly over the first iterations."""
        config = self._config
        ramp = min(1.0, (step + 1) / config.num_ramp_iterations)
        return Schedule(
            config.num_ppo_epochs, config.num_mini_batches, [self._learning_rate * ramp]
        )


class _Grouped(PolicyGradient):
    """Compares the responses to one prompt."""

    def __init__(
        self, policy: Policy, config: GroupConfig, *, learning_rate: float, kl_coef: float
    ) -> None:
        super().__init__(policy, config, learning_rate=learning_rate, kl_coef=kl_coef)
        self.responses_per_prompt = config.num_generations


class RLOO(_Grouped):
    """REINFORCE with the mean of the other responses as baseline (Ahmadian et al. 2024).

    The reward is the score minus `kl_coef` times the log-ratio of the whole response (k1); the
    ratio that is clipped is that of the whole response, as in TRL.
    """

    averaged_over = "responses"

    def finish(self, rollout: Rollout) -> dict[str, torch.Tensor]:
        """Compare each reward with the others of its prompt: advantages (B,)."""
        rewards = rollout.scores - self._kl_coef * rollout.kl
        return {"advantages": leave_one_out(rewards, self.responses_per_prompt)}

    def forward(self, batch: Batch) -> Loss:
        """Mean over responses of the clipped objective."""
        logprobs = response_logprobs(self.policy, batch.episodes)
        loss = sequence_clipped(
            logprobs, batch.logprobs, batch.targets["advantages"], self._config.cliprange
        ).mean()
        return Loss(loss, logprobs.detach(), {"policy_loss": loss.detach()})


class GRPO(_Grouped):
    """Group relative policy optimization (Shao et al. 2024).

    The reward is the score, over its prompt's sd; the KL penalty is k3 in the loss, which is a mean
    over responses of the mean over tokens.
    """

    averaged_over = "responses"
    is_scaled = True

    def finish(self, rollout: Rollout) -> dict[str, torch.Tensor]:
        """Compare within prompts; keep the initial policy's log-probabilities for the penalty."""
        advantages = group_relative(
            rollout.scores, self.responses_per_prompt, is_scaled=self.is_scaled
        )
        return {"advantages": advantages, "ref_logprobs": rollout.ref_logprobs}

    def forward(self, batch: Batch) -> Loss:
        """Clipped objective of every token with the penalty, averaged as the method says."""
        logprobs = response_logprobs(self.policy, batch.episodes)
        surrogate = token_clipped(
            logprobs, batch.logprobs, batch.targets["advantages"], self._config.cliprange
        )
        kl = k3(logprobs, batch.targets["ref_logprobs"])
        mask = batch.episodes.mask
        return Loss(
            self.average(surrogate + self._kl_coef * kl, mask),
            logprobs.detach(),
            {
                "policy_loss": self.average(surrogate, mask).detach(),
                "kl_k3": torch.where(mask, kl, 0.0).sum(1).mean().detach(),
            },
        )

    def average(self, per_token: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Mean of a loss (B, T) over tokens and responses."""
        return mean_of_responses(per_token, mask)


class DrGRPO(GRPO):
    """GRPO without its two normalizations (Liu et al. 2025).

    Advantages are not divided by the sd, and tokens are summed and divided by the longest length
    that a response may have.
    """

    is_scaled = False

    def __init__(
        self,
        policy: Policy,
        config: GroupConfig,
        *,
        learning_rate: float,
        kl_coef: float,
        max_response_tokens: int,
    ) -> None:
        super().__init__(policy, config, learning_rate=learning_rate, kl_coef=kl_coef)
        self._max_response_tokens = max_response_tokens

    def average(self, per_token: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Sum over tokens by the longest length, mean over responses."""
        return mean_at_constant_length(per_token, mask, self._max_response_tokens)


class ReinforcePlusPlus(PolicyGradient):
    """REINFORCE++ (Hu et al. 2025, arXiv 2501.03262): no group and no value head.

    The KL penalty is k1 in the reward of every token; the return of a token, whitened over the
    rollout, is its advantage.
    """

    def finish(self, rollout: Rollout) -> dict[str, torch.Tensor]:
        """Whiten the returns of all tokens: advantages (B, T)."""
        mask = rollout.episodes.mask
        rewards = token_rewards(
            rollout.scores,
            rollout.logprobs,
            rollout.ref_logprobs,
            rollout.episodes.lengths,
            self._kl_coef,
        )
        return {"advantages": masked_whiten(rewards_to_go(rewards, mask), mask)}

    def forward(self, batch: Batch) -> Loss:
        """Mean over tokens of the clipped objective."""
        logprobs = response_logprobs(self.policy, batch.episodes)
        surrogate = token_clipped(
            logprobs, batch.logprobs, batch.targets["advantages"], self._config.cliprange
        )
        loss = masked_mean(surrogate, batch.episodes.mask)
        return Loss(loss, logprobs.detach(), {"policy_loss": loss.detach()})
