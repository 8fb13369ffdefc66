"""A plan: what the jobs of a study take, by rule and in all, and the longest chain of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from overopt.study.plan.jobs import PlannedJob


@dataclass(frozen=True)
class RulePlan:
    """All jobs of one rule.

    Attributes
    ----------
    longest, total : seconds, of the longest job and of all.
    gpu_seconds : seconds times GPUs, of all.
    memory_mb, gpu_memory : the largest, of the host in MB and of each GPU in bytes.
    kept, temporary : bytes of all jobs; `scratch` : of the largest one while it runs.
    """

    rule: str
    num_jobs: int
    longest: float
    total: float
    gpu_seconds: float
    num_gpus: int
    memory_mb: int
    gpu_memory: float
    kept: float
    temporary: float
    scratch: float


@dataclass(frozen=True)
class CriticalPath:
    """The longest chain of jobs that wait for one another: no number of GPUs makes it shorter."""

    seconds: float
    rules: tuple[str, ...]


def by_rule(jobs: Sequence[PlannedJob]) -> list[RulePlan]:
    """One row a rule, in the order of the jobs."""
    rules: dict[str, list[PlannedJob]] = {}
    for job in jobs:
        rules.setdefault(job.rule, []).append(job)
    return [_rule_plan(rule, of_rule) for rule, of_rule in rules.items()]


def _rule_plan(rule: str, jobs: Sequence[PlannedJob]) -> RulePlan:
    costs = [job.cost for job in jobs]
    return RulePlan(
        rule=rule,
        num_jobs=len(jobs),
        longest=max(cost.seconds for cost in costs),
        total=sum(cost.seconds for cost in costs),
        gpu_seconds=sum(cost.num_gpus * cost.seconds for cost in costs),
        num_gpus=max(cost.num_gpus for cost in costs),
        memory_mb=max(cost.memory_mb for cost in costs),
        gpu_memory=max(cost.gpu_memory for cost in costs),
        kept=sum(cost.disk.kept for cost in costs),
        temporary=sum(cost.disk.temporary for cost in costs),
        scratch=max(cost.disk.scratch for cost in costs),
    )


def critical_path(jobs: Sequence[PlannedJob]) -> CriticalPath:
    """The chain of `needs` that takes longest; `jobs` in an order in which they can run."""
    ends: dict[str, float] = {}
    rules: dict[str, tuple[str, ...]] = {}
    for job in jobs:
        last = max(job.needs, key=ends.__getitem__, default="")
        ends[job.name] = ends.get(last, 0.0) + job.cost.seconds
        rules[job.name] = (*rules.get(last, ()), job.rule)
    end = max(ends, key=ends.__getitem__)
    return CriticalPath(ends[end], rules[end])
