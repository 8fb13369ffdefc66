"""Tokens per second of the sampler, against what reading weights and cache would take."""

from functools import partial

import torch
from benchmarks.gpu_measure import Ceilings, Row, seconds_of
from benchmarks.gpu_models import NO_TOKEN, measured_policies, num_weights_read

from overopt.config.training import Precision
from overopt.models.architecture import Policy
from overopt.models.training.accelerator import body_precision
from overopt.policy.batch_size import cache_bytes_per_token, sampling_batch_size
from overopt.policy.sampling import sample_responses

BATCH_SIZES = (64, 256, 1024, 4096)
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


def measure_sampler(device: torch.device, ceilings: Ceilings, *, is_quick: bool) -> list[Row]:
    """Every policy at every batch size that fits, in fp32 (pools) and bf16 (PPO under bf16)."""
    rows: list[Row] = []
    for name, policy, prompt, response in measured_policies(device, is_quick=is_quick):
        policy.config.eos_token_id = NO_TOKEN  # every response goes to the limit
        largest = sampling_batch_size(policy, prompt + response)
        rows.append(Row("sampler", f"{name}: rows drawn at once", largest, "rows"))
        for batch_size in (8, 16) if is_quick else BATCH_SIZES:
            if batch_size > largest and device.type == "cuda":
                continue
            for precision in PRECISIONS:
                seconds = seconds_of(
                    partial(_draw, policy, batch_size, prompt, response, precision), device
                )
                least = _bytes_read(policy, batch_size, prompt, response) / ceilings.bandwidth
                what = f"{name}, batch {batch_size}, {precision}"
                speed = batch_size * response / seconds
                rows.append(Row("sampler", what, speed, "tokens/s", least / seconds))
    return rows


def _draw(
    policy: Policy, batch_size: int, prompt: int, response: int, precision: Precision
) -> None:
    prompts = [[3 + row % 100] * prompt for row in range(batch_size)]
    generator = torch.Generator().manual_seed(0)
    with body_precision(precision, policy.device):
        sample_responses(policy, prompts, response, generator, batch_size=batch_size)


def _bytes_read(policy: Policy, batch_size: int, prompt: int, response: int) -> float:
    """Weights and cache, once a step. Both are kept in fp32, under bf16 too."""
    weights = 4 * num_weights_read(policy)
    cached_tokens = sum(prompt + step for step in range(response))
    return response * weights + batch_size * cached_tokens * cache_bytes_per_token(policy)
