"""Seeds: one per job, derived from the job's own key, so that adding a cell changes no other."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def job_seed(*key: object) -> int:
    """Seed of the job with this key: the first 48 bits of the SHA-256 of its parts.

    48 bits keep the number exact in JSON and in a double.
    """
    text = "/".join(str(part) for part in key)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def numpy_generator(seed: int, stream: str) -> np.random.Generator:
    """NumPy generator of one named stream of a job, e.g. ``"prompts"``."""
    return np.random.default_rng(job_seed(seed, stream))


def torch_generator(seed: int, stream: str) -> "torch.Generator":
    """CPU generator of one named stream of a job, e.g. ``"batches"``."""
    import torch

    return torch.Generator().manual_seed(job_seed(seed, stream))
