"""On what each kind of job runs, by `compute`. Training alone takes several processes."""

from overopt.config.compute import ComputeConfig
from overopt.study.study import Study


def policy_compute(study: Study, policy_size: str, *, alone: bool = False) -> ComputeConfig:
    """Of jobs with this policy; `alone`: of those that sample, in one process."""
    return _in_one_process(study.policy_compute(policy_size), alone)


def proxy_compute(study: Study, proxy_size: str, *, alone: bool = False) -> ComputeConfig:
    """Of proxy RMs of this size; `alone`: of scoring by them, in one process."""
    return _in_one_process(study.proxy_compute(proxy_size), alone)


def gold_compute(study: Study, *, alone: bool = False) -> ComputeConfig:
    """Of the gold RM; `alone`: of scoring by it, in one process."""
    return _in_one_process(study.gold_rm_compute(), alone)


def num_gpus(compute: ComputeConfig) -> int:
    """GPUs of a job: one a process."""
    return compute.num_processes if compute.gpu else 0


def _in_one_process(compute: ComputeConfig, alone: bool) -> ComputeConfig:
    return compute.model_copy(update={"num_processes": 1}) if alone else compute
