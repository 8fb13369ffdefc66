"""
What every rule shares: the study, the digest of a script's code, the settings of a job.

Each rule passes exactly two params, so that the default rerun triggers are exact:
`config`, the settings the job uses as one JSON string with sorted keys, and `code`, the digest of
its script and of all the script imports from the package.
"""

import os
import re
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import SimpleNamespace

# `include:` sets the current folder to workflow/rules; the repository is two levels up.
REPO = (
    Path(workflow.current_basedir.get_path_or_uri(secret_free=True))
    .resolve()
    .parents[1]
)
SOURCE = REPO / "src"
sys.path.insert(0, str(SOURCE))
# Jobs find the package also where an environment has not installed it.
os.environ.update(
    PYTHONPATH=os.pathsep.join([str(SOURCE), *filter(None, [os.getenv("PYTHONPATH")])])
)

from overopt.config.compute import launcher
from overopt.config.methods import METHODS
from overopt.errors import UserError
from overopt.jobs.file_list import FileList
from overopt.jobs.left_in_queue import cancel_left_in_queue
from overopt.jobs.plugins import code_modules, with_plugins
from overopt.jobs.provenance import code_digest
from overopt.jobs.stale_lock import clear_stale_lock
from overopt.study import job_settings, paths
from overopt.study.config_file import only_last_counts, read_config_file
from overopt.study.job_settings import as_param
from overopt.study.plan.cost import Cell
from overopt.study.plan.declared import declared
from overopt.study.study import read_study

if workflow.is_main_process and clear_stale_lock(Path(".snakemake")):
    print("Removed the lock of a Snakemake that was killed here.", file=sys.stderr)
    for job in cancel_left_in_queue(Path.cwd()):
        print(f"Cancelled SLURM job {job}, which it had left.", file=sys.stderr)

try:
    # Their text too: Snakemake keeps the last of two equal keys, and reads 010 as 8.
    for path in [*workflow.overwrite_configfiles, *workflow.configfiles]:
        read_config_file(Path(path))
    study = read_study(config)
except UserError as error:
    told = [str(error), only_last_counts(sys.argv)]
    raise WorkflowError("\n".join(filter(None, told))) from None

# Plugins that the jobs of statistics import.
ANALYSIS_PLUGINS = job_settings.analysis_plugins(study)


def do_not_limit_starts():
    """Let the cores alone limit how many jobs start in a second, on one machine.

    For its own limit Snakemake looks for jobs to start once more every second for each job that has
    ended: after some hundred of them that is a tenth of a processor's time.
    """
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


def check_writable(folder):
    """Stop before the first job where results cannot be written, or could not be recorded."""
    for link in (folder, folder / study.name):
        if link.is_symlink():
            raise WorkflowError(
                f"{link} is a symbolic link, which DVC and git do not follow: the results could not "
                "be recorded. Put the repository where the results shall be, or mount that place "
                f"as {link} (docs/cluster.md, results on a scratch file system)"
            )
    existing = folder if folder.exists() else Path(".")
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise WorkflowError(
            f"{existing.resolve()} cannot be written: {error.strerror}. Make it writable, and run "
            "the same command again; nothing is lost"
        ) from None


POLICY_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
REWARD_MODEL_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)


def code(script, plugins=()):
    """Digest of workflow/scripts/<script>.py, of the plugins, and of everything they import."""
    path = REPO / "workflow" / "scripts" / f"{script}.py"
    return code_digest(path, SOURCE, code_modules(plugins))


def run_plugins(method, wildcards):
    """Plugins that a run of this method imports: those of its proxy RM's variant."""
    return job_settings.run_plugins(paths.run_at(method, wildcards))


def proxy_plugins(wildcards):
    """Plugins that the training of a proxy RM imports: that of its variant."""
    return job_settings.proxy_plugins(paths.proxy_rm_at(wildcards))


def method_run(wildcards):
    """The run that a path names, of a method that is a function (`Method.job`)."""
    return paths.run_in(wildcards.run_folder)


def method_code(run):
    """Digest of the script of such methods, of the run's own method and of its plugins."""
    home = METHODS[run.method].job.partition(":")[0]
    modules = [*code_modules(job_settings.run_plugins(run)), home]
    path = REPO / "workflow" / "scripts" / "method.py"
    return code_digest(path, SOURCE, tuple(dict.fromkeys(modules)))


@cache
def declared_by(rule, policy_size, proxy_size, checkpoint):
    """What the jobs of a rule declare that these wildcards name."""
    cell = Cell(policy_size=policy_size, proxy_size=proxy_size, checkpoint=checkpoint)
    return declared(study, rule, cell)


def cost_of(rule, wildcards):
    """What one job declares; once for all jobs that declare the same."""
    names = ("policy_size", "proxy_size", "checkpoint")
    named = {name: wildcards.get(name, "") for name in names}
    if "run_folder" in wildcards.keys():
        run = paths.run_in(wildcards.run_folder)
        named |= {"policy_size": run.policy_size, "proxy_size": run.proxy_rm.proxy_size}
    return declared_by(rule, *named.values())


def cost(rule, is_local=False):
    """The resources that a rule asks for, memory and time more with each attempt.

    On a cluster, two Snakemakes of their own start a job's script, and take memory too. Whether a
    cluster runs the jobs is known after the rules are read.
    """

    def mem_mb(wildcards, attempt):
        snakemakes = 0 if is_local or workflow.local_exec else 400
        return attempt * (cost_of(rule, wildcards).memory_mb + snakemakes)

    def runtime(wildcards, attempt):
        return attempt * cost_of(rule, wildcards).run_time

    return {
        "mem_mb": mem_mb,
        "runtime": runtime,
        "gres": lambda wildcards: cost_of(rule, wildcards).compute.gres,
    }


def processes(rule):
    """The processes of each of a rule's jobs, which train together."""
    return lambda wildcards: cost_of(rule, wildcards).compute.num_processes


def launch(rule):
    """What starts the script of each of a rule's jobs: Python, or that in several processes."""
    return lambda wildcards: launcher(cost_of(rule, wildcards).compute)


def kept(name, path):
    """A file as it is where the study keeps it (`keep` of the config), else a temporary one.

    For files that rules name as input: one that a rule finds beside its input would go too early.
    """
    return path if getattr(study.keep, name) else temp(path)


def beside(path, names):
    """Files of one folder."""
    return [f"{path}/{name}" for name in names]


def human_file(name):
    """The jsonl file of demonstrations or comparisons: the user's own, or read from the hub."""
    if study.source.is_fetched:
        return f"<results>/data/hub/{name}.jsonl"
    return getattr(study.data, name)


def start_of(model):
    """What a language model starts from: a tokenizer and random weights, or a checkpoint."""
    published = model.checkpoint_settings("language_model")
    if published is None:
        return "<results>/data/tokenizer/tokenizer.json"
    return f"<results>/checkpoints/{published.slug}/model.safetensors"


def in_results(path):
    """A path of `overopt.study.paths`, as rules write it."""
    return f"<results>/{path}"


def curves_of(runs):
    """The curve of each of these runs."""
    return [in_results(paths.curve(run)) for run in runs]


def curve_files(wildcards):
    """Every curve that is fitted with the others: best-of-n, then the other methods."""
    return curves_of(study.curves())


def deep_curve_files(wildcards):
    """Every curve of large-n best-of-n."""
    return curves_of(study.runs("deep_best_of_n"))


def tilted_curve_files(wildcards):
    """The tilted distribution of every cell that PPO optimizes with a KL penalty."""
    return curves_of(study.tilted_runs())


def listed(files):
    """Files that an input function gives, for a command line that would be too long with them."""
    return FileList(
        lambda: (
            path.replace("<results>", paths.results_folder(study))
            for path in files(None)
        )
    )


def sweep_files(name):
    """Every curve of one sweep, whether the study computes it or not."""
    return curves_of(study.of_sweep(name).all_runs())


def proxy_rm_metrics(wildcards):
    """Validation metrics of every proxy RM of the study."""
    return [
        in_results(f"{paths.proxy_rm_folder(proxy_rm)}/metrics.json")
        for proxy_rm in study.proxy_rms()
    ]


def main_curve_files(wildcards):
    """Best-of-n of the main policy."""
    return curves_of(study.main_best_of_n_runs())


def main_proxy_score_files(wildcards):
    """Scores of the main policy's pool by every proxy RM."""
    return [
        in_results(f"{paths.run_folder(run)}/proxy_scores.parquet")
        for run in study.main_best_of_n_runs()
    ]


LISTS = SimpleNamespace(
    curves=listed(curve_files),
    deep_curves=listed(deep_curve_files),
    tilted_curves=listed(tilted_curve_files),
    proxy_rm_metrics=listed(proxy_rm_metrics),
    main_curves=listed(main_curve_files),
    main_proxy_scores=listed(main_proxy_score_files),
)
