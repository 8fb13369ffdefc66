"""Timing, and the two ceilings of a device: matrix products, and memory bandwidth."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from overopt.config.training import Precision


@dataclass(frozen=True)
class Row:
    """One measurement; `share` is of the ceiling that bounds it, if one does."""

    part: str
    what: str
    value: float
    unit: str
    share: float | None = None


@dataclass(frozen=True)
class Ceilings:
    """What the device does at best: FLOP/s of matrix products by precision, bytes/s of a copy."""

    matmul: dict[str, float]
    bandwidth: float

    def of(self, precision: Precision) -> float:
        """FLOP/s of a body in this precision; fp32 jobs do not use TF32."""
        return self.matmul[precision]


def wait_for(device: torch.device) -> None:
    """Wait until the device has done all that was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def seconds_of(run: Callable[[], object], device: torch.device, repeats: int = 1) -> float:
    """Wall seconds of one call: the least of `repeats`, after one that does not count."""
    run()
    taken: list[float] = []
    for _ in range(repeats):
        wait_for(device)
        start = time.perf_counter()
        run()
        wait_for(device)
        taken.append(time.perf_counter() - start)
    return min(taken)


def measure_ceilings(device: torch.device, *, is_quick: bool) -> tuple[Ceilings, list[Row]]:
    """Matrix products of squares, and a copy from the device's memory to its memory."""
    size = 256 if is_quick else 8192 if device.type == "cuda" else 2048
    matmul = {
        "fp32": _matmul_flops(device, size, torch.float32, "highest"),
        "bf16": _matmul_flops(device, size, torch.bfloat16, "highest"),
    }
    if device.type == "cuda":
        matmul["tf32"] = _matmul_flops(device, size, torch.float32, "high")
    num_bytes = 2**20 if is_quick else 2**30
    source = torch.ones(num_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    bandwidth = 2 * num_bytes / seconds_of(lambda: target.copy_(source), device, repeats=10)
    rows = [
        Row("device", f"matrix product {size} x {size}, {name}", flops / 1e12, "TFLOP/s")
        for name, flops in matmul.items()
    ]
    rows.append(Row("device", "memory, read and written", bandwidth / 1e9, "GB/s"))
    return Ceilings(matmul, bandwidth), rows


def _matmul_flops(device: torch.device, size: int, dtype: torch.dtype, precision: str) -> float:
    first, second = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        return 2 * size**3 / seconds_of(lambda: first @ second, device, repeats=5)
    finally:
        torch.set_float32_matmul_precision(before)
