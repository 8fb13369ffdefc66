"""
The ways to draw responses of a policy that stays as it is.

`overopt.config.policy.SAMPLERS` names a class for each: a `Sampler` with a `load` of its own. PPO
draws by `sample_responses` alone: its policy changes in every iteration.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, Self

import torch

from overopt.config.policy import SAMPLERS
from overopt.config.training import TextConfig
from overopt.models.architecture import Policy
from overopt.models.device import device_of_this_job
from overopt.models.loading import load_policy, on_device
from overopt.policy.sampling import Responses, sample_responses


class Sampler(Protocol):
    """A policy that is sampled from: temperature 1, nothing truncated, nothing suppressed."""

    policy: Policy

    @classmethod
    def load(cls, folder: Path, text: TextConfig) -> Self:
        """The sampler of a policy's folder, for texts of these lengths; on the job's GPU if any."""
        ...

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        max_response_tokens: int,
        generator: torch.Generator,
    ) -> Responses:
        """One response to each prompt (lists of token ids); `generator` is of the CPU."""
        ...


class NativeSampler:
    """The project's own decode loop."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    @classmethod
    def load(cls, folder: Path, text: TextConfig) -> Self:
        """The sampler of a policy's folder, on the GPU of this job if it has one."""
        return cls(on_device(load_policy(folder), device_of_this_job()))

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        max_response_tokens: int,
        generator: torch.Generator,
    ) -> Responses:
        """One response to each prompt."""
        return sample_responses(self.policy, prompts, max_response_tokens, generator)


def load_sampler(folder: Path, name: str, text: TextConfig) -> Sampler:
    """The sampler called `name` of a policy's folder.

    Raises
    ------
    UserError
        The folder holds no policy.
    """
    module, _, class_name = SAMPLERS[name].partition(":")
    sampler: type[Sampler] = getattr(import_module(module), class_name)
    return sampler.load(folder, text)
