"""On what a model runs: the keys of `compute`, with those of its own size over the study's."""

from dataclasses import dataclass, fields
from typing import Any

from overopt.study import Study


@dataclass(frozen=True)
class Compute:
    """Settings of `compute` that cost depends on; the defaults are those of the config."""

    precision: str = "fp32"
    gradient_checkpointing: bool = False
    gradient_accumulation: int = 1
    lora_rank: int | None = None
    num_processes: int = 1
    gpu: bool = False
    sampler: str = "native"

    @property
    def num_gpus(self) -> int:
        """GPUs of a job: one a process."""
        return self.num_processes if self.gpu else 0


def policy_compute(study: Study, policy_size: str) -> Compute:
    """Of jobs with this policy."""
    return _merged(study, study.policies[policy_size])


def proxy_compute(study: Study, proxy_size: str) -> Compute:
    """Of the training of a proxy RM of this size, and of scoring by it."""
    return _merged(study, study.proxy_sizes[proxy_size])


def gold_compute(study: Study) -> Compute:
    """Of the gold RM's training and scoring: that of the policy it starts from."""
    backbone = study.gold_rm.backbone
    return _merged(study, study.policies[backbone] if backbone else None)


def _merged(study: Study, config: object) -> Compute:
    names = [field.name for field in fields(Compute)]
    chosen: dict[str, Any] = {}
    for keys in (getattr(study, "compute", None), getattr(config, "compute", None)):
        if keys is not None:
            chosen |= {k: v for k, v in keys.model_dump(exclude_unset=True).items() if k in names}
    return Compute(**chosen)
