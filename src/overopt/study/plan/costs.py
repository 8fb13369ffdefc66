"""
What a job costs: one function a rule, in the order of the workflow.

`COSTS[rule](study, cell, gpu)` gives seconds, memory, GPU and disk of the job that the wildcards in
`cell` name, on `gpu` where it asks for one. The rules declare them (`overopt.study.plan.declared`),
and `overopt plan` adds them up. Texts are counted as the jobs read and write them; jobs of
analysis, which run no model, take a base and a time per curve and replicate of the bootstrap.
"""

from collections.abc import Callable
from dataclasses import replace

from overopt.analysis.sweeps import runs_over
from overopt.config.compute import ComputeConfig
from overopt.config.data import EmbeddedDataConfig
from overopt.study.plan import host_memory
from overopt.study.plan.compute import (
    gold_scoring_compute,
    proxy_scoring_compute,
    sampling_compute,
)
from overopt.study.plan.cost import Cell, Cost, Disk
from overopt.study.plan.job_kinds import (
    language_model,
    reward_model,
    sampling,
    scoring,
    scoring_bytes,
)
from overopt.study.plan.machines import CORE, GpuModel, machine
from overopt.study.plan.ppo_cost import ppo
from overopt.study.plan.shapes import (
    ModelShape,
    gold_shape,
    largest_proxy,
    policy_shape,
    proxy_shape,
    shape_of_checkpoint,
)
from overopt.study.plan.sizes import (
    BYTES_OF_TEXT,
    FP32,
    POOL_TOKEN_ON_DISK,
    SCORE_ON_DISK,
    TOKEN_ON_DISK,
    curve_bytes,
    model_bytes,
)
from overopt.study.plan.texts import (
    deep_pool_texts,
    num_curves,
    num_demonstrations,
    num_human_comparisons,
    num_replicates,
    num_synthetic_comparisons,
    pool_texts,
    texts,
)
from overopt.study.study import Study

CostOfJob = Callable[[Study, Cell, GpuModel], Cost]

_START = 1.0
"""Seconds of Python, pandas and scipy."""
_TABLE_TEXT = 1.1e-5
"""Seconds of a comparison in a table that a job reads and does not use."""
_DOWNLOAD = 50e6
"""Bytes a second from the hub; assumed."""


# Human data.


def published_checkpoint(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Fetching a checkpoint, checking it, and writing it as the project's own."""
    shape = shape_of_checkpoint(study, cell.checkpoint)
    size = model_bytes(shape)
    base = host_memory.MODELS + host_memory.LIBRARY
    return Cost(
        seconds=CORE.start + size / _DOWNLOAD,
        memory_mb=host_memory.rounded(base + 1e-6 * FP32 * shape.num_parameters),
        disk=Disk.of(size, is_kept=study.keep.checkpoints),
    )


def hub_data(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Fetching human data of the hub, read row by row and held as text; seconds are assumed."""
    demonstrations, comparisons = num_demonstrations(study), num_human_comparisons(study)
    return Cost(
        seconds=_START + 1e-4 * (demonstrations + comparisons),
        memory_mb=host_memory.of_files(study, 350, 1.2e-6),
        disk=_tables(study, 2 * (demonstrations + 2 * comparisons)),
    )


def demonstrations(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Prompts and demonstrations, of the embedded world or from files."""
    number = num_demonstrations(study)
    written, read = host_memory.rounded(200 + 0.5e-3 * number), _reading_files(study)
    return Cost(
        seconds=_START + 3e-5 * number,
        memory_mb=written if study.source.is_generated else read,
        disk=_tables(study, number),
    )


def human_comparisons(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Human comparisons: in the embedded world sampled, written and judged; else read."""
    number = num_human_comparisons(study)
    disk = _tables(study, 2 * number)
    if not study.source.is_generated:
        return Cost(_START + 1e-4 * number, _reading_files(study), disk)
    share = study.data_of(EmbeddedDataConfig).candidates.policy_share
    shape = policy_shape(study, study.main_policy)
    # Candidates are texts; only what the policy answers is token ids too.
    held = share * host_memory.pairs(study, number)
    compute, working = (
        sampling_compute(study, study.main_policy),
        host_memory.sampling(study, shape),
    )
    seconds = CORE.sampling(shape, texts(study, 2 * number * share))
    return Cost(
        seconds=CORE.start + 0.6e-4 * number + seconds,
        memory_mb=host_memory.of_models(study, compute, held, working),
        disk=disk,
    )


# Models.


def policy(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Supervised fine-tuning of a policy."""
    config, compute = study.policies[cell.policy_size], study.policy_compute(cell.policy_size)
    return language_model(
        study,
        policy_shape(study, cell.policy_size),
        compute,
        gpu,
        batch_size=config.batch_size,
        num_epochs=config.num_epochs,
    )


def backbone(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Pre-training of a backbone, which the proxy RMs of its size and seed read, nothing else."""
    return language_model(
        study,
        proxy_shape(study, cell.proxy_size),
        study.proxy_compute(cell.proxy_size),
        gpu,
        batch_size=study.backbone.batch_size,
        num_epochs=study.backbone.num_epochs,
        is_kept=study.keep.backbones,
    )


def gold_rm(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Training of the gold RM; of a published one, or of the hidden utility, its measurement."""
    gold, shape = study.gold_rm, gold_shape(study)
    if gold.num_comparisons is None:
        compute, number = gold_scoring_compute(study), gold.num_validation
        held, scored = host_memory.pairs(study, number), texts(study, 2 * number)
        disk = Disk.of(model_bytes(shape))
        return scoring(study, shape, compute, gpu, scored, held=held, disk=disk)
    return reward_model(
        study,
        shape,
        study.gold_rm_compute(),
        gpu,
        num_comparisons=gold.num_comparisons,
        num_validation=gold.num_validation,
        num_epochs=gold.num_epochs,
        batch_size=gold.batch_size,
        in_table=num_human_comparisons(study),
    )


def synthetic_responses(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Sampling of the pairs that the gold RM labels."""
    number = num_synthetic_comparisons(study)
    pairs = texts(study, 2 * number)
    held, disk = host_memory.pairs(study, number), Disk.of(TOKEN_ON_DISK * pairs.num_tokens)
    return sampling(study, study.comparison_policy, gpu, pairs, held=held, disk=disk)


def synthetic_comparisons(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Labelling of the pairs by the gold RM."""
    number = num_synthetic_comparisons(study)
    pairs = texts(study, 2 * number)
    disk = Disk.of(TOKEN_ON_DISK * pairs.num_tokens + SCORE_ON_DISK * pairs.number)
    held = host_memory.pairs(study, number)
    shape, compute = gold_shape(study), gold_scoring_compute(study)
    return scoring(study, shape, compute, gpu, pairs, held=held, disk=disk)


def proxy_rm(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Training of a proxy RM."""
    in_table = num_synthetic_comparisons(study)
    cost = reward_model(
        study,
        proxy_shape(study, cell.proxy_size),
        study.proxy_compute(cell.proxy_size),
        gpu,
        num_comparisons=cell.num_comparisons,
        num_validation=study.synthetic_comparisons.num_validation,
        num_epochs=cell.num_epochs,
        batch_size=study.proxy_rm.batch_size,
        in_table=in_table,
        is_kept=study.keep.proxy_rms,
    )
    return replace(cost, seconds=cost.seconds + _TABLE_TEXT * in_table)


# Curves.


def pool(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Sampling of a policy's pool."""
    drawn, held = pool_texts(study), host_memory.pool(study)
    disk = Disk.of(TOKEN_ON_DISK * drawn.num_response_tokens, is_kept=study.keep.pools)
    return sampling(study, cell.policy_size, gpu, drawn, held=held, disk=disk)


def pool_gold_scores(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Scores of a pool by the gold RM."""
    disk, shape = Disk.of(_score_bytes(study)), gold_shape(study)
    return _pool_scores(study, shape, gold_scoring_compute(study), gpu, disk)


def best_of_n(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Scores of a pool by a proxy RM, and the estimate for every n."""
    disk = Disk.of(_score_bytes(study) + _curve_bytes(study))
    shape = proxy_shape(study, cell.proxy_size)
    return _pool_scores(study, shape, proxy_scoring_compute(study, cell.proxy_size), gpu, disk)


def tilted(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """The tilted distribution of a cell, from scores that lie there."""
    seconds = 0.8 + 2e-6 * pool_texts(study).number
    memory_mb = host_memory.of_pool_table(study, 190, 0.4e-3)
    return Cost(seconds, memory_mb, Disk.of(_curve_bytes(study)))


def deep_pool(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Sampling of a policy's pool for large n, stored at the full length of every response."""
    drawn, held = deep_pool_texts(study), host_memory.deep_pool(study)
    per_response = POOL_TOKEN_ON_DISK * drawn.longest_response + 6
    disk = Disk.of(drawn.number * per_response, is_kept=study.keep.pools)
    return sampling(study, cell.policy_size, gpu, drawn, held=held, disk=disk)


def deep_best_of_n(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Scores of a pool for large n by a proxy RM, of its first responses and the best also by gold.

    MB of the host with the largest proxy: every job declares the same.
    """
    deep, held = study.deep_best_of_n, host_memory.deep_pool(study)
    compute, disk = proxy_scoring_compute(study, cell.proxy_size), Disk.of(_curve_bytes(study))
    shape, gold = proxy_shape(study, cell.proxy_size), gold_shape(study)
    cost = scoring(study, shape, compute, gpu, deep_pool_texts(study), held=held, disk=disk)
    by_gold = texts(study, deep.num_prompts * deep.num_scored_responses)
    working, models = host_memory.scoring(study, gold), (gold, largest_proxy(study))
    return replace(
        cost,
        seconds=cost.seconds + machine(compute, gpu).reading(gold, by_gold),
        memory_mb=host_memory.of_models(study, compute, held, working, *models),
        gpu_bytes=cost.gpu_bytes + scoring_bytes(study, gold),
    )


# Analysis: no model, one thread.


def gold_ceiling(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Best-of-n by gold itself."""
    return Cost(0.9, 250)


def feature_correlations(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Every reward model's correlations with the hidden utility's features."""
    num_scores = pool_texts(study).number * len(study.main_best_of_n_runs())
    return Cost(0.9 + 1.7e-7 * num_scores, host_memory.of_pool_table(study, 210, 1e-3))


def fits(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Fits with their bootstrap."""
    seconds = _START + 1.4e-5 * num_replicates(study)
    curves = num_curves(study) * _curve_bytes(study)
    return Cost(seconds, _bootstrap_memory(study), Disk.of(3 * curves))


def forms(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Rival forms of the law with their bootstrap."""
    seconds = _START + 6e-5 * num_replicates(study)
    return Cost(seconds, host_memory.of_replicates(study, 262, 1.6e-3))


def claims(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Claims on the bootstrap's versions."""
    return Cost(2.5 + 5e-5 * num_replicates(study), _bootstrap_memory(study))


def paper_comparison(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """This run beside the paper's numbers."""
    return Cost(_START + 5e-6 * num_replicates(study), _bootstrap_memory(study))


def compare_methods(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Rules and ensembles on the pool, with their bootstrap; a weighting of it costs most."""
    proxies = runs_over(study.main_best_of_n_runs(), main_policy=study.main_policy)
    num_scores = pool_texts(study).number * len(proxies)
    memory_mb = host_memory.of_pool_table(study, 225, 2.5e-3)
    return Cost(1.7 + 1.6e-5 * num_scores, memory_mb)


def figures(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """Cost of drawing all figures."""
    memory_mb = host_memory.rounded(350 + 0.75 * num_curves(study))
    return Cost(9.0 + 2.5e-5 * num_replicates(study), memory_mb, Disk.of(8e6))


def table_01(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """The table of hyperparameters."""
    return Cost(0.5, 145)


def table_02(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """The table of responses to one prompt."""
    return Cost(0.5, host_memory.of_pool_table(study, 160, 1e-3))


def page(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """A page of the report."""
    return Cost(0.5, 150)


def _reading_files(study: Study) -> int:
    return host_memory.of_files(study, 230, 7e-6)


def _bootstrap_memory(study: Study) -> int:
    return host_memory.of_replicates(study, 290, 1.4e-3)


def _tables(study: Study, number: float) -> Disk:
    """Disk of tables of so many texts."""
    return Disk.of(number * texts(study, 1).length * BYTES_OF_TEXT)


def _curve_bytes(study: Study) -> float:
    return curve_bytes(study.best_of_n.num_prompts)


def _score_bytes(study: Study) -> float:
    return SCORE_ON_DISK * pool_texts(study).number


def _pool_scores(
    study: Study, shape: ModelShape, compute: ComputeConfig, gpu: GpuModel, disk: Disk
) -> Cost:
    held = host_memory.pool(study)
    return scoring(study, shape, compute, gpu, pool_texts(study), held=held, disk=disk)


COSTS: dict[str, CostOfJob] = {
    "published_checkpoint": published_checkpoint,
    "hub_data": hub_data,
    "demonstrations": demonstrations,
    "policy": policy,
    "human_comparisons": human_comparisons,
    "gold_rm": gold_rm,
    "synthetic_responses": synthetic_responses,
    "synthetic_comparisons": synthetic_comparisons,
    "backbone": backbone,
    "proxy_rm": proxy_rm,
    "pool": pool,
    "pool_gold_scores": pool_gold_scores,
    "best_of_n": best_of_n,
    "tilted": tilted,
    "deep_pool": deep_pool,
    "deep_best_of_n": deep_best_of_n,
    "ppo": ppo,
    "method": ppo,  # of a plugin: nobody knows what it needs
    "gold_ceiling": gold_ceiling,
    "feature_correlations": feature_correlations,
    "fits": fits,
    "forms": forms,
    "claims": claims,
    "paper_comparison": paper_comparison,
    "compare_methods": compare_methods,
    "figures": figures,
    "table_01": table_01,
    "table_02": table_02,
    "report_run": page,
    "report_tables": page,
}
