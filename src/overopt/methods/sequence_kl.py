"""KL of a policy from the initial policy, measured on the policy's own responses.

Shapes: B = responses, T = response tokens, right-padded, N = response tokens of all responses,
V = vocabulary; `mask` (B, T) is True on response tokens. Prompt tokens never count.
"""

import torch


def exact_token_kl(
    log_distributions: torch.Tensor, ref_log_distributions: torch.Tensor
) -> torch.Tensor:
    """KL at every sampled prefix, nats, (N,): the full-vocabulary
    sum_v pi(v) (log pi(v) - log pi_ref(v)).

    Summed over the tokens of a response it is unbiased for KL(pi || pi_ref) of sequences when the
    responses are samples of pi, with less variance than the log-ratio of the sampled tokens; never
    clamped. Inputs (N, V).
    """
    return (log_distributions.exp() * (log_distributions - ref_log_distributions)).sum(-1)


def sampled_kl(
    logprobs: torch.Tensor, ref_logprobs: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """The k1 estimate of each response, nats per sequence, (B,): the log-ratio of its tokens."""
    return torch.where(mask, logprobs - ref_logprobs, 0.0).sum(1)
