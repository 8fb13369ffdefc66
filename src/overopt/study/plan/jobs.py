"""
The jobs of a study, each with its cost and the jobs it waits for: the DAG, without Snakemake.

Targets of Snakemake (`all`, `curves`) are no jobs. A test compares the number of jobs of each rule
with `snakemake -n`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from overopt.config.cells import ProxyRM
from overopt.config.compute import ComputeConfig
from overopt.config.hub import HubDataConfig
from overopt.config.model import ModelConfig
from overopt.study import paths
from overopt.study.plan import gpu_memory, job_disk, job_seconds, memory
from overopt.study.plan.compute import gold_compute, num_gpus, policy_compute, proxy_compute
from overopt.study.plan.job_disk import Disk
from overopt.study.plan.machines import A100, GpuModel
from overopt.study.study import Study

PAGES = ("table_01", "table_02", "report_run", "report_tables")


@dataclass(frozen=True)
class Cost:
    """What one job takes.

    Attributes
    ----------
    seconds : from start to end.
    num_gpus, gpu_memory : GPUs, and the memory of each in bytes.
    memory_mb : of the host, as the rule declares it.
    disk : what it writes.
    """

    seconds: float
    num_gpus: int
    gpu_memory: float
    memory_mb: int
    disk: Disk


@dataclass(frozen=True)
class PlannedJob:
    """One job: its rule, a name of its own, its cost, and the names of the jobs it waits for."""

    rule: str
    name: str
    cost: Cost
    needs: tuple[str, ...] = ()


def planned_jobs(study: Study, gpu: GpuModel = A100) -> list[PlannedJob]:
    """Every job of the study, in an order in which they can run."""
    costs = _Costs(study, gpu)
    return [
        *_data_and_policies(study, costs),
        *_gold_and_pairs(study, costs),
        *_proxies(study, costs),
        *_curves(study, costs),
        *_analysis(study, costs),
    ]


class _Costs:
    """Cost of a job of a rule; jobs that differ by their seed alone share one."""

    def __init__(self, study: Study, gpu: GpuModel) -> None:
        self._study, self.gpu = study, gpu
        self.of_best_of_n = cache(self._best_of_n)
        self.of_proxy_rm = cache(self._proxy_rm)
        self.of_ppo = cache(self._ppo)
        self.of_deep = cache(self._deep)
        self.of_backbone = cache(self._backbone)

    def statistics(self, rule: str, seconds: float, memory_mb: int) -> Cost:
        """Of a job without a model."""
        return Cost(seconds, 0, 0.0, memory_mb, job_disk.of_statistics(self._study, rule))

    def model(
        self, seconds: float, compute: ComputeConfig, gpu_bytes: float, memory_mb: int, disk: Disk
    ) -> Cost:
        """Of a job with models."""
        needed = gpu_bytes if compute.gpu else 0.0
        return Cost(seconds, num_gpus(compute), needed, memory_mb, disk)

    def policy(self, size: str) -> Cost:
        """SFT."""
        study = self._study
        return self.model(
            job_seconds.policy(study, size, self.gpu),
            policy_compute(study, size),
            gpu_memory.policy(study, size),
            memory.policy(study, size),
            job_disk.policy(study, size),
        )

    def pool(self, size: str, is_deep: bool) -> Cost:
        """A pool of responses."""
        study = self._study
        seconds = job_seconds.deep_pool if is_deep else job_seconds.pool
        host = memory.deep_pool if is_deep else memory.pool
        disk = job_disk.deep_pool if is_deep else job_disk.pool
        return self.model(
            seconds(study, size, self.gpu),
            policy_compute(study, size, alone=True),
            gpu_memory.sampling(study, size, self.gpu),
            host(study, size),
            disk(study),
        )

    def gold(self, seconds: float, memory_mb: int, disk: Disk, is_training: bool = False) -> Cost:
        """A job of the gold RM."""
        study = self._study
        needed = gpu_memory.gold_rm if is_training else gpu_memory.gold_scores
        compute = gold_compute(study) if is_training else gold_compute(study, alone=True)
        return self.model(seconds, compute, needed(study), memory_mb, disk)

    def _backbone(self, size: str) -> Cost:
        study = self._study
        return self.model(
            job_seconds.backbone(study, size, self.gpu),
            proxy_compute(study, size),
            gpu_memory.backbone(study, size),
            memory.backbone(study, size),
            job_disk.backbone(study, size),
        )

    def _proxy_rm(self, size: str, num_comparisons: int, num_epochs: int) -> Cost:
        study = self._study
        return self.model(
            job_seconds.proxy_rm(study, size, num_comparisons, num_epochs, self.gpu),
            proxy_compute(study, size),
            gpu_memory.proxy_rm(study, size),
            memory.proxy_rm(study, size),
            job_disk.proxy_rm(study, size),
        )

    def _best_of_n(self, size: str) -> Cost:
        study = self._study
        return self.model(
            job_seconds.best_of_n(study, size, self.gpu),
            proxy_compute(study, size, alone=True),
            gpu_memory.proxy_scores(study, size),
            memory.best_of_n(study, size),
            job_disk.best_of_n(study),
        )

    def _deep(self, size: str) -> Cost:
        study = self._study
        return self.model(
            job_seconds.deep_best_of_n(study, size, self.gpu),
            proxy_compute(study, size, alone=True),
            gpu_memory.proxy_scores(study, size) + gpu_memory.gold_scores(study),
            memory.deep_best_of_n(study),
            job_disk.deep_best_of_n(study),
        )

    def _ppo(self, policy_size: str, proxy_size: str) -> Cost:
        study = self._study
        return self.model(
            job_seconds.ppo(study, policy_size, proxy_size, self.gpu),
            policy_compute(study, policy_size),
            gpu_memory.ppo(study, policy_size, proxy_size, self.gpu),
            memory.ppo(study, policy_size),
            job_disk.ppo(study, policy_size),
        )


def _data_and_policies(study: Study, costs: _Costs) -> Iterator[PlannedJob]:
    for slug, published in study.checkpoints().items():
        seconds = job_seconds.published_checkpoint(study, published.checkpoint)
        disk = job_disk.published_checkpoint(study, published)
        cost = Cost(seconds, 0, 0.0, memory.published_checkpoint(study, published), disk)
        yield PlannedJob("published_checkpoint", slug, cost)
    fetched = ("hub_data",) if isinstance(study.data, HubDataConfig) else ()
    if fetched:
        hub = costs.statistics("hub_data", job_seconds.hub_data(study), memory.hub_data(study))
        yield PlannedJob("hub_data", "hub_data", hub)
    written = costs.statistics(
        "demonstrations", job_seconds.demonstrations(study), memory.demonstrations(study)
    )
    yield PlannedJob("demonstrations", "demonstrations", written, fetched)
    for size in study.policy_sizes():
        needs = ("demonstrations", *_start(study.policies[size]))
        yield PlannedJob("policy", _policy(size), costs.policy(size), needs)
    judged = costs.statistics(
        "human_comparisons", job_seconds.human_comparisons(study), memory.human_comparisons(study)
    )
    needs = ("demonstrations", *((_policy(study.main_policy),) if study.is_embedded else fetched))
    yield PlannedJob("human_comparisons", "human_comparisons", judged, needs)


def _start(model: ModelConfig) -> tuple[str, ...]:
    """The job that fetches what a language model starts from."""
    published = model.checkpoint_settings("language_model")
    return () if published is None else (published.slug,)


def _gold_and_pairs(study: Study, costs: _Costs) -> Iterator[PlannedJob]:
    gpu = costs.gpu
    published = study.gold_checkpoint
    trained = costs.gold(
        job_seconds.gold_rm(study, gpu),
        memory.gold_rm(study),
        job_disk.gold_rm(study),
        is_training=published is None,
    )
    start = _policy(str(study.gold_rm.backbone)) if published is None else published.slug
    needs = ("human_comparisons", start)
    yield PlannedJob("gold_rm", "gold_rm", trained, needs)
    size = study.comparison_policy
    sampled = costs.model(
        job_seconds.synthetic_responses(study, gpu),
        policy_compute(study, size, alone=True),
        gpu_memory.sampling(study, size, gpu),
        memory.synthetic_responses(study),
        job_disk.synthetic_responses(study),
    )
    yield PlannedJob("synthetic_responses", "synthetic_responses", sampled, (_policy(size),))
    labelled = costs.gold(
        job_seconds.synthetic_comparisons(study, gpu),
        memory.synthetic_comparisons(study),
        job_disk.synthetic_comparisons(study),
    )
    needs = ("synthetic_responses", "gold_rm")
    yield PlannedJob("synthetic_comparisons", "synthetic_comparisons", labelled, needs)


def _proxies(study: Study, costs: _Costs) -> Iterator[PlannedJob]:
    proxy_rms = study.proxy_rms()
    for size, seed in dict.fromkeys((rm.proxy_size, rm.seed) for rm in proxy_rms):
        name = f"backbone {size} {seed}"
        needs = ("demonstrations", *_start(study.proxy_sizes[size]))
        yield PlannedJob("backbone", name, costs.of_backbone(size), needs)
    for rm in proxy_rms:
        cost = costs.of_proxy_rm(rm.proxy_size, rm.num_comparisons, rm.num_epochs)
        needs = ("synthetic_comparisons", f"backbone {rm.proxy_size} {rm.seed}")
        yield PlannedJob("proxy_rm", _proxy(rm), cost, needs)


def _curves(study: Study, costs: _Costs) -> Iterator[PlannedJob]:
    gpu = costs.gpu
    best_of_n, deep = study.runs("best_of_n"), study.runs("deep_best_of_n")
    for size in dict.fromkeys(run.policy_size for run in best_of_n):
        pool = f"pool {size}"
        yield PlannedJob("pool", pool, costs.pool(size, is_deep=False), (_policy(size),))
        scored = costs.gold(
            job_seconds.pool_gold_scores(study, gpu),
            memory.pool_gold_scores(study),
            job_disk.scores(study),
        )
        yield PlannedJob("pool_gold_scores", f"gold {size}", scored, (pool, "gold_rm"))
    for run in best_of_n:
        needs = (f"gold {run.policy_size}", _proxy(run.proxy_rm))
        cost = costs.of_best_of_n(run.proxy_rm.proxy_size)
        yield PlannedJob("best_of_n", paths.curve(run), cost, needs)
    tilted = costs.statistics(
        "tilted", job_seconds.tilted(study), memory.of_pool_table(study, 190, 0.4e-3)
    )
    for run in study.tilted_runs():
        pooled = f"{paths.run_folder(run)}/curve.parquet"
        yield PlannedJob("tilted", paths.curve(run), tilted, (pooled,))
    for size in dict.fromkeys(run.policy_size for run in deep):
        name = f"deep pool {size}"
        yield PlannedJob("deep_pool", name, costs.pool(size, is_deep=True), (_policy(size),))
    for run in deep:
        needs = (f"deep pool {run.policy_size}", "gold_rm", _proxy(run.proxy_rm))
        cost = costs.of_deep(run.proxy_rm.proxy_size)
        yield PlannedJob("deep_best_of_n", paths.curve(run), cost, needs)
    for run in study.runs("ppo"):
        needs = (_policy(run.policy_size), "gold_rm", _proxy(run.proxy_rm))
        cost = costs.of_ppo(run.policy_size, run.proxy_rm.proxy_size)
        yield PlannedJob("ppo", paths.curve(run), cost, needs)


def _analysis(study: Study, costs: _Costs) -> Iterator[PlannedJob]:
    def job(
        rule: str, seconds: Callable[[Study], float], memory_mb: int, needs: Iterable[str]
    ) -> PlannedJob:
        cost = costs.statistics(rule, seconds(study), memory_mb)
        return PlannedJob(rule, rule, cost, tuple(needs))

    main = f"gold {study.main_policy}"
    curves = [paths.curve(run) for run in study.curves()]
    deep = [paths.curve(run) for run in study.runs("deep_best_of_n")]
    tilted = [paths.curve(run) for run in study.tilted_runs()]
    statistics = memory.fits(study)
    yield job("gold_ceiling", job_seconds.gold_ceiling, 250, [main])
    if study.is_embedded:
        scores = [paths.curve(run) for run in study.main_best_of_n_runs()]
        peak = memory.of_pool_table(study, 210, 1e-3)
        needs = [main, *scores]
        yield job("feature_correlations", job_seconds.feature_correlations, peak, needs)
    yield job("fits", job_seconds.fits, statistics, [*curves, *deep, *tilted])
    yield job("forms", job_seconds.forms, memory.forms(study), ["fits"])
    yield job("claims", job_seconds.claims, statistics, ["fits"])
    yield job("paper_comparison", job_seconds.paper_comparison, statistics, ["fits"])
    needs = ["fits", "forms", "gold_ceiling", "paper_comparison"]
    yield job("figures", job_seconds.figures, memory.figures(study), needs)
    after = {"table_01": [], "table_02": [main]}
    for rule in PAGES:
        needs = after.get(rule, ["claims", "paper_comparison"])
        yield job(rule, job_seconds.page, 150, needs)


def _policy(size: str) -> str:
    return f"policy {size}"


def _proxy(rm: ProxyRM) -> str:
    return f"proxy {rm.path}"
