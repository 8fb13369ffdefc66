"""Devices: that of jobs that sample or score, and the way of a tensor to one."""

import torch


def device_of_this_job() -> torch.device:
    """The GPU that this job sees, if any; `CUDA_VISIBLE_DEVICES=""` hides it."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on the device; from pinned memory to a GPU, which then need not be waited for."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
