"""A plan in words: a table by rule, totals, the critical path, what was assumed."""

from collections.abc import Sequence

from overopt.config.compute import ComputeConfig
from overopt.study.plan.jobs import PlannedJob, planned_jobs
from overopt.study.plan.machines import CORE, SNAKEMAKE_SECONDS, GpuModel, Gpus
from overopt.study.plan.shapes import require_known_shapes
from overopt.study.plan.summary import RulePlan, by_rule, critical_path
from overopt.study.plan.texts import ASSUMED_SHARE
from overopt.study.study import Study

_HEAD = (
    f"{'rule':<22} {'jobs':>6} {'each':>9} {'in all':>9} {'GPUs':>4} {'RAM':>8}"
    f" {'of a GPU':>8} {'kept':>8} {'temporary':>9}"
)


def describe_plan(study: Study, gpu: GpuModel) -> str:
    """What the study will take, before it runs. Raises UserError where a shape is not known."""
    require_known_shapes(study)
    jobs = planned_jobs(study, gpu)
    rules = by_rule(jobs)
    lines = [f"Plan of {study.name}: {len(jobs):,} jobs", "", _HEAD]
    lines += [_row(plan) for plan in rules]
    lines += ["", *_totals(jobs, rules, gpu)]
    lines += ["", "Assumed:", *(f"- {text}" for text in _assumptions(study, rules, gpu))]
    return "\n".join(lines)


def _row(plan: RulePlan) -> str:
    gpu = size(plan.gpu_memory) if plan.num_gpus else "-"
    return (
        f"{plan.rule:<22} {plan.num_jobs:>6,} "
        f"{duration(plan.longest):>9} {duration(plan.total):>9} "
        f"{plan.num_gpus or '-':>4} {size(1e6 * plan.memory_mb):>8} {gpu:>8} "
        f"{size(plan.kept):>8} {size(plan.temporary) if plan.temporary else '-':>9}"
    )


def _totals(jobs: Sequence[PlannedJob], rules: Sequence[RulePlan], gpu: GpuModel) -> list[str]:
    path = critical_path(jobs)
    gpu_seconds = sum(plan.gpu_seconds for plan in rules)
    core_seconds = sum(plan.total for plan in rules if not plan.num_gpus)
    kept, temporary = (sum(getattr(plan, name) for plan in rules) for name in ("kept", "temporary"))
    scratch = max(plan.scratch for plan in rules)
    lines = [f"CPU         {duration(core_seconds)} in jobs without a GPU"]
    if gpu_seconds:
        lines.append(f"GPU         {duration(gpu_seconds)} of a {gpu.name}")
    lines += [
        f"At least    {duration(path.seconds)}, however many run at once: {' > '.join(path.rules)}",
        f"Disk        {size(kept)} kept; at most {size(kept + temporary)} while it runs, and "
        f"up to {size(scratch)} for each training that runs",
    ]
    fullest = max(rules, key=lambda plan: plan.gpu_memory if plan.num_gpus else 0.0)
    if fullest.gpu_memory > gpu.memory:
        lines.append(
            f"Too large   {fullest.rule} needs {size(fullest.gpu_memory)} of a GPU that has "
            f"{size(gpu.memory)}: use lora_rank, gradient_checkpointing or gradient_accumulation"
        )
    return lines


def _assumptions(study: Study, rules: Sequence[RulePlan], gpu: GpuModel) -> list[str]:
    texts = []
    if any(not plan.num_gpus for plan in rules):
        rate = f"{CORE.training_rate / 1e9:.0f} GFLOP/s in training"
        machine = f"the machine of docs/planning.md ({rate})"
        texts.append(f"CPU: one core a job, at the speed of {machine}")
    if any(plan.num_gpus for plan in rules):
        on = Gpus(gpu, ComputeConfig())
        texts += [
            f"{gpu.name}: {gpu.bf16_peak / 1e12:.0f} TFLOP/s in bf16, "
            f"{gpu.bandwidth / 1e12:.1f} TB/s (data sheet); of it {on.training_share:.0%} in "
            f"training, {on.reading_share:.0%} in scoring, {on.bandwidth_share:.0%} of the "
            "bandwidth in sampling (assumed, not measured)",
            f"each job starts in {on.start:.0f} s; GPU memory is counted, not measured",
        ]
    if not study.source.is_generated:
        texts.append(f"texts are on average {ASSUMED_SHARE:.0%} of the limits of `text`")
    texts.append(f"Snakemake takes another {SNAKEMAKE_SECONDS} CPU seconds a job (measured)")
    texts.append("PPO runs to its last iteration: less where it reaches stop_kl before")
    return texts


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, with three significant digits."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    if seconds < 6000:
        return f"{seconds / 60:.3g} min"
    number = seconds / 3600
    return f"{number:,.0f} h" if number >= 100 else f"{number:.3g} h"


def size(num_bytes: float) -> str:
    """Bytes in kB, MB, GB or TB."""
    for unit, limit in (("kB", 1e6), ("MB", 1e9), ("GB", 1e12)):
        if num_bytes < limit:
            return f"{num_bytes / (limit / 1e3):.3g} {unit}"
    return f"{num_bytes / 1e12:.3g} TB"
