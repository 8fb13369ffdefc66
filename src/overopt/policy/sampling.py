"""
Ancestral sampling: the project's own decode loop with a key-value cache.

Temperature 1, no truncation of the distribution, nothing suppressed: responses are samples of the
policy itself, so their log-probabilities and the KL mean what the paper's d means (section 2).
`generate` of transformers is the oracle in the tests.

Shapes: B = responses, T = response tokens, V = vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from overopt.architecture import FILLER_ID, Policy, eos_id
from overopt.policy.decoders import decoder_of


@dataclass(frozen=True)
class Responses:
    """Sampled responses of one batch.

    Attributes
    ----------
    ids : int64 (B, T), padded on the right; `<eos>` is part of the response that ended.
    lengths : int64 (B,), number of tokens, `<eos>` included. Ids are never searched for the end.
    logprobs : float32 (B, T), log-probability of each token under the policy (nats), 0 beyond.
    is_cut : bool (B,), where the limit came before `<eos>`.
    """

    ids: torch.Tensor
    lengths: torch.Tensor
    logprobs: torch.Tensor
    is_cut: torch.Tensor

    def as_lists(self) -> list[list[int]]:
        """Token ids of each response, without padding."""
        rows = zip(self.ids.tolist(), self.lengths.tolist(), strict=True)
        return [row[:length] for row, length in rows]


def sample_responses(
    policy: Policy,
    prompts: Sequence[Sequence[int]],
    max_response_tokens: int,
    generator: torch.Generator,
    batch_size: int = 1024,
) -> Responses:
    """One response to each prompt (B lists of token ids), in batches of `batch_size`."""
    batches = [
        _sample_batch(policy, prompts[start : start + batch_size], max_response_tokens, generator)
        for start in range(0, len(prompts), batch_size)
    ]
    return Responses(
        ids=torch.cat([batch.ids for batch in batches]),
        lengths=torch.cat([batch.lengths for batch in batches]),
        logprobs=torch.cat([batch.logprobs for batch in batches]),
        is_cut=torch.cat([batch.is_cut for batch in batches]),
    )


@torch.no_grad()
def _sample_batch(
    policy: Policy,
    prompts: Sequence[Sequence[int]],
    max_response_tokens: int,
    generator: torch.Generator,
) -> Responses:
    num_responses, device, eos = len(prompts), policy.device, eos_id(policy)
    ids = torch.full((num_responses, max_response_tokens), FILLER_ID, device=device)
    lengths = torch.full((num_responses,), max_response_tokens, device=device)
    logprobs = torch.zeros(num_responses, max_response_tokens, device=device)
    is_cut = torch.ones(num_responses, dtype=torch.bool, device=device)

    decoder = decoder_of(policy, prompts, max_response_tokens)
    logits = decoder.read_prompts()
    alive = torch.arange(num_responses, device=device)
    for step in range(max_response_tokens):
        tokens, token_logprobs = _draw(logits, generator)
        ids[alive, step] = tokens
        logprobs[alive, step] = token_logprobs
        # Not in a row that ended before and goes on as ballast: its length stands.
        ended = (tokens == eos) & (lengths[alive] > step)
        lengths[alive[ended]] = step + 1
        is_cut[alive[ended]] = False
        if step + 1 == max_response_tokens:
            break
        # Finished rows go on as ballast until they are a fifth of the batch: each removal
        # copies the cache.
        done = ~is_cut[alive]
        num_done = int(done.sum())
        if num_done == len(alive):
            break
        if num_done > 0.2 * len(alive):
            kept = (~done).nonzero().squeeze(1)
            decoder.keep(kept)
            alive, tokens = alive[kept], tokens[kept]
        logits = decoder.step(tokens)
    beyond = torch.arange(max_response_tokens, device=device) >= lengths[:, None]
    return Responses(
        ids.masked_fill(beyond, FILLER_ID), lengths, logprobs.masked_fill(beyond, 0.0), is_cut
    )


def _draw(logits: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw a token of each row by inversion of the distribution function; its log-probability.

    Inversion takes an eighth of the time of `torch.multinomial` (0.5 against 4.1 ms for 1,024
    rows over 176 words, one thread).
    """
    logprobs = F.log_softmax(logits.float(), dim=-1)
    cumulative = logprobs.exp().cumsum(dim=-1)
    uniform = torch.rand(len(logits), 1, generator=generator).to(logits.device)
    tokens = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
    tokens = tokens.clamp_(max=logits.shape[-1] - 1)
    return tokens.squeeze(1), logprobs.gather(1, tokens).squeeze(1)
