"""
How training uses the hardware: precision, memory, processes. Imports no torch.

Some of it changes results, and is part of a job's settings (`Numerics`); the rest changes nothing
but rounding, and reaches the job by its command line and its environment (`launcher`), so that a
change of it makes no finished job stale.
"""

import os
import shlex
from typing import Self

from pydantic import Field, PositiveInt

from overopt.config.strict_model import StrictModel
from overopt.config.training import Numerics

PASSES_VARIABLE = "OVEROPT_GRADIENT_ACCUMULATION"
RECOMPUTE_VARIABLE = "OVEROPT_GRADIENT_CHECKPOINTING"


class ComputeConfig(Numerics):
    """The hardware of training jobs, for all sizes or for one, which overrides the keys it gives.

    But for precision, lora_rank and sampler, no key changes a result beyond rounding, and a change
    reruns nothing.
    """

    gradient_checkpointing: bool = Field(
        default=False,
        description="Compute activations a second time instead of keeping them: less memory, a "
        "third more time.",
    )
    gradient_accumulation: PositiveInt = Field(
        default=1, description="Micro-batches that a process splits its share of a batch into."
    )
    num_processes: PositiveInt = Field(
        default=1, description="Processes of a training job; each takes a share of every batch."
    )
    gpu: bool = Field(
        default=False,
        description="Ask the cluster for GPUs: one a process for training jobs, one for jobs that "
        "sample or score.",
    )
    sampler: str = Field(
        default="native", description="What draws the responses of policies, by its name."
    )

    def overridden_by(self, other: "ComputeConfig") -> "ComputeConfig":
        """Copy of these keys, with those that the other section gives in their place."""
        given = {name: getattr(other, name) for name in other.model_fields_set}
        return self.model_copy(update=given)

    @property
    def gres(self) -> str | None:
        """The GPUs to ask a cluster for, in SLURM's words."""
        return f"gpu:{self.num_processes}" if self.gpu else None

    @property
    def numerics(self) -> Numerics:
        """The part that changes results."""
        return Numerics(precision=self.precision, lora_rank=self.lora_rank)


class Execution(StrictModel):
    """How a training job fits its batches into memory."""

    num_accumulation_steps: PositiveInt = 1
    recompute_activations: bool = False

    @classmethod
    def from_environment(cls) -> Self:
        """Read the gradient accumulation steps that the launcher has put into the environment."""
        return cls(
            num_accumulation_steps=int(os.environ.get(PASSES_VARIABLE, "1")),
            recompute_activations=os.environ.get(RECOMPUTE_VARIABLE, "0") == "1",
        )


def launcher(compute: ComputeConfig) -> str:
    """The start of the command line of a training job, before the path of its script.

    `python`, or `accelerate launch` where the job takes several processes.
    """
    environment: dict[str, object] = {}
    if compute.gradient_accumulation > 1:
        environment[PASSES_VARIABLE] = compute.gradient_accumulation
    if compute.gradient_checkpointing:
        environment[RECOMPUTE_VARIABLE] = 1
    command = ["python"]
    if compute.num_processes > 1:
        if not compute.gpu:
            environment["ACCELERATE_USE_CPU"] = "true"
        # --multi_gpu is accelerate's word for torchrun, on processors too: with --cpu it would
        # start one process, unless under MPI. Port 0: any that is free.
        command = ["accelerate", "launch", "--multi_gpu", "--num_machines", "1"]
        command += ["--num_processes", str(compute.num_processes), "--main_process_port", "0"]
        command += ["--mixed_precision", "no", "--dynamo_backend", "no"]
        command += ["--num_cpu_threads_per_process", "1"]
    if environment:
        command = ["env", *(f"{name}={value}" for name, value in environment.items()), *command]
    return shlex.join(command)
