"""What the figures and tables take from a study: its settings, and which of its cells they show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overopt.config.cells import BestOfNRun, PPORun
from overopt.config.figures import FigureSettings, Table01Settings, Table02Settings

if TYPE_CHECKING:
    from overopt.study.study import Study

PPO_KEYS = (
    *("num_iterations", "batch_size", "num_ppo_epochs", "num_mini_batches", "cliprange", "gamma"),
    *("lam", "vf_coef", "value_learning_rate_factor"),
)


def figure_settings(study: Study) -> FigureSettings:
    """Settings of the figures of `study`."""
    analysis = study.analysis_settings()
    return FigureSettings(
        main_policy=analysis.main_policy,
        excluded_sizes=analysis.excluded_sizes,
        analysis=analysis.analysis,
        bootstrap_seed=analysis.seed,
    )


def size_sweep_ppo_runs(study: Study) -> list[PPORun]:
    """PPO runs that figure 25 shows: the main policy, no KL penalty, the most data."""
    runs = [
        run
        for run in study.ppo_runs()
        if (run.policy_size, run.kl_coef) == (study.main_policy, 0)
        and run.proxy_rm.labels == "deterministic"
    ]
    largest = max((run.proxy_rm.num_comparisons for run in runs), default=0)
    return [run for run in runs if run.proxy_rm.num_comparisons == largest]


def table_02_run(study: Study) -> BestOfNRun:
    """The cell of table 2: the main policy and, as in the paper, the second smallest RM."""
    excluded = study.analysis_settings().excluded_sizes
    runs = [run for run in study.best_of_n_runs() if run.policy_size == study.main_policy]
    runs = [run for run in runs if run.proxy_rm.proxy_size not in excluded] or runs
    largest = max(run.proxy_rm.num_comparisons for run in runs)
    runs = [run for run in runs if run.proxy_rm.num_comparisons == largest]
    used = {run.proxy_rm.proxy_size for run in runs}
    sizes = [size for size in study.proxy_sizes if size in used]
    second = sizes[min(1, len(sizes) - 1)]
    return next(run for run in runs if run.proxy_rm.proxy_size == second)


def table_01_settings(study: Study) -> Table01Settings:
    """Settings of table 1."""
    policy = study.policies[study.main_policy]
    hyperparameters = {f"ppo.{key}": float(getattr(study.ppo, key)) for key in PPO_KEYS} | {
        "proxy_rm.learning_rate_factor": study.proxy_rm.learning_rate_factor,
        "proxy_rm.batch_size": study.proxy_rm.batch_size,
        "policies.ppo_learning_rate": policy.ppo_learning_rate / policy.learning_rate,
        "best_of_n.max_n": study.best_of_n.max_n,
        "best_of_n.num_prompts": study.best_of_n.num_prompts,
    }
    return Table01Settings(hyperparameters=hyperparameters)


def table_02_settings(study: Study) -> Table02Settings:
    """Settings of table 2."""
    return Table02Settings(max_n=study.best_of_n.max_n)
