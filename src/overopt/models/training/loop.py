"""
The training loop that language models and reward models share.

AdamW with linear warm-up and cosine decay to a tenth, gradient clipping, batches of like length;
through accelerate, so that device and number of processes are the launcher's matter.
"""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypedDict, cast

import numpy as np
import torch

from overopt.config.compute import Execution
from overopt.config.training import Numerics
from overopt.errors import UserError
from overopt.jobs.processes import Processes
from overopt.models.device import to_device
from overopt.models.training.accelerator import accelerator_of, prepared, recompute_activations
from overopt.models.training.adamw import AdamW, ParameterGroup
from overopt.models.training.state import TrainingState

WARMUP_SHARE = 0.05
FINAL_LEARNING_RATE_SHARE = 0.1
ADAM_BETAS = (0.9, 0.98)
WEIGHT_DECAY = 0.01
MAX_GRADIENT_NORM = 1.0
BUCKET_BATCHES = 8


@dataclass(frozen=True)
class Examples:
    """What a model is trained on.

    Attributes
    ----------
    tensors : from row numbers to the arguments of the loss, on the CPU.
    weights : (N,), what each row counts in the mean of a batch, such as its response tokens.
    """

    tensors: Callable[[np.ndarray], tuple[torch.Tensor, ...]]
    weights: np.ndarray


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
    loss: torch.nn.Module,
    examples: Examples,
    batches: Sequence[np.ndarray],
    learning_rate: float,
    state: TrainingState,
    numerics: Numerics,
) -> np.ndarray:
    """Take one optimizer step a batch; the loss of every step.

    `loss` holds the model and returns the weighted mean loss of the rows it is given: a module, so
    that accelerate can wrap it. The run resumes from `state` where an earlier process left one,
    and then gives the bytes of an uninterrupted run.

    Every process takes its share of each batch, in as many gradient
    accumulation steps as its launcher says. Neither changes
    the loss or the gradient but for rounding.

    Raises
    ------
    DivergedError
        At the first loss that is not finite.
    UserError
        A batch has fewer rows than there are processes times gradient accumulation steps.
    """
    accelerator = accelerator_of(numerics.precision)
    processes, execution = Processes.of_this_job(), Execution.from_environment()
    check_shares(min(map(len, batches)), processes, execution)
    if execution.recompute_activations:
        recompute_activations(loss)
    trained = [parameter for parameter in loss.parameters() if parameter.requires_grad]
    # Of accelerate only what wraps the model: its own backward pass, clipping and optimizer, made
    # for scaled fp16 gradients, cost a small model's step as much again as the arithmetic.
    wrapped = prepared(accelerator, loss)
    wrapped.train()
    group = ParameterGroup(trained, learning_rate)
    optimizer = AdamW([group], betas=ADAM_BETAS, weight_decay=WEIGHT_DECAY)

    def loss_with_gradient(rows: np.ndarray) -> torch.Tensor:
        micro_batches = shares_of(rows, processes, execution)
        losses: list[torch.Tensor] = []
        for index, share in enumerate(micro_batches):
            weight = float(examples.weights[share].sum() / examples.weights[rows].sum())
            tensors = [to_device(tensor, accelerator.device) for tensor in examples.tensors(share)]
            is_last = index == len(micro_batches) - 1
            # The gradients of the processes are averaged in the last backward pass.
            with contextlib.nullcontext() if is_last else accelerator.no_sync(wrapped):
                weighted = wrapped(*tensors) * weight
                (weighted * processes.number).backward()
            losses.append(weighted.detach())
        return processes.total(torch.stack(losses).sum())

    losses: list[float] = []
    first_step = 0
    if (saved := state.load(loss, optimizer)) is not None:
        progress = cast(Progress, saved)
        first_step, losses = progress["step"], progress["losses"]
        print(f"resumed after step {first_step} of {len(batches)}", flush=True)
    for step in range(first_step, len(batches)):
        group.learning_rate = learning_rate_at(step, len(batches), learning_rate)
        loss.zero_grad(set_to_none=True)
        batch_loss = loss_with_gradient(batches[step])
        torch.nn.utils.clip_grad_norm_(trained, MAX_GRADIENT_NORM)
        optimizer.step()
        losses.append(batch_loss.item())
        if not math.isfinite(losses[-1]):
            raise DivergedError(
                f"the loss is {losses[-1]} at step {step + 1} of {len(batches)}; "
                f"lower the learning rate ({learning_rate})"
            )
        if (step + 1) % max(1, len(batches) // 10) == 0:
            print(f"step {step + 1}/{len(batches)}: loss {np.mean(losses[-50:]):.4f}", flush=True)
        if state.is_due():
            state.save(loss, optimizer, {"step": step + 1, "losses": losses})
    loss.eval()
    return np.array(losses)


def shares_of(rows: np.ndarray, processes: Processes, execution: Execution) -> list[np.ndarray]:
    """The rows of a batch that this process computes, one micro-batch each."""
    micro_batches = np.array_split(rows, processes.number * execution.num_accumulation_steps)
    first = processes.rank * execution.num_accumulation_steps
    return micro_batches[first : first + execution.num_accumulation_steps]


def check_shares(num_rows: int, processes: Processes, execution: Execution) -> None:
    """Refuse a batch that leaves a process without rows in some micro-batch."""
    if num_rows < processes.number * execution.num_accumulation_steps:
        raise UserError(
            f"a batch of {num_rows} cannot be shared by {processes.number} processes "
            f"(compute.num_processes) in {execution.num_accumulation_steps} micro-batches "
            "(compute.gradient_accumulation): lower one of them, or take larger batches"
        )


def final_loss(losses: np.ndarray, num_steps: int = 50) -> float:
    """Mean training loss of the last steps."""
    return float(np.mean(losses[-num_steps:]))
