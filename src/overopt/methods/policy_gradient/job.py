"""Jobs of RLOO, GRPO, Dr. GRPO and REINFORCE++."""

from collections.abc import Callable
from functools import partial

from overopt.config.method_job import MethodSettings
from overopt.config.policy_gradient import GroupConfig, PolicyGradientConfig
from overopt.jobs.job import Job
from overopt.methods.method_files import MethodFiles
from overopt.methods.policy_gradient.algorithms import (
    GRPO,
    RLOO,
    DrGRPO,
    PolicyGradient,
    ReinforcePlusPlus,
)
from overopt.methods.rl.job import optimize


def optimize_by_rloo(job: Job, settings: MethodSettings, files: MethodFiles) -> None:
    """Run RLOO from an initial policy against a proxy RM."""
    _optimize(job, settings, files, GroupConfig.model_validate(settings.options), RLOO)


def optimize_by_grpo(job: Job, settings: MethodSettings, files: MethodFiles) -> None:
    """Run GRPO from an initial policy against a proxy RM."""
    _optimize(job, settings, files, GroupConfig.model_validate(settings.options), GRPO)


def optimize_by_dr_grpo(job: Job, settings: MethodSettings, files: MethodFiles) -> None:
    """Run Dr. GRPO from an initial policy against a proxy RM."""
    method = partial(DrGRPO, max_response_tokens=settings.text.max_response_tokens)
    _optimize(job, settings, files, GroupConfig.model_validate(settings.options), method)


def optimize_by_reinforce_pp(job: Job, settings: MethodSettings, files: MethodFiles) -> None:
    """Run REINFORCE++ from an initial policy against a proxy RM."""
    config = PolicyGradientConfig.model_validate(settings.options)
    _optimize(job, settings, files, config, ReinforcePlusPlus)


def _optimize(
    job: Job,
    settings: MethodSettings,
    files: MethodFiles,
    config: PolicyGradientConfig,
    method: Callable[..., PolicyGradient],
) -> None:
    rate = config.learning_rate
    if rate is None:
        raise ValueError("the settings of a job name the learning rate")
    algorithm = partial(method, config=config, learning_rate=rate, kl_coef=settings.run.kl_coef)
    optimize(job, algorithm, settings.run, config, settings, files)
