"""
Rewards, advantages and losses of PPO: pure functions of tensors.

Shapes: B = responses, T = response tokens, right-padded; `mask` (B, T) is True on tokens.
Values at padding never reach a result, whatever they are (`torch.where`, not multiplication:
0 * NaN is NaN).
"""

import torch


def token_rewards(
    scores: torch.Tensor,
    logprobs: torch.Tensor,
    ref_logprobs: torch.Tensor,
    lengths: torch.Tensor,
    kl_coef: float,
) -> torch.Tensor:
    """Rewards (B, T): the KL penalty on every token, the score (B,) on the last.

    The penalty is `-kl_coef (log pi - log pi_ref)` of the sampled token (the k1 estimator, the
    unbiased one in a reward). The last token is the `<eos>` action itself, or the final token of
    a response that was cut, never the slot after it.
    """
    positions = torch.arange(logprobs.shape[1], device=logprobs.device)
    mask = positions < lengths[:, None]
    rewards = torch.where(mask, -kl_coef * (logprobs - ref_logprobs), 0.0)
    is_last = positions == (lengths - 1)[:, None]
    return rewards + torch.where(is_last, scores[:, None], 0.0)


def generalized_advantages(
    rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, gamma: float, lam: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """GAE: advantages and returns, both (B, T), zero at padding.

    delta_t = r_t + gamma V_{t+1} - V_t with V = 0 after the last token;
    A_t = delta_t + gamma lam A_{t+1}; the return is A_t + V_t.
    """
    rewards = torch.where(mask, rewards, 0.0)
    values = torch.where(mask, values, 0.0)
    advantages = torch.zeros_like(rewards)
    next_value = torch.zeros_like(rewards[:, 0])
    running = torch.zeros_like(rewards[:, 0])
    for step in reversed(range(rewards.shape[1])):
        delta = rewards[:, step] + gamma * next_value - values[:, step]
        running = torch.where(mask[:, step], delta + gamma * lam * running, 0.0)
        advantages[:, step] = running
        next_value = values[:, step]
    return advantages, advantages + values


def masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the tokens, padding left out."""
    return torch.where(mask, values, 0.0).sum() / mask.sum()


def masked_whiten(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Values with mean 0 and variance 1 over the tokens; 0 at padding."""
    centred = torch.where(mask, values - masked_mean(values, mask), 0.0)
    variance = centred.square().sum() / (mask.sum() - 1).clamp(min=1)
    return centred * torch.rsqrt(variance + 1e-8)


def policy_loss(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    mask: torch.Tensor,
    cliprange: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """PPO's clipped objective, negated, and the share of tokens whose ratio is clipped.

    mean over tokens of -min(ratio A, clip(ratio, 1 - c, 1 + c) A), ratio = pi / pi_old.
    """
    ratio = torch.where(mask, logprobs - old_logprobs, 0.0).exp()
    clipped = ratio.clamp(1 - cliprange, 1 + cliprange)
    loss = -masked_mean(torch.minimum(ratio * advantages, clipped * advantages), mask)
    return loss, masked_mean((ratio != clipped).float(), mask).detach()


def value_loss(values: torch.Tensor, returns: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over tokens of (V - return)^2, without clipping."""
    # Masked before the square too: its gradient at padding would be 0 * NaN.
    return masked_mean(torch.where(mask, values - returns, 0.0).square(), mask)
