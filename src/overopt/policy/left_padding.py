"""Prompts of a batch as one array, padded on the left, so that all responses start together."""

from collections.abc import Sequence

import numpy as np
import torch

from overopt.models.architecture import FILLER_ID


def pad_left(
    prompts: Sequence[Sequence[int]], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts as int64 (B, P), and the number of padding tokens before each, (B,)."""
    lengths = np.array([len(prompt) for prompt in prompts])
    width = int(lengths.max())
    padded = np.full((len(prompts), width), FILLER_ID)
    for row, prompt in zip(padded, prompts, strict=True):
        row[width - len(prompt) :] = prompt
    num_padding = torch.as_tensor(width - lengths, device=device)
    return torch.as_tensor(padded, device=device), num_padding
