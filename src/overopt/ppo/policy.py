"""The policy with a value head, and what PPO reads off it for a batch of responses."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from overopt.accelerator import to_device
from overopt.architecture import FILLER_ID, Policy, backbone_of, state_size, vocabulary_logits
from overopt.policy.sampling import Responses
from overopt.processes import Processes
from overopt.tokens import pad_right

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
    prompt_lengths : int64 (B,).
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
            prompt_lengths=torch.as_tensor([len(prompt) for prompt in prompts], device=device),
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

    def select(self, rows: torch.Tensor) -> "Episodes":
        """These episodes only; `rows` on the CPU."""
        own = to_device(rows, self.lengths.device)
        return Episodes(
            sequences=[self.sequences[row] for row in rows.tolist()],
            input_ids=self.input_ids[own],
            prompt_lengths=self.prompt_lengths[own],
            lengths=self.lengths[own],
            response_ids=self.response_ids[own],
            is_cut=self.is_cut[own],
        )

    def share(self, processes: Processes) -> "Episodes":
        """The episodes that this one of several processes reads."""
        if processes.number == 1:
            return self
        return self.select(torch.as_tensor(processes.shares(len(self.sequences))[processes.rank]))

    def chunks(self, policy: Policy) -> list["Episodes"]:
        """These episodes, in parts of which the logits of all response tokens fit into memory."""
        num_logits = self.response_ids.shape[1] * int(policy.config.vocab_size)
        size = max(1, LARGEST_LOGITS // num_logits)
        if len(self.sequences) <= size:
            return [self]
        return [self.select(rows) for rows in torch.arange(len(self.sequences)).split(size)]


def response_states(backbone: torch.nn.Module, episodes: Episodes) -> torch.Tensor:
    """Hidden states (B, T, D) from which each response token is predicted.

    The state at position prompt_length - 1 + t predicts response token t. At padding the state
    is one of some other position; whoever reads it masks it.
    """
    hidden = backbone(input_ids=episodes.input_ids, use_cache=False).last_hidden_state
    steps = torch.arange(episodes.response_ids.shape[1], device=hidden.device)
    positions = (episodes.prompt_lengths[:, None] - 1 + steps).clamp(max=hidden.shape[1] - 1)
    return hidden.gather(1, positions[..., None].expand(-1, -1, hidden.shape[2]))


def token_log_distributions(policy: Policy, states: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of every token of the vocabulary, (B, T, V), in fp32."""
    return F.log_softmax(vocabulary_logits(policy, states).float(), dim=-1)


def logprobs_of(log_distributions: torch.Tensor, response_ids: torch.Tensor) -> torch.Tensor:
    """Log-probability of each response token, (B, T), nats."""
    return log_distributions.gather(2, response_ids[..., None]).squeeze(2)


def response_logprobs(policy: Policy, episodes: Episodes) -> torch.Tensor:
    """Log-probability of each response token under a policy, (B, T), nats."""
    states = response_states(backbone_of(policy), episodes)
    return logprobs_of(token_log_distributions(policy, states), episodes.response_ids)


class PolicyWithValueHead(torch.nn.Module):
    """A policy and a scalar value head on its trunk, as in the paper's shared network.

    Difference from TRL: the value model is a head of the policy, not a copy of the reward model.
    """

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy
        self.value_head = torch.nn.Linear(state_size(policy), 1, device=policy.device)
        torch.nn.init.zeros_(self.value_head.weight)
        torch.nn.init.zeros_(self.value_head.bias)

    def forward(
        self, episodes: Episodes, *, is_trunk_frozen: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities of the response tokens and values before them, both (B, T).

        With a frozen trunk only the value head gets gradients.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not is_trunk_frozen):
            states = response_states(backbone_of(self.policy), episodes)
        logprobs = logprobs_of(token_log_distributions(self.policy, states), episodes.response_ids)
        with torch.autocast(states.device.type, enabled=False):  # in fp32 whatever the body is in
            values = self.value_head(states.float()).squeeze(-1)
        return logprobs, values


def mini_batches(
    num_episodes: int, num_mini_batches: int, generator: torch.Generator
) -> list[torch.Tensor]:
    """Rows of each minibatch of one pass: all episodes in random order, split evenly."""
    order = torch.randperm(num_episodes, generator=generator)
    return [rows for rows in order.chunk(num_mini_batches) if len(rows)]


def repeat_prompts(prompts: Sequence[Sequence[int]], num: int) -> list[Sequence[int]]:
    """Each prompt `num` times in a row, so that responses reshape to (prompts, num)."""
    return [prompt for prompt in prompts for _ in range(num)]
