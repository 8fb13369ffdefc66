"""
Ancestral sampling: the project's own decode loop with a key-value cache.

Temperature 1, no truncation of the distribution, nothing suppressed: responses are samples of the
policy itself, so their log-probabilities and the KL mean what the paper's d means (section 2).
`generate` of transformers is the oracle in the tests.

Shapes: B = responses, P = prompt tokens (left-padded), T = response tokens, H = heads,
D = head size, V = vocabulary.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from transformers.models.gpt2.modeling_gpt2 import GPT2Block, GPT2LMHeadModel

from overopt.models import EOS_ID, PAD_ID


@dataclass(frozen=True)
class Responses:
    """Sampled responses of one batch.

    Attributes
    ----------
    ids : int64 (B, T), padded on the right; `<eos>` is part of the response that ended.
    lengths : int64 (B,), number of tokens, `<eos>` included. Ids are never searched for the end.
    logprobs : float32 (B, T), log-probability of each token under the policy (nats), 0 beyond.
    """

    ids: torch.Tensor
    lengths: torch.Tensor
    logprobs: torch.Tensor

    def as_lists(self) -> list[list[int]]:
        """Token ids of each response, without padding."""
        rows = zip(self.ids.tolist(), self.lengths.tolist(), strict=True)
        return [row[:length] for row, length in rows]


def sample_responses(
    policy: GPT2LMHeadModel,
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
    )


@torch.no_grad()
def _sample_batch(
    policy: GPT2LMHeadModel,
    prompts: Sequence[Sequence[int]],
    max_response_tokens: int,
    generator: torch.Generator,
) -> Responses:
    num_responses, device = len(prompts), policy.device
    ids = torch.full((num_responses, max_response_tokens), PAD_ID, device=device)
    lengths = torch.full((num_responses,), max_response_tokens, device=device)
    logprobs = torch.zeros(num_responses, max_response_tokens, device=device)

    decoder = _Decoder(policy, prompts, max_response_tokens)
    logits = decoder.read_prompts()
    alive = torch.arange(num_responses, device=device)
    for step in range(max_response_tokens):
        tokens, token_logprobs = _draw(logits, generator)
        ids[alive, step] = tokens
        logprobs[alive, step] = token_logprobs
        # Not in a row that ended before and goes on as ballast: its length stands.
        ended = (tokens == EOS_ID) & (lengths[alive] > step)
        lengths[alive[ended]] = step + 1
        if step + 1 == max_response_tokens:
            break
        # Finished rows go on as ballast until they are a fifth of the batch: each removal
        # copies the cache.
        done = lengths[alive] <= step + 1
        num_done = int(done.sum())
        if num_done == len(alive):
            break
        if num_done > 0.2 * len(alive):
            kept = (~done).nonzero().squeeze(1)
            decoder.keep(kept)
            alive, tokens = alive[kept], tokens[kept]
        logits = decoder.step(tokens)
    beyond = torch.arange(max_response_tokens, device=device) >= lengths[:, None]
    return Responses(ids.masked_fill(beyond, PAD_ID), lengths, logprobs.masked_fill(beyond, 0.0))


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


class _Decoder:
    """Forward passes of a GPT-2-layout policy over a growing key-value cache.

    The cache is laid out (time, batch, heads, head size): a step appends one contiguous slab, and
    attention of the one new query is two elementwise reductions over time.
    """

    def __init__(
        self,
        policy: GPT2LMHeadModel,
        prompts: Sequence[Sequence[int]],
        max_response_tokens: int,
    ) -> None:
        self._policy = policy
        self._blocks: list[GPT2Block] = list(policy.transformer.h)  # type: ignore[arg-type]
        self._num_heads = policy.config.n_head
        self._head_size = policy.config.n_embd // policy.config.n_head
        device = policy.device

        prompt_lengths = np.array([len(prompt) for prompt in prompts])
        self._length = int(prompt_lengths.max())
        padded = np.full((len(prompts), self._length), PAD_ID)
        for row, prompt in zip(padded, prompts, strict=True):
            row[self._length - len(prompt) :] = prompt
        self._prompts = torch.as_tensor(padded, device=device)
        self._num_padding = torch.as_tensor(self._length - prompt_lengths, device=device)
        self._is_ragged = bool((self._num_padding > 0).any())

        capacity = self._length + max_response_tokens
        shape = (capacity, len(prompts), self._num_heads, self._head_size)
        self._keys = [torch.empty(shape, device=device) for _ in self._blocks]
        self._values = [torch.empty(shape, device=device) for _ in self._blocks]

    def read_prompts(self) -> torch.Tensor:
        """Fill the cache with the prompts; logits (B, V) of the first response token."""
        num_rows, length = self._prompts.shape
        positions = torch.arange(length, device=self._prompts.device)
        mask = None
        if self._is_ragged:
            # Left padding moves no position: the first real token has position 0.
            is_padding = positions < self._num_padding[:, None]
            positions = (positions - self._num_padding[:, None]).clamp_(min=0)
            causal = torch.ones(length, length, dtype=torch.bool, device=is_padding.device).tril()
            own = torch.eye(length, dtype=torch.bool, device=is_padding.device)
            # Padding attends to itself only, which keeps its (unused) rows finite.
            mask = ((causal & ~is_padding[:, None, :]) | own)[:, None]
        transformer = self._policy.transformer
        hidden = transformer.wte(self._prompts) + transformer.wpe(positions)
        for layer, block in enumerate(self._blocks):
            projected = block.attn.c_attn(block.ln_1(hidden))
            query, key, value = projected.view(
                num_rows, length, 3, self._num_heads, self._head_size
            ).permute(2, 0, 3, 1, 4)
            self._keys[layer][:length] = key.permute(2, 0, 1, 3)
            self._values[layer][:length] = value.permute(2, 0, 1, 3)
            attended = F.scaled_dot_product_attention(
                query, key, value, attn_mask=mask, is_causal=mask is None
            )
            attended = attended.transpose(1, 2).reshape(num_rows, length, -1)
            hidden = _finish_block(block, hidden, attended)
        return self._policy.lm_head(transformer.ln_f(hidden[:, -1]))

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Append one token (B,) to each row; logits (B, V) of the next."""
        transformer, time = self._policy.transformer, self._length
        hidden = transformer.wte(tokens) + transformer.wpe(time - self._num_padding)
        scale = 1 / math.sqrt(self._head_size)
        for layer, block in enumerate(self._blocks):
            projected = block.attn.c_attn(block.ln_1(hidden))
            query, key, value = projected.view(
                len(tokens), 3, self._num_heads, self._head_size
            ).unbind(1)
            keys, values = self._keys[layer], self._values[layer]
            keys[time], values[time] = key, value
            scores = (keys[: time + 1] * (query * scale)).sum(-1)
            if self._is_ragged:
                times = torch.arange(time + 1, device=tokens.device)[:, None]
                scores = scores.masked_fill((times < self._num_padding)[:, :, None], -math.inf)
            weights = scores.softmax(0)
            attended = (weights.unsqueeze(-1) * values[: time + 1]).sum(0)
            hidden = _finish_block(block, hidden, attended.reshape(len(tokens), -1))
        self._length += 1
        return self._policy.lm_head(transformer.ln_f(hidden))

    def keep(self, rows: torch.Tensor) -> None:
        """Drop every row of the cache but these."""
        for cache in (self._keys, self._values):
            for layer, old in enumerate(cache):
                kept = old.new_empty(old.shape[0], len(rows), *old.shape[2:])
                torch.index_select(old[: self._length], 1, rows, out=kept[: self._length])
                cache[layer] = kept
        self._num_padding = self._num_padding[rows]


def _finish_block(block: GPT2Block, residual: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
    """Project the attention output, then the MLP, each added to the residual stream."""
    residual = residual + block.attn.c_proj(attended)
    return residual + block.mlp(block.ln_2(residual))
