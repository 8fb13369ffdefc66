"""
Where the rules write the results of a study: every path that depends on its cells.

Paths count from the study's folder on. The Snakefile, `keep`, orphans, the plan and DVC ask here;
a test compares the module with the files of a finished study.
"""

import re
from collections.abc import Mapping

from overopt.config.axes import path_pattern, values_in_path, wildcard_patterns
from overopt.config.cells import RUN_AXES, ProxyRM, Run
from overopt.config.keep import KeepConfig
from overopt.config.methods import BEST_OF_N, METHODS, job_methods, sweep_methods
from overopt.config.utility_gold import UTILITY_FILE
from overopt.study.study import Study

PROXY_RM = path_pattern(ProxyRM)
"""Part of a path that names a proxy RM, with wildcards."""
TILTED_FILES = ("tilted_curve.parquet", "tilted_record.json")


def results_folder(study: Study) -> str:
    """Folder of a study, from the working directory on."""
    return f"results/{study.name}"


def policy_folder(policy_size: str) -> str:
    """Folder of an initial policy."""
    return f"policies/{policy_size}"


def backbone_folder(proxy_rm: ProxyRM) -> str:
    """Folder of the backbone that a proxy RM starts from."""
    return f"backbones/{proxy_rm.proxy_size}/seed-{proxy_rm.seed}"


def gold_rm_file(study: Study) -> str:
    """File that stands for the gold RM: a model's weights, or the record of the hidden utility."""
    return f"gold_rm/{UTILITY_FILE if study.gold_rm.is_utility else 'model.safetensors'}"


def proxy_rm_folder(proxy_rm: ProxyRM) -> str:
    """Folder of a proxy RM."""
    return f"proxy_rms/{proxy_rm.path}"


def pool_folder(method: str, policy_size: str) -> str:
    """Folder of the pool of responses that a kind of best-of-n draws from a policy."""
    return f"{method}/{policy_size}"


def run_folder(run: Run) -> str:
    """Folder of a run; tilted policies stand with best-of-n, whose pool they weight."""
    return (
        run.model_copy(update={"method": BEST_OF_N}).folder
        if run.method == "tilted"
        else run.folder
    )


def curve(run: Run) -> str:
    """Curve of a run, whatever its method."""
    return f"{run_folder(run)}/{'tilted_curve' if run.method == 'tilted' else 'curve'}.parquet"


def proxy_rm_at(wildcards: Mapping[str, str]) -> ProxyRM:
    """Proxy RM that the wildcards of a path name."""
    return ProxyRM.model_validate(values_in_path(ProxyRM, wildcards))


def run_at(method: str, wildcards: Mapping[str, str]) -> Run:
    """Run of a method that the wildcards of a path name."""
    values = values_in_path(Run, wildcards)
    proxy_rm = proxy_rm_at(wildcards)
    return Run.model_validate({"method": method, "proxy_rm": proxy_rm, **values})


def run_in(folder: str) -> Run:
    """Run whose folder this is; the opposite of `Run.folder`."""
    method = folder.partition("/")[0]
    own = {name: axis for name, axis in RUN_AXES.items() if name in METHODS[method].axes}
    parts = {"policy_size": RUN_AXES["policy_size"], **own}
    pattern = "/".join([method, *(axis.path.format(f"{{{name}}}") for name, axis in parts.items())])
    patterns = {**wildcard_patterns(Run), **wildcard_patterns(ProxyRM)}
    patterns |= {name: "[^/]+" for name in patterns if name.endswith("_size")}
    found = re.fullmatch(
        re.sub(
            r"\{(\w+)(,[^}]*)?\}",
            lambda wildcard: f"(?P<{wildcard[1]}>{patterns[wildcard[1]]})",
            f"{pattern}/{PROXY_RM}",
        ),
        folder,
    )
    if found is None:
        raise ValueError(f"{folder} is no folder of a run")
    return run_at(method, {name: value or "" for name, value in found.groupdict().items()})


def wildcard_constraints(study: Study) -> dict[str, str]:
    """Regular expression of every wildcard that names an axis."""
    patterns = {**wildcard_patterns(Run), **wildcard_patterns(ProxyRM)}
    patterns["policy_size"] = _alternatives(list(study.policies))
    patterns["proxy_size"] = _alternatives(list(study.proxy_sizes))
    patterns["run_folder"] = rf"({_alternatives(job_methods())})/.*"
    return patterns


def _alternatives(names: list[str]) -> str:
    return "|".join(sorted(map(re.escape, names)))


# What a study's cells own.


def grid_folders() -> tuple[str, ...]:
    """Top folders that hold what the grid makes: models, pools and curves."""
    return "policies", "backbones", "proxy_rms", *sweep_methods()


def cell_folders(study: Study) -> set[str]:
    """Every folder that a job of the grid writes to."""
    runs = study.all_runs()
    pooled = [run for run in runs if METHODS[run.method].point == "n"]
    return {
        *map(policy_folder, study.policy_sizes()),
        *map(backbone_folder, study.proxy_rms()),
        *map(proxy_rm_folder, study.proxy_rms()),
        *(pool_folder(run.method, run.policy_size) for run in pooled),
        *map(run_folder, runs),
    }


def tilted_folders(study: Study) -> set[str]:
    """Folders of best-of-n that hold a tilted curve, too."""
    return set(map(run_folder, study.tilted_runs()))


# What `keep` lets go. The small files beside a model stay: a job reads them from its folder, but
# they are no inputs of its rule, so Snakemake would delete them before that job runs.


def is_temporary(keep: KeepConfig, path: str) -> bool:
    """Whether a file goes when its readers are done."""
    return any(
        re.fullmatch(pattern, path)
        for name, pattern in _large_files().items()
        if not getattr(keep, name)
    )


def _large_files() -> dict[str, str]:
    by_point = {
        point: "|".join(name for name in sweep_methods() if METHODS[name].point == point)
        for point in ("n", "step")
    }
    return {
        "checkpoints": r"checkpoints/[^/]+/model\.safetensors",
        "ppo_policies": rf"({by_point['step']})/.*/model\.safetensors",
        "proxy_rms": r"proxy_rms/.*/model\.safetensors",
        "backbones": r"backbones/.*/model\.safetensors",
        "pools": rf"({by_point['n']})/[^/]+/pool\.(parquet|safetensors)",
    }
