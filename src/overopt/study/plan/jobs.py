"""
The jobs of a study, each with its cost and the jobs it waits for: the DAG, without Snakemake.

Targets of Snakemake (`all`, `curves`) are no jobs. A test compares the number of jobs of each rule
with `snakemake -n`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial

from overopt.config.cells import Run
from overopt.config.methods import job_methods
from overopt.config.model import ModelConfig
from overopt.config.variants import VARIANTS
from overopt.study import paths
from overopt.study.plan.cost import Cell, Cost
from overopt.study.plan.costs import COSTS
from overopt.study.plan.machines import A100, GpuModel
from overopt.study.study import Study

ANY = Cell()


@dataclass(frozen=True)
class PlannedJob:
    """One job: its rule, a name of its own, its cost, the jobs it waits for, and its wildcards."""

    rule: str
    name: str
    cost: Cost
    needs: tuple[str, ...] = ()
    cell: Cell = ANY


JobOf = Callable[..., PlannedJob]


def planned_jobs(study: Study, gpu: GpuModel = A100) -> list[PlannedJob]:
    """Every job of the study, in an order in which they can run."""

    @cache  # jobs that differ by their seed alone cost the same
    def cost_of(rule: str, cell: Cell) -> Cost:
        return COSTS[rule](study, cell, gpu)

    parts = (_data_and_policies, _gold_and_pairs, _proxy_rms, _curves, _analysis)
    job = partial(_job, cost_of)
    return [planned for part in parts for planned in part(study, job)]


def _job(
    cost_of: Callable[[str, Cell], Cost],
    rule: str,
    key: str = "",
    needs: Iterable[str] = (),
    cell: Cell = ANY,
) -> PlannedJob:
    return PlannedJob(rule, _name(rule, key), cost_of(rule, cell), tuple(needs), cell)


def _name(rule: str, key: str = "") -> str:
    """Name of a job: its rule, and the size, checkpoint or path that tells it from others of it."""
    return f"{rule} {key}" if key else rule


def _start(model: ModelConfig) -> list[str]:
    """The job that fetches what a language model starts from."""
    published = model.checkpoint_settings("language_model")
    return [] if published is None else [_name("published_checkpoint", published.slug)]


def _data_and_policies(study: Study, job: JobOf) -> Iterator[PlannedJob]:
    for slug, published in study.checkpoints().items():
        yield job("published_checkpoint", slug, cell=Cell(checkpoint=published.checkpoint))
    fetched = ["hub_data"] if study.source.is_fetched else []
    if fetched:
        yield job("hub_data")
    yield job("demonstrations", needs=fetched)
    for size in study.policy_sizes():
        needs = ["demonstrations", *_start(study.policies[size])]
        yield job("policy", size, needs, Cell(policy_size=size))
    judges = [_name("policy", study.main_policy)] if study.source.is_generated else fetched
    yield job("human_comparisons", needs=["demonstrations", *judges])


def _gold_and_pairs(study: Study, job: JobOf) -> Iterator[PlannedJob]:
    yield job("gold_rm", needs=["human_comparisons", *_gold_start(study)])
    yield job("synthetic_responses", needs=[_name("policy", study.comparison_policy)])
    yield job("synthetic_comparisons", needs=["synthetic_responses", "gold_rm"])


def _gold_start(study: Study) -> list[str]:
    """The job that makes what the gold RM starts from; none where it is the hidden utility."""
    gold, published = study.gold_rm, study.gold_checkpoint
    if published is not None:
        return [_name("published_checkpoint", published.slug)]
    return [] if gold.backbone is None else [_name("policy", gold.backbone)]


def _proxy_rms(study: Study, job: JobOf) -> Iterator[PlannedJob]:
    proxy_rms = study.proxy_rms()
    for size, seed in dict.fromkeys((rm.proxy_size, rm.seed) for rm in proxy_rms):
        needs = ["demonstrations", *_start(study.proxy_sizes[size])]
        yield job("backbone", f"{size} {seed}", needs, Cell(proxy_size=size))
    for rm in proxy_rms:
        needs = ["synthetic_comparisons", _name("backbone", f"{rm.proxy_size} {rm.seed}")]
        num_epochs = rm.num_epochs * VARIANTS[rm.variant].num_models  # one model after the other
        cell = Cell("", rm.proxy_size, rm.num_comparisons, num_epochs)
        yield job("proxy_rm", rm.path, needs, cell)


def _curves(study: Study, job: JobOf) -> Iterator[PlannedJob]:
    for method, pool in (("best_of_n", "pool"), ("deep_best_of_n", "deep_pool")):
        is_deep = pool == "deep_pool"
        for size in dict.fromkeys(run.policy_size for run in study.runs(method)):
            cell = Cell(policy_size=size)
            yield job(pool, size, [_name("policy", size)], cell)
            if not is_deep:
                yield job("pool_gold_scores", size, [_name(pool, size), "gold_rm"], cell)
        for run in study.runs(method):
            gold = "gold_rm" if is_deep else _name("pool_gold_scores", run.policy_size)
            yield _run(job, method, run, [_name(pool, run.policy_size), gold])
    for run in study.tilted_runs():
        yield job("tilted", paths.run_folder(run), [_curve("best_of_n", run)])
    for method in ("ppo", *job_methods()):
        for run in study.runs(method):
            yield _run(job, _rule(run), run, [_name("policy", run.policy_size), "gold_rm"])


def _rule(run: Run) -> str:
    """Rule whose job makes the curve of a run."""
    return "method" if run.method in job_methods() else run.method


def _run(job: JobOf, rule: str, run: Run, needs: list[str]) -> PlannedJob:
    """A job that optimizes against a proxy RM, which it waits for too."""
    proxy_rm = run.proxy_rm
    cell = Cell(run.policy_size, proxy_rm.proxy_size)
    return job(rule, paths.run_folder(run), [*needs, _name("proxy_rm", proxy_rm.path)], cell)


def _curve(rule: str, run: Run) -> str:
    return _name(rule, paths.run_folder(run))


def _analysis(study: Study, job: JobOf) -> Iterator[PlannedJob]:
    main = _name("pool_gold_scores", study.main_policy)
    runs = [*study.all_runs(), *study.tilted_runs()]
    yield job("gold_ceiling", needs=[main])
    if study.source.has_hidden_utility:
        scores = [_curve("best_of_n", run) for run in study.main_best_of_n_runs()]
        yield job("feature_correlations", needs=[main, *scores])
    yield job("fits", needs=[_curve(_rule(run), run) for run in runs])
    for rule in ("forms", "claims", "paper_comparison"):
        yield job(rule, needs=["fits"])
    runs_of_main = [_curve("best_of_n", run) for run in study.main_best_of_n_runs()]
    yield job("compare_methods", needs=[main, "fits", *runs_of_main])
    yield job("figures", needs=["fits", "forms", "gold_ceiling", "paper_comparison"])
    yield job("table_01")
    yield job("table_02", needs=[main])
    yield job("report_run", needs=["claims"])
    yield job("report_tables", needs=["claims", "paper_comparison", "compare_methods"])
