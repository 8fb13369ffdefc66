"""
What an RL method brings to the loop: advantages, a loss, and how fast it learns.

`overopt.methods.rl.loop` draws prompts, samples and scores responses, evaluates, stops and resumes.
A method is a subclass of `Algorithm`; `overopt.methods.ppo.algorithm` is one, docs/extending.md has
a shorter one.
"""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch

from overopt.methods.episodes import Episodes, response_logprobs
from overopt.models.architecture import Policy

Averaged = Literal["tokens", "responses"]


@dataclass(frozen=True)
class Rollout:
    """Responses of the present policy, as the loop scores them. B responses of up to T tokens.

    Attributes
    ----------
    episodes : prompts and responses; those of one prompt stand together.
    scores : (B,), proxy scores in sd of the initial policy from its mean, less the penalty of a
        response that was cut.
    logprobs : (B, T), log-probabilities of the response tokens (nats), 0 at padding.
    ref_logprobs : (B, T), the same under the initial policy.
    kl : (B,), sampled log-ratio of each response, nats per sequence.
    readings : whatever else `Algorithm.read` returned, by name, such as values (B, T).
    """

    episodes: Episodes
    scores: torch.Tensor
    logprobs: torch.Tensor
    ref_logprobs: torch.Tensor
    kl: torch.Tensor
    readings: Mapping[str, torch.Tensor] = field(default_factory=dict[str, torch.Tensor])


@dataclass(frozen=True)
class Batch:
    """Some episodes of a rollout, as `Algorithm.forward` gets them.

    Attributes
    ----------
    episodes : b of the rollout's episodes.
    logprobs : (b, T), log-probabilities under the policy that made the rollout.
    targets : rows of what `Algorithm.finish` returned, by name.
    step : the iteration, from 0.
    """

    episodes: Episodes
    logprobs: torch.Tensor
    targets: Mapping[str, torch.Tensor]
    step: int


class Loss(NamedTuple):
    """Loss of a batch, averaged over its response tokens or its responses.

    `total` is (), the only part with a gradient. `logprobs` is (b, T), log-probabilities of the
    response tokens now; before a rollout's first step they must be those of the rollout. `metrics`
    are (), by name, and become columns of iterations.csv.
    """

    total: torch.Tensor
    logprobs: torch.Tensor
    metrics: dict[str, torch.Tensor]


class Schedule(NamedTuple):
    """How one iteration learns: epochs over the rollout, minibatches an epoch, learning rates.

    `learning_rates` has one number for each of `Algorithm.parameter_groups`.
    """

    num_epochs: int
    num_mini_batches: int
    learning_rates: Sequence[float]


class Algorithm(torch.nn.Module, abc.ABC):
    """An RL method: all that it trains, what it makes of a rollout, and its loss.

    A subclass implements `schedule`, `finish` and `forward`. What it trains beside the policy, such
    as a value head, it holds as submodules; it overrides `parameter_groups` and `read` for them.

    Attributes
    ----------
    policy : the policy being optimized.
    responses_per_prompt : responses of a rollout to the same prompt; divides the batch size.
    averaged_over : what the loss is a mean of; weighs the parts of a minibatch.
    """

    responses_per_prompt: int = 1
    averaged_over: Averaged = "tokens"

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy

    @property
    def remedy(self) -> str:
        """What a user does when the loss is not finite: the end of a sentence."""
        return "lower its learning rate"

    def parameter_groups(self) -> list[list[torch.nn.Parameter]]:
        """Parameters that are trained, in groups of one learning rate each."""
        return [[p for p in self.policy.parameters() if p.requires_grad]]

    def read(self, episodes: Episodes) -> dict[str, torch.Tensor]:
        """Read a rollout, without gradients: `logprobs` (B, T), and anything else of B rows."""
        return {"logprobs": response_logprobs(self.policy, episodes)}

    @abc.abstractmethod
    def schedule(self, step: int) -> Schedule:
        """Say how iteration `step` (from 0) learns."""

    @abc.abstractmethod
    def finish(self, rollout: Rollout) -> dict[str, torch.Tensor]:
        """Turn scores into what the loss needs, such as advantages; tensors of B rows, by name."""

    @abc.abstractmethod
    def forward(self, batch: Batch) -> Loss:
        """Compute the loss of a batch under the present policy."""
