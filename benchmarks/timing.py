"""CPU seconds of pieces of work that are compared with each other, in turns.

CPU seconds, not wall time: other processes of the machine then cost what they take from the caches,
and no more. Contenders take turns within a round, and a ratio is taken within a round, so that what
disturbs one disturbs all.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypedDict

Work = Callable[[], float]
"""Does a piece of work; returns how many items it was."""


class Spread(TypedDict):
    """Repeated measurements of one quantity."""

    median: float
    min: float
    max: float
    repeats: int


def spread(values: Sequence[float]) -> Spread:
    """Median and range."""
    return Spread(median=median(values), min=min(values), max=max(values), repeats=len(values))


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process, all threads, while `work` runs."""
    start = time.process_time()
    work()
    return time.process_time() - start


def rates(contenders: Mapping[str, Work], repeats: int) -> dict[str, list[float]]:
    """Items per CPU second of each contender, one value a round.

    A round that warms up comes first and does not count.
    """
    measured: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(repeats + 1):
        for name, work in contenders.items():
            start = time.process_time()
            items = work()
            seconds = time.process_time() - start
            if turn:
                measured[name].append(items / seconds)
    return measured


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Ours over theirs, round by round."""
    return spread([mine / other for mine, other in zip(ours, theirs, strict=True)])
