"""
The processes of one job, and how they share its work.

`accelerate launch` starts the same script several times. Every process holds all data, draws the
same random numbers and sees the same batches; each computes the rows of its share, and what they
found is put together again, so that several processes give what one gives, up to rounding. The
first one, the main process, alone writes.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch

Row = TypeVar("Row")

LONGEST_WAIT = timedelta(hours=6)
"""Longest time that one process may read, score or save while the others wait. One that fails ends
all at once."""


@dataclass(frozen=True)
class Processes:
    """The number of processes of this job, and which one this is (from 0, the main process)."""

    rank: int = 0
    number: int = 1

    @classmethod
    def of_this_job(cls) -> Self:
        """Read rank and number from the launcher's environment; a script run by hand is alone."""
        return cls(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def shares(self, num_rows: int) -> list[np.ndarray]:
        """The rows of each process: contiguous, and as many for each, give or take one."""
        return np.array_split(np.arange(num_rows), self.number)

    def share(self, rows: Sequence[Row]) -> list[Row]:
        """This process's share of these rows."""
        return [rows[row] for row in self.shares(len(rows))[self.rank]]

    def gather(self, share: "torch.Tensor", num_rows: int) -> "torch.Tensor":
        """All rows (num_rows, ...), in order, from each process's share of them."""
        if self.number == 1:
            return share
        import torch
        import torch.distributed

        sizes = [len(rows) for rows in self.shares(num_rows)]
        padded = share.new_zeros(max(sizes), *share.shape[1:])
        padded[: len(share)] = share
        gathered = [torch.empty_like(padded) for _ in sizes]
        torch.distributed.all_gather(gathered, padded)
        return torch.cat([rows[:size] for rows, size in zip(gathered, sizes, strict=True)])

    def gather_array(self, share: np.ndarray, num_rows: int) -> np.ndarray:
        """Gather all rows (num_rows, ...) of an array, in order, as `gather` does of a tensor."""
        if self.number == 1:
            return share
        import torch
        from accelerate import PartialState

        tensor = torch.as_tensor(share, device=PartialState().device)
        return self.gather(tensor, num_rows).cpu().numpy()

    def total(self, values: "torch.Tensor") -> "torch.Tensor":
        """The sum of a tensor over all processes, elementwise."""
        if self.number > 1:
            import torch.distributed

            torch.distributed.all_reduce(values)
        return values

    def connect(self) -> None:
        """Connect the processes of this job, and wait until all have come here."""
        if self.number > 1:
            import torch
            from accelerate import PartialState

            on_cpu = os.environ.get("ACCELERATE_USE_CPU", "false").lower() == "true"
            state = PartialState(cpu=on_cpu or not torch.cuda.is_available(), timeout=LONGEST_WAIT)
            if state.num_processes != self.number:
                raise RuntimeError(f"{state.num_processes} of {self.number} processes connected")
            state.wait_for_everyone()

    def disconnect(self) -> None:
        """Disconnect, once all have come here: a process that ended connected would fail."""
        if self.number > 1:
            import torch.distributed

            if torch.distributed.is_initialized():
                torch.distributed.barrier()
                torch.distributed.destroy_process_group()
