"""
The training loop that language models and reward models share.

AdamW with linear warm-up and cosine decay to a tenth, gradient clipping, batches of like length;
through accelerate, so that device, precision and number of processes are the launcher's matter.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypedDict, TypeVar, cast

import numpy as np
import torch
from accelerate import Accelerator

from overopt.errors import UserError
from overopt.training_state import TrainingState

WARMUP_SHARE = 0.05
FINAL_LEARNING_RATE_SHARE = 0.1
ADAM_BETAS = (0.9, 0.98)
WEIGHT_DECAY = 0.01
MAX_GRADIENT_NORM = 1.0
BUCKET_BATCHES = 8

Model = TypeVar("Model", bound=torch.nn.Module)


class Progress(TypedDict):
    """Counters of the loop: the next step to take and the losses so far."""

    step: int
    losses: list[float]


class DivergedError(UserError):
    """The loss is not a number any more."""


def learning_rate_at(step: int, num_steps: int, peak: float) -> float:
    """Linear warm-up over 5% of the steps, then cosine decay to a tenth of the peak."""
    num_warmup = max(1, int(num_steps * WARMUP_SHARE))
    if step < num_warmup:
        return peak * (step + 1) / num_warmup
    progress = (step - num_warmup) / max(1, num_steps - num_warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return peak * (FINAL_LEARNING_RATE_SHARE + (1 - FINAL_LEARNING_RATE_SHARE) * cosine)


def length_bucketed_batches(
    lengths: np.ndarray, batch_size: int, num_epochs: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Batches of row numbers for all epochs, each of exactly `batch_size` rows of like length.

    Every epoch shuffles the rows, sorts each run of 8 batches by length and shuffles the
    batches, so that little padding is computed. Rows that do not fill a batch are left out, of
    any length: others in every epoch.
    """
    batches: list[np.ndarray] = []
    num_used = len(lengths) - len(lengths) % batch_size
    for _ in range(num_epochs):
        order = rng.permutation(len(lengths))[:num_used]
        epoch: list[np.ndarray] = []
        for start in range(0, len(order), batch_size * BUCKET_BATCHES):
            bucket = order[start : start + batch_size * BUCKET_BATCHES]
            bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
            epoch += [bucket[i : i + batch_size] for i in range(0, len(bucket), batch_size)]
        batches += [epoch[i] for i in rng.permutation(len(epoch))]
    return batches


def train(
    model: Model,
    batch_loss: Callable[[Model, np.ndarray], torch.Tensor],
    batches: Sequence[np.ndarray],
    learning_rate: float,
    state: TrainingState,
) -> np.ndarray:
    """Take one optimizer step a batch; the loss of every step.

    `batch_loss(model, rows)` returns the mean loss of these rows. The run resumes from `state`
    where an earlier process left one, and then gives the bytes of an uninterrupted run.

    Raises
    ------
    DivergedError
        At the first loss that is not finite.
    """
    accelerator = Accelerator()
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=learning_rate,
        betas=ADAM_BETAS,
        weight_decay=WEIGHT_DECAY,
        fused=True,
    )
    prepared, prepared_optimizer = accelerator.prepare(model, optimizer)
    prepared.train()
    losses: list[float] = []
    first_step = 0
    if (saved := state.load(model, optimizer)) is not None:
        progress = cast(Progress, saved)
        first_step, losses = progress["step"], progress["losses"]
        print(f"resumed after step {first_step} of {len(batches)}", flush=True)
    for step in range(first_step, len(batches)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, len(batches), learning_rate)
        loss = batch_loss(prepared, batches[step])
        prepared_optimizer.zero_grad(set_to_none=True)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(prepared.parameters(), MAX_GRADIENT_NORM)
        prepared_optimizer.step()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise DivergedError(
                f"the loss is {losses[-1]} at step {step + 1} of {len(batches)}; "
                f"lower the learning rate ({learning_rate})"
            )
        if (step + 1) % max(1, len(batches) // 10) == 0:
            print(f"step {step + 1}/{len(batches)}: loss {np.mean(losses[-50:]):.4f}", flush=True)
        if state.is_due():
            state.save(model, optimizer, {"step": step + 1, "losses": losses})
    model.eval()
    return np.array(losses)


def final_loss(losses: np.ndarray, num_steps: int = 50) -> float:
    """Mean training loss of the last steps."""
    return float(np.mean(losses[-num_steps:]))
