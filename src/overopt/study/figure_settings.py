"""What the figures and tables take from a study: its settings, and which of its cells they show."""

from overopt.analysis.sweeps import runs_over
from overopt.config.cells import Run
from overopt.config.figures import FigureSettings, Table01Settings, Table02Settings
from overopt.config.methods import BEST_OF_N
from overopt.study.job_settings import analysis_settings
from overopt.study.study import Study

PPO_KEYS = (
    *("num_iterations", "batch_size", "num_ppo_epochs", "num_mini_batches", "cliprange", "gamma"),
    *("lam", "vf_coef", "value_learning_rate_factor"),
)


def figure_settings(study: Study) -> FigureSettings:
    """Settings of the figures of `study`."""
    analysis = analysis_settings(study)
    return FigureSettings(
        main_policy=analysis.main_policy,
        excluded_sizes=analysis.excluded_sizes,
        analysis=analysis.analysis,
        bootstrap_seed=analysis.seed,
    )


def size_sweep_ppo_runs(study: Study) -> list[Run]:
    """PPO runs that figure 25 shows: those of the sweep over RM sizes."""
    return runs_over(study.runs("ppo"), main_policy=study.main_policy)


def table_02_run(study: Study) -> Run:
    """Cell of table 2: of the sweep over RM sizes, as in the paper, the second smallest RM."""
    runs = study.runs(BEST_OF_N)
    excluded = analysis_settings(study).excluded_sizes
    sweep = runs_over(runs, main_policy=study.main_policy, excluded_sizes=excluded)
    sweep = sweep or runs_over(runs, main_policy=study.main_policy) or study.main_best_of_n_runs()
    used = {run.proxy_rm.proxy_size for run in sweep}
    sizes = [size for size in study.proxy_sizes if size in used]
    second = sizes[min(1, len(sizes) - 1)]
    return next(run for run in sweep if run.proxy_rm.proxy_size == second)


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
