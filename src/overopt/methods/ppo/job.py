"""The PPO job."""

from overopt.config.ppo import PPOSettings
from overopt.jobs.job import Job
from overopt.methods.method_files import MethodFiles
from overopt.methods.ppo.algorithm import PPO
from overopt.methods.rl.job import optimize
from overopt.models.architecture import Policy


def optimize_by_ppo(job: Job, settings: PPOSettings, files: MethodFiles) -> None:
    """Run PPO from an initial policy against a proxy RM; `overopt.methods.rl.job.optimize`."""
    run = settings.run

    def ppo(policy: Policy) -> PPO:
        return PPO(policy, settings.ppo, learning_rate=settings.learning_rate, kl_coef=run.kl_coef)

    optimize(job, ppo, run, settings.ppo, settings, files)
