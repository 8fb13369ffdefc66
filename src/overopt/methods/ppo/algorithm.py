"""
PPO against a proxy reward model (Gao et al. 2022, section 2 and Appendix C).

The score goes on the last action, advantages are estimated (GAE) and whitened, and the policy and
its value head are updated with the clipped loss.

Differences from the paper:
- the value head is warmed up alone before the policy moves, so that its first steps do not follow
  advantages against a baseline that knows nothing;
- the reward is recentred and scaled once, on samples of the initial policy, which sets the unit
  of the KL penalty; it is never clipped or whitened;
- the run stops at a KL, not at a number of steps, where that comes first.
"""

import torch

from overopt.config.ppo import PPOConfig
from overopt.methods.episodes import (
    Episodes,
    logprobs_of,
    response_states,
    token_log_distributions,
)
from overopt.methods.ppo.rewards import (
    generalized_advantages,
    masked_whiten,
    policy_loss,
    token_rewards,
    value_loss,
)
from overopt.methods.rl.algorithm import Algorithm, Batch, Loss, Rollout, Schedule
from overopt.models.architecture import Policy, state_size


class PPO(Algorithm):
    """Proximal policy optimization with a value head on the policy's trunk, as in the paper.

    Difference from TRL: the value model is a head of the policy, not a copy of the reward model.
    """

    def __init__(
        self, policy: Policy, config: PPOConfig, *, learning_rate: float, kl_coef: float
    ) -> None:
        super().__init__(policy)
        self._config = config
        self._learning_rate = learning_rate
        self._kl_coef = kl_coef
        self.value_head = torch.nn.Linear(state_size(policy), 1, device=policy.device)
        torch.nn.init.zeros_(self.value_head.weight)
        torch.nn.init.zeros_(self.value_head.bias)

    @property
    def remedy(self) -> str:
        """What a user does when the loss is not finite."""
        return f"lower the policy's ppo_learning_rate ({self._learning_rate})"

    def parameter_groups(self) -> list[list[torch.nn.Parameter]]:
        """Parameters of the policy, then of the value head."""
        return [*super().parameter_groups(), list(self.value_head.parameters())]

    def schedule(self, step: int) -> Schedule:
        """Train the value head alone at first; then the policy's learning rate rises linearly."""
        config = self._config
        steps_after = step - config.num_value_warmup_iterations
        ramp = min(1.0, max(0, steps_after + 1) / config.num_ramp_iterations)
        return Schedule(
            num_epochs=config.num_value_warmup_epochs
            if self._is_warmup(step)
            else config.num_ppo_epochs,
            num_mini_batches=config.num_mini_batches,
            learning_rates=(
                self._learning_rate * ramp,
                self._learning_rate * config.value_learning_rate_factor,
            ),
        )

    def read(self, episodes: Episodes) -> dict[str, torch.Tensor]:
        """Log-probabilities of the response tokens and values before them, (B, T)."""
        logprobs, values = self.logprobs_and_values(episodes)
        return {"logprobs": logprobs, "values": values}

    def finish(self, rollout: Rollout) -> dict[str, torch.Tensor]:
        """Whitened advantages and returns, (B, T), of the scores less the KL penalty."""
        mask = rollout.episodes.mask
        rewards = token_rewards(
            rollout.scores,
            rollout.logprobs,
            rollout.ref_logprobs,
            rollout.episodes.lengths,
            self._kl_coef,
        )
        advantages, returns = generalized_advantages(
            rewards, rollout.readings["values"], mask, self._config.gamma, self._config.lam
        )
        return {"advantages": masked_whiten(advantages, mask), "returns": returns}

    def forward(self, batch: Batch) -> Loss:
        """Clipped objective of the policy and squared error of its value head, means over tokens.

        During the warm-up nothing but the value head gets a gradient: no stale moments of Adam's
        and no share of the gradient's norm carry over to the policy's first step.
        """
        config, mask = self._config, batch.episodes.mask
        is_warmup = self._is_warmup(batch.step)
        logprobs, values = self.logprobs_and_values(batch.episodes, is_trunk_frozen=is_warmup)
        surrogate, clipfrac = policy_loss(
            logprobs, batch.logprobs, batch.targets["advantages"], mask, config.cliprange
        )
        error = value_loss(values, batch.targets["returns"], mask)
        return Loss(
            total=config.vf_coef * error + (0.0 if is_warmup else surrogate),
            logprobs=logprobs.detach(),
            metrics={
                "policy_loss": surrogate.detach(),
                "value_loss": error.detach(),
                "clipfrac": clipfrac,
            },
        )

    def logprobs_and_values(
        self, episodes: Episodes, *, is_trunk_frozen: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities of the response tokens and values before them, (B, T), 0 at padding.

        With a frozen trunk only the value head gets gradients.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not is_trunk_frozen):
            states = response_states(self.policy, episodes)
        logprobs = logprobs_of(token_log_distributions(self.policy, states), episodes.tokens)
        with torch.autocast(states.device.type, enabled=False):  # in fp32 whatever the body is in
            values = self.value_head(states.float()).squeeze(-1)
        return episodes.by_response(logprobs), episodes.by_response(values)

    def _is_warmup(self, step: int) -> bool:
        return step < self._config.num_value_warmup_iterations
