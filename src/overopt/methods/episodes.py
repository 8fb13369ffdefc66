"""Prompts with responses sampled for them, and what a policy says of the response tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F

from overopt.config.rl import MICRO_BATCH_SIZE
from overopt.jobs.processes import Processes
from overopt.models.architecture import FILLER_ID, Policy, vocabulary_logits
from overopt.models.device import to_device
from overopt.models.hidden_states import states_at
from overopt.models.tokens import pad_right
from overopt.policy.sampling import Responses

LARGEST_LOGITS = 2**27
"""Logits that are held at once where many episodes are read: 0.5 GB in fp32. The embedded world's
are fewer; over 50,000 words it is 55 responses of 48 tokens."""


@dataclass(frozen=True)
class Episodes:
    """Prompts and responses as the models read them.

    Attributes
    ----------
    sequences : prompt and response joined, one list of token ids per response.
    input_ids : int64 (B, S), the sequences, right-padded.
    prompt_lengths : int64 (B,), on the CPU.
    lengths : int64 (B,), response tokens, `<eos>` included.
    response_ids : int64 (B, T), right-padded; T is the longest response.
    is_cut : bool (B,), where the limit came before `<eos>`; one that ends there is not cut.
    """

    sequences: list[list[int]]
    input_ids: torch.Tensor
    prompt_lengths: torch.Tensor
    lengths: torch.Tensor
    response_ids: torch.Tensor
    is_cut: torch.Tensor

    @classmethod
    def of(cls, prompts: Sequence[Sequence[int]], responses: Responses) -> "Episodes":
        """Join prompts with the responses sampled for them."""
        device = responses.ids.device
        sequences = [
            [*prompt, *response]
            for prompt, response in zip(prompts, responses.as_lists(), strict=True)
        ]
        longest = int(responses.lengths.max())
        return cls(
            sequences=sequences,
            input_ids=torch.as_tensor(pad_right(sequences, FILLER_ID), device=device),
            prompt_lengths=torch.as_tensor([len(prompt) for prompt in prompts]),
            lengths=responses.lengths,
            response_ids=responses.ids[:, :longest],
            is_cut=responses.is_cut,
        )

    @property
    def parts(self) -> tuple[list[list[int]], list[list[int]]]:
        """Token ids of the prompts, and of the responses."""
        pairs = list(zip(self.sequences, self.prompt_lengths.tolist(), strict=True))
        return [s[:length] for s, length in pairs], [s[length:] for s, length in pairs]

    @property
    def mask(self) -> torch.Tensor:
        """Bool (B, T): True on response tokens."""
        positions = torch.arange(self.response_ids.shape[1], device=self.lengths.device)
        return positions < self.lengths[:, None]

    @cached_property
    def token_index(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Places of every response token, row by row, (N,) each.

        The first is in the flattened `input_ids`, the second in a flattened (B, T).
        They are computed on the CPU, so that nothing waits for a GPU.
        """
        prompt_lengths = self.prompt_lengths.numpy()
        num_tokens = np.array([len(sequence) for sequence in self.sequences]) - prompt_lengths
        row = np.repeat(np.arange(len(num_tokens)), num_tokens)
        step = np.arange(len(row)) - np.repeat(num_tokens.cumsum() - num_tokens, num_tokens)
        places = row * self.input_ids.shape[1] + prompt_lengths[row] + step
        slots = row * self.response_ids.shape[1] + step
        device = self.lengths.device
        return to_device(torch.as_tensor(places), device), to_device(torch.as_tensor(slots), device)

    @property
    def tokens(self) -> torch.Tensor:
        """Ids of the response tokens, row by row, (N,)."""
        return self.input_ids.flatten()[self.token_index[0]]

    def by_response(self, of_tokens: torch.Tensor) -> torch.Tensor:
        """Arrange a number of every response token, (N,), as (B, T), with 0 at padding."""
        flat = of_tokens.new_zeros(self.response_ids.numel())
        return flat.index_copy(0, self.token_index[1], of_tokens).view(self.response_ids.shape)

    def select(self, rows: torch.Tensor) -> "Episodes":
        """Copy with these episodes alone; `rows` lies on the CPU."""
        own = to_device(rows, self.lengths.device)
        sequences = [self.sequences[row] for row in rows.tolist()]
        return Episodes(
            sequences=sequences,
            input_ids=self.input_ids[own, : max(map(len, sequences))],
            prompt_lengths=self.prompt_lengths[rows],
            lengths=self.lengths[own],
            response_ids=self.response_ids[own],
            is_cut=self.is_cut[own],
        )

    def share(self, processes: Processes) -> "Episodes":
        """The episodes that this one of several processes reads."""
        if processes.number == 1:
            return self
        return self.select(torch.as_tensor(processes.shares(len(self.sequences))[processes.rank]))

    def micro_batches(self, policy: Policy) -> list[tuple[torch.Tensor, "Episodes"]]:
        """Rows, on the CPU, and their episodes: parts of like length that a policy reads at once.

        Little padding is computed, and the logits of all response tokens of a part fit into memory.
        A GPU reads as many as fit.
        """
        num_logits = self.response_ids.shape[1] * int(policy.config.vocab_size)
        size = max(1, LARGEST_LOGITS // num_logits)
        if policy.device.type == "cpu":
            size = min(size, MICRO_BATCH_SIZE)
        if len(self.sequences) <= size:
            return [(torch.arange(len(self.sequences)), self)]
        lengths = torch.as_tensor([len(sequence) for sequence in self.sequences])
        order = lengths.argsort(stable=True)
        return [(rows, self.select(rows)) for rows in order.split(size)]


def in_order(parts: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """Results of `Episodes.micro_batches`, each with its rows, put together again."""
    order = torch.cat([rows for rows, _ in parts]).argsort()
    results = torch.cat([result for _, result in parts])
    return results[to_device(order, results.device)]


def response_states(policy: Policy, episodes: Episodes) -> torch.Tensor:
    """Hidden states (N, D) from which the response tokens are predicted: those one token before."""
    return states_at(policy, episodes.input_ids, episodes.token_index[0] - 1)


def token_log_distributions(policy: Policy, states: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of every token of the vocabulary, (N, V), in fp32."""
    return F.log_softmax(vocabulary_logits(policy, states).float(), dim=-1)


def logprobs_of(log_distributions: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Log-probability of each token, (N,), nats."""
    return log_distributions.gather(1, tokens[:, None]).squeeze(1)


def response_logprobs(policy: Policy, episodes: Episodes) -> torch.Tensor:
    """Log-probability of each response token under a policy, (B, T), nats, 0 at padding."""
    distributions = token_log_distributions(policy, response_states(policy, episodes))
    return episodes.by_response(logprobs_of(distributions, episodes.tokens))


def mini_batches(
    num_episodes: int, num_mini_batches: int, generator: torch.Generator
) -> list[torch.Tensor]:
    """Rows of each minibatch of one epoch: all episodes in random order, split evenly."""
    order = torch.randperm(num_episodes, generator=generator)
    return [rows for rows in order.chunk(num_mini_batches) if len(rows)]


def repeat_prompts(prompts: Sequence[Sequence[int]], num: int) -> list[Sequence[int]]:
    """Each prompt `num` times in a row, so that responses reshape to (prompts, num)."""
    return [prompt for prompt in prompts for _ in range(num)]
