"""
Hardware of each kind of job, by the `compute` sections of the config.

Training alone takes several processes. Scores and pools are fp32 whatever
`precision` says (docs/gpu.md); jobs that score ask for a GPU by the study's own `compute.gpu`.
"""

from overopt.config.compute import ComputeConfig
from overopt.study.study import Study


def sampling_compute(study: Study, policy_size: str) -> ComputeConfig:
    """What a job runs on that samples a policy which stays as it is."""
    return in_fp32(alone(study.policy_compute(policy_size)))


def proxy_scoring_compute(study: Study, proxy_size: str) -> ComputeConfig:
    """What a job runs on that scores by proxy RMs of this size."""
    return _scoring(study, study.proxy_compute(proxy_size))


def gold_scoring_compute(study: Study) -> ComputeConfig:
    """What a job runs on that scores by the gold RM; the hidden utility needs no GPU."""
    if study.gold_rm.is_utility:
        return ComputeConfig()
    return _scoring(study, study.gold_rm_compute())


def alone(compute: ComputeConfig) -> ComputeConfig:
    """Copy of these settings for one process."""
    return compute.model_copy(update={"num_processes": 1})


def in_fp32(compute: ComputeConfig) -> ComputeConfig:
    """Copy of these settings in full precision (fp32)."""
    return compute.model_copy(update={"precision": "fp32"})


def _scoring(study: Study, compute: ComputeConfig) -> ComputeConfig:
    return in_fp32(alone(compute)).model_copy(update={"gpu": study.compute.gpu})
