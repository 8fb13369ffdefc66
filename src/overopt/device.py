"""The device of jobs that read a model without training it: sampling and scoring."""

import torch


def device_of_this_job() -> torch.device:
    """The GPU that this job sees, if any; `CUDA_VISIBLE_DEVICES=""` hides it."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
