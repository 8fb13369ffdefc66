"""What a run has done and has yet to do, and how long that may take."""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

TARGET = "all"  # the rule that only collects


@dataclass(frozen=True)
class Job:
    """One running job; `is_target` marks rules without outputs, which only collect others."""

    rule: str
    label: str
    started: float
    is_target: bool = False


@dataclass(frozen=True)
class Snapshot:
    """A copy of the state that another thread may draw; times in seconds since the epoch."""

    stages: tuple[tuple[str, int, int, int, int], ...]  # rule, done, total, running, failed
    running: tuple[Job, ...]
    done: int
    total: int
    started: float
    taken: float
    seconds_left: float | None


@dataclass
class Progress:
    """
    Counts, durations and the estimate of the time left.

    `costs` gives the seconds one job of a rule is expected to take. It need not fit the machine:
    observed durations scale it, and the mean of a rule's own jobs soon outweighs it.
    """

    costs: Mapping[str, float] = field(default_factory=dict)
    trusted: bool = False  # the costs were measured on this very study
    cores: int = 1
    total: int = 0
    started: float = field(default_factory=time.time)
    planned: dict[str, int] = field(default_factory=dict)
    running: dict[int, Job] = field(default_factory=dict)
    failed: dict[int, Job] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def plan(self, jobs_of_rule: Mapping[str, int], now: float) -> None:
        """Take Snakemake's table of jobs, in the order of the workflow."""
        self.planned = {rule: count for rule, count in jobs_of_rule.items() if rule != "total"}
        self.total = sum(self.planned.values())
        self.started = now

    def start(self, job_id: int, job: Job) -> None:
        """Note that a job runs; a retried one is no longer a failed one."""
        self.failed.pop(job_id, None)
        self.running[job_id] = job

    def finish(self, job_id: int, now: float) -> tuple[Job, float] | None:
        """The finished job and the seconds it took, or None for a job never seen to start."""
        job = self.running.pop(job_id, None)
        if job is None:
            return None
        self.done[job.rule] += 1
        self.seconds[job.rule] += now - job.started
        return job, now - job.started

    def fail(self, job_id: int, job: Job) -> Job:
        """Note a failure; `job` stands in for one never seen to start."""
        self.failed[job_id] = self.running.pop(job_id, job)
        return self.failed[job_id]

    def expected_seconds(self, rule: str) -> float:
        """Seconds one job of a rule should take: the table, scaled, then the rule's own mean."""
        if rule == TARGET:
            return 0.0
        observed, count = self.seconds[rule], self.done[rule]
        if rule in self.costs:
            return (self.costs[rule] * self._slowness() + observed) / (1 + count)
        if count:
            return observed / count
        return sum(self.seconds.values()) / max(self.done.total(), 1)

    def _slowness(self) -> float:
        """Observed over expected seconds of the finished jobs that the table knows."""
        expected = sum(self.costs[rule] * n for rule, n in self.done.items() if rule in self.costs)
        observed = sum(s for rule, s in self.seconds.items() if rule in self.costs)
        return observed / expected if expected > 0 and observed > 0 else 1.0

    def seconds_left(self, now: float) -> float | None:
        """Work left over the jobs that run side by side; None before anything is known."""
        if not self.done and not (self.trusted and self.costs):
            return None
        ages = {job_id: now - job.started for job_id, job in self.running.items()}
        left = {
            job_id: max(self.expected_seconds(job.rule) - ages[job_id], 0.0)
            for job_id, job in self.running.items()
        }
        begun = self.done + Counter(job.rule for job in self.running.values())
        begun += Counter(job.rule for job in self.failed.values())
        waiting = {rule: max(n - begun[rule], 0) for rule, n in self.planned.items()}
        each = {rule: self.expected_seconds(rule) for rule, n in waiting.items() if n}
        work = sum(left.values()) + sum(waiting[rule] * each[rule] for rule in each)
        # How many jobs really ran at once (a GPU or a partition may allow fewer than the cores do);
        # the first half minute of belief belongs to the cores.
        busy = sum(self.seconds.values()) + sum(ages.values())
        side_by_side = (busy + 30 * self.cores) / (max(now - self.started, 0.0) + 30)
        jobs_left = len(self.running) + sum(waiting.values())
        side_by_side = max(min(side_by_side, self.cores, jobs_left), 1.0)
        return max(work / side_by_side, 0.0, *left.values(), *each.values())

    def snapshot(self, now: float) -> Snapshot:
        """The state now, for the live display."""
        running = Counter(job.rule for job in self.running.values())
        failed = Counter(job.rule for job in self.failed.values())
        return Snapshot(
            stages=tuple(
                (rule, self.done[rule], total, running[rule], failed[rule])
                for rule, total in self.planned.items()
                if rule != TARGET
            ),
            running=tuple(self.running.values()),
            done=self.done.total(),
            total=self.total,
            started=self.started,
            taken=now,
            seconds_left=self.seconds_left(now),
        )
