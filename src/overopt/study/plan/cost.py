"""What one job takes, and which job it is."""

import math
from dataclasses import dataclass

from overopt.config.compute import ComputeConfig

RUN_TIME_FACTOR = 3.0
"""A cluster kills a job that takes longer than declared; one that ends early costs nothing."""
SHORTEST_RUN_TIME = 10
RECORDS = 3e4
"""Record, log, metrics, tokenizer and Snakemake's own note of a job; measured: 20 to 40 kB."""


@dataclass(frozen=True)
class Cell:
    """The wildcards of a job, as far as its cost depends on them."""

    policy_size: str = ""
    proxy_size: str = ""
    num_comparisons: int = 0
    num_epochs: int = 0
    checkpoint: str = ""


@dataclass(frozen=True)
class Disk:
    """Bytes of one job's files.

    Attributes
    ----------
    kept : until the study is deleted.
    temporary : until the last job that reads them is done.
    scratch : only while the job runs: what a training resumes from.
    """

    kept: float = RECORDS
    temporary: float = 0.0
    scratch: float = 0.0

    @staticmethod
    def of(size: float, *, is_kept: bool = True, scratch: float = 0.0) -> "Disk":
        """Files of this size, kept or temporary; the job's record is kept always."""
        kept, temporary = (size, 0.0) if is_kept else (0.0, size)
        return Disk(RECORDS + kept, temporary, scratch)


@dataclass(frozen=True)
class Cost:
    """What one job takes.

    Attributes
    ----------
    seconds : from start to end.
    memory_mb : peak of the host's memory.
    disk : what it writes.
    compute : the processes and GPUs it runs on.
    gpu_bytes : memory of each GPU, were it to run on GPUs.
    """

    seconds: float
    memory_mb: int
    disk: Disk = Disk()
    compute: ComputeConfig = ComputeConfig()
    gpu_bytes: float = 0.0

    @property
    def num_gpus(self) -> int:
        """GPUs of the job: one a process."""
        return self.compute.num_processes if self.compute.gpu else 0

    @property
    def gpu_memory(self) -> float:
        """Bytes that the job takes of each of its GPUs."""
        return self.gpu_bytes if self.compute.gpu else 0.0

    @property
    def run_time(self) -> int:
        """Minutes to ask a cluster for: three times what is expected, and at least ten."""
        return max(SHORTEST_RUN_TIME, math.ceil(RUN_TIME_FACTOR * self.seconds / 60))
