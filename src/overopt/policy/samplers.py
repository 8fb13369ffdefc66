"""
The ways to draw responses of a policy that stays as it is: the project's own loop, and vLLM.

PPO uses the own loop alone: its policy changes in every iteration, and vLLM would need the new
weights each time, which its documented interface has no stable way to take.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch

from overopt.config.policy import SamplerChoice
from overopt.config.training import TextConfig
from overopt.models.architecture import Policy
from overopt.models.device import device_of_this_job
from overopt.models.loading import load_policy, on_device
from overopt.policy.sampling import Responses, sample_responses


class Sampler(Protocol):
    """A policy that is sampled from: temperature 1, nothing truncated, nothing suppressed."""

    policy: Policy

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

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        max_response_tokens: int,
        generator: torch.Generator,
    ) -> Responses:
        """One response to each prompt."""
        return sample_responses(self.policy, prompts, max_response_tokens, generator)


def load_sampler(folder: Path, choice: SamplerChoice, text: TextConfig) -> Sampler:
    """The sampler of a policy's folder, on the GPU of this job if it has one.

    Raises
    ------
    UserError
        The folder holds no policy, or vLLM is chosen and cannot run here.
    """
    if choice.name == "vllm":
        from overopt.policy.vllm_sampler import VLLMSampler

        return VLLMSampler(folder, choice.precision, text)
    return NativeSampler(on_device(load_policy(folder), device_of_this_job()))
