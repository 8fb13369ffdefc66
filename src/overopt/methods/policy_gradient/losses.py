"""
Advantages and losses of policy gradients without a value head: pure functions of tensors.

Shapes: B = responses, those to one prompt together; T = response tokens, right-padded; `mask`
(B, T) is True on tokens. Advantages are (B,), one for each response, or (B, T).
"""

import torch


def leave_one_out(rewards: torch.Tensor, group: int) -> torch.Tensor:
    """RLOO's advantages (B,): reward minus the mean of the other rewards of its prompt.

    Ahmadian et al. 2024, arXiv 2402.14740, equation 6; `group` responses to each prompt.
    """
    grouped = rewards.view(-1, group)
    others = (grouped.sum(1, keepdim=True) - grouped) / (group - 1)
    return (grouped - others).flatten()


def group_relative(rewards: torch.Tensor, group: int, *, is_scaled: bool) -> torch.Tensor:
    """GRPO's advantages (B,): reward minus its prompt's mean, over its prompt's sd if scaled.

    Shao et al. 2024, arXiv 2402.03300; unscaled: Dr. GRPO (Liu et al. 2025, arXiv 2503.20783). The
    sd has n - 1 below it, and 1e-4 is added, as in TRL 1.16.
    """
    grouped = rewards.view(-1, group)
    centred = grouped - grouped.mean(1, keepdim=True)
    if is_scaled:
        centred = centred / (grouped.std(1, keepdim=True) + 1e-4)
    return centred.flatten()


def rewards_to_go(token_rewards: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Sum of the rewards from each token to the end, (B, T); 0 at padding."""
    kept = torch.where(mask, token_rewards, 0.0)
    return torch.where(mask, kept.flip(1).cumsum(1).flip(1), 0.0)


def sequence_clipped(
    logprobs: torch.Tensor, old_logprobs: torch.Tensor, advantages: torch.Tensor, clip: float
) -> torch.Tensor:
    """Loss of each response (B,): PPO's clipped objective with the ratio of whole responses.

    As TRL's RLOO. `logprobs` and `old_logprobs` are (B, T), 0 at padding.
    """
    ratio = (logprobs.sum(1) - old_logprobs.sum(1)).exp()
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio * advantages, clipped * advantages)


def token_clipped(
    logprobs: torch.Tensor, old_logprobs: torch.Tensor, advantages: torch.Tensor, clip: float
) -> torch.Tensor:
    """Loss of each token (B, T): PPO's clipped objective; `advantages` (B,) or (B, T)."""
    if advantages.dim() == 1:
        advantages = advantages[:, None]
    ratio = (logprobs - old_logprobs).exp()
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio * advantages, clipped * advantages)


def k3(logprobs: torch.Tensor, ref_logprobs: torch.Tensor) -> torch.Tensor:
    """KL of each token (B, T) from the initial policy by the estimator k3, at least 0, nats."""
    difference = ref_logprobs - logprobs
    return difference.exp() - difference - 1


def mean_of_responses(per_token: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over responses of the mean over a response's tokens; GRPO's weights."""
    kept = torch.where(mask, per_token, 0.0)
    return (kept.sum(1) / mask.sum(1)).mean()


def mean_at_constant_length(
    per_token: torch.Tensor, mask: torch.Tensor, length: int
) -> torch.Tensor:
    """Mean over responses of the sum over tokens by a constant; Dr. GRPO's weights."""
    return torch.where(mask, per_token, 0.0).sum() / (len(mask) * length)
