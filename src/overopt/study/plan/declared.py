"""What a rule declares for its jobs: the memory, run time and GPUs that it asks a cluster for."""

from collections.abc import Sequence
from dataclasses import replace

from overopt.config.variants import VARIANTS
from overopt.study.plan.cost import Cell, Cost
from overopt.study.plan.costs import COSTS
from overopt.study.plan.machines import A100
from overopt.study.study import Study

FOR_ANY_PROXY = ("best_of_n", "deep_best_of_n", "ppo", "method")
"""Rules whose jobs all ask for what the largest proxy RM needs: an array of SLURM asks for what its
first job does."""


def declared(study: Study, rule: str, cell: Cell) -> Cost:
    """Cost that a rule declares: the most of all jobs that declare the same as this one.

    Where jobs ask for GPUs, these are A100s. A size of proxy RM declares for the most data that any
    sweep gives it.
    """
    costs = [COSTS[rule](study, alike, A100) for alike in _alike(study, rule, cell)]
    return replace(
        costs[0],
        seconds=max(cost.seconds for cost in costs),
        memory_mb=max(cost.memory_mb for cost in costs),
    )


def _alike(study: Study, rule: str, cell: Cell) -> Sequence[Cell]:
    if rule in FOR_ANY_PROXY:
        return [replace(cell, proxy_size=size) for size in study.proxy_sizes]
    if rule == "proxy_rm":
        return _most_data(study, cell)
    return [cell]


def _most_models(variants: Sequence[str]) -> int:
    """Most models that any of these variants trains."""
    return max(VARIANTS[name].num_models for name in variants)


def _most_data(study: Study, cell: Cell) -> list[Cell]:
    """The proxy RMs of this size on the most data of each sweep, and on all data."""
    all_data = (study.synthetic_comparisons.num_comparisons, 1)
    most = [
        (
            max(sweep.values("num_comparisons")),
            max(sweep.values("num_epochs")) * _most_models(sweep.values("variant")),
        )
        for sweep in study.grid.sweeps.values()
        if cell.proxy_size in sweep.values("proxy_size")
    ]
    return [
        replace(cell, num_comparisons=comparisons, num_epochs=epochs)
        for comparisons, epochs in most or [all_data]
    ]
