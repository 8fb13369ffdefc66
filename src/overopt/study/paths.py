"""
Where the rules write the cells of a study: the folders of `workflow/rules/`, as paths.

Only what depends on the grid is here: models, pools and curves. A test compares it with the files
of a finished study.
"""

from overopt.config.cells import BestOfNRun, ProxyRM
from overopt.study.study import Study

CELL_FOLDERS = ("policies", "backbones", "proxy_rms", "best_of_n", "deep_best_of_n", "ppo")
TILTED_FILES = ("tilted_curve.parquet", "tilted_record.json")


def cell_folders(study: Study) -> set[str]:
    """Every folder that a job of the grid writes to, from the study's folder on."""
    return {
        *(f"policies/{size}" for size in study.policy_sizes()),
        *(f"backbones/{rm.proxy_size}/seed-{rm.seed}" for rm in study.proxy_rms()),
        *(f"proxy_rms/{_rm(rm)}" for rm in study.proxy_rms()),
        *_pools_and_curves("best_of_n", study.best_of_n_runs()),
        *_pools_and_curves("deep_best_of_n", study.deep_best_of_n_runs()),
        *(
            f"ppo/{run.policy_size}/kl-{run.kl_coef:g}/{_rm(run.proxy_rm)}"
            for run in study.ppo_runs()
        ),
    }


def tilted_folders(study: Study) -> set[str]:
    """The folders of best-of-n that hold a tilted curve, too."""
    return {_run("best_of_n", run) for run in study.tilted_runs()}


def _pools_and_curves(method: str, runs: list[BestOfNRun]) -> set[str]:
    return {f"{method}/{run.policy_size}" for run in runs} | {_run(method, run) for run in runs}


def _run(method: str, run: BestOfNRun) -> str:
    return f"{method}/{run.policy_size}/{_rm(run.proxy_rm)}"


def _rm(rm: ProxyRM) -> str:
    return (
        f"{rm.proxy_size}/{rm.labels}-labels/{rm.num_comparisons}-comparisons/"
        f"{rm.num_epochs}-epochs/seed-{rm.seed}"
    )
