"""
Seconds of each job of a study: one function a rule, named as it.

Texts are counted as the jobs read and write them. Jobs of analysis, which run no model, take a base
and a time per curve and replicate of the bootstrap.
"""

import math

from overopt.config.data import EmbeddedDataConfig
from overopt.study.plan.compute import gold_compute, policy_compute, proxy_compute
from overopt.study.plan.machines import A100, CORE, GpuModel, Machine, machine
from overopt.study.plan.shapes import (
    ModelShape,
    gold_shape,
    policy_shape,
    proxy_shape,
    shape_of_checkpoint,
)
from overopt.study.plan.sizes import model_bytes
from overopt.study.plan.texts import (
    Texts,
    deep_pool_texts,
    num_demonstrations,
    num_human_comparisons,
    num_synthetic_comparisons,
    pool_texts,
    texts,
)
from overopt.study.study import Study

_STATISTICS_START = 1.0
"""Python, pandas and scipy."""
_TABLE_TEXT = 1.1e-5
"""A comparison in a table that a job reads and does not use."""


def published_checkpoint(study: Study, checkpoint: str) -> float:
    """Fetching, checking and writing a checkpoint, at an assumed 50 MB/s."""
    return CORE.start + model_bytes(shape_of_checkpoint(study, checkpoint)) / 50e6


def hub_data(study: Study) -> float:
    """Fetching and reading human data of the hub; assumed."""
    number = num_demonstrations(study) + num_human_comparisons(study)
    return _STATISTICS_START + 1e-4 * number


def demonstrations(study: Study) -> float:
    """Prompts and demonstrations."""
    return _STATISTICS_START + 3e-5 * num_demonstrations(study)


def human_comparisons(study: Study) -> float:
    """Human comparisons: in the embedded world sampled, written and judged."""
    number = num_human_comparisons(study)
    if not isinstance(study.data, EmbeddedDataConfig):
        return _STATISTICS_START + 1e-4 * number
    sampled = texts(study, 2 * number * study.data.candidates.policy_share)
    shape = policy_shape(study, study.main_policy)
    return CORE.start + 0.6e-4 * number + CORE.sampling(shape, sampled)


def policy(study: Study, policy_size: str, gpu: GpuModel = A100) -> float:
    """Supervised fine-tuning of a policy."""
    config = study.policies[policy_size]
    on = machine(policy_compute(study, policy_size), gpu)
    shape = policy_shape(study, policy_size)
    return _language_model(study, on, shape, config.batch_size, config.num_epochs)


def backbone(study: Study, proxy_size: str, gpu: GpuModel = A100) -> float:
    """Pre-training of a proxy RM's backbone."""
    on, config = machine(proxy_compute(study, proxy_size), gpu), study.backbone
    shape = proxy_shape(study, proxy_size)
    return _language_model(study, on, shape, config.batch_size, config.num_epochs)


def gold_rm(study: Study, gpu: GpuModel = A100) -> float:
    """Training of the gold RM."""
    gold = study.gold_rm
    on = machine(gold_compute(study, alone=gold.is_published), gpu)
    counts = (gold.num_comparisons, gold.num_validation, gold.num_epochs, gold.batch_size)
    return _reward_model(study, on, gold_shape(study), *(count or 0 for count in counts))


def synthetic_responses(study: Study, gpu: GpuModel = A100) -> float:
    """Sampling of the pairs that the gold RM labels."""
    size = study.comparison_policy
    on, pairs = (
        machine(policy_compute(study, size, alone=True), gpu),
        2 * num_synthetic_comparisons(study),
    )
    return _sampling(on, policy_shape(study, size), texts(study, pairs))


def synthetic_comparisons(study: Study, gpu: GpuModel = A100) -> float:
    """Labelling of the pairs by the gold RM."""
    on, pairs = machine(gold_compute(study, alone=True), gpu), 2 * num_synthetic_comparisons(study)
    return _scoring(on, gold_shape(study), texts(study, pairs))


def proxy_rm(
    study: Study, proxy_size: str, num_comparisons: int, num_epochs: int, gpu: GpuModel = A100
) -> float:
    """Training of a proxy RM on so many comparisons."""
    on, shape = machine(proxy_compute(study, proxy_size), gpu), proxy_shape(study, proxy_size)
    num_validation = study.synthetic_comparisons.num_validation
    counts = (num_comparisons, num_validation, num_epochs, study.proxy_rm.batch_size)
    table = _TABLE_TEXT * num_synthetic_comparisons(study)
    return table + _reward_model(study, on, shape, *counts)


def pool(study: Study, policy_size: str, gpu: GpuModel = A100) -> float:
    """Sampling of a policy's pool."""
    on = machine(policy_compute(study, policy_size, alone=True), gpu)
    return _sampling(on, policy_shape(study, policy_size), pool_texts(study))


def pool_gold_scores(study: Study, gpu: GpuModel = A100) -> float:
    """Scores of a pool by the gold RM."""
    on = machine(gold_compute(study, alone=True), gpu)
    return _scoring(on, gold_shape(study), pool_texts(study))


def best_of_n(study: Study, proxy_size: str, gpu: GpuModel = A100) -> float:
    """Scores of a pool by a proxy RM, and the estimate for every n."""
    on = machine(proxy_compute(study, proxy_size, alone=True), gpu)
    return _scoring(on, proxy_shape(study, proxy_size), pool_texts(study))


def tilted(study: Study) -> float:
    """The tilted distribution of a cell, from scores that lie there."""
    return 0.8 + 2e-6 * pool_texts(study).number


def deep_pool(study: Study, policy_size: str, gpu: GpuModel = A100) -> float:
    """Sampling of a policy's deep pool."""
    on = machine(policy_compute(study, policy_size, alone=True), gpu)
    return _sampling(on, policy_shape(study, policy_size), deep_pool_texts(study))


def deep_best_of_n(study: Study, proxy_size: str, gpu: GpuModel = A100) -> float:
    """Scores of a deep pool by a proxy RM, of its first responses and the best also by gold."""
    deep, on = study.deep_best_of_n, machine(proxy_compute(study, proxy_size, alone=True), gpu)
    by_gold = texts(study, deep.num_prompts * deep.num_scored_responses)
    proxy = _scoring(on, proxy_shape(study, proxy_size), deep_pool_texts(study))
    return proxy + on.reading(gold_shape(study), by_gold)


def ppo(study: Study, policy_size: str, proxy_size: str, gpu: GpuModel = A100) -> float:
    """PPO to its last iteration; runs that reach `stop_kl` before take less."""
    config, on = study.ppo, machine(policy_compute(study, policy_size), gpu)
    shape, proxy = policy_shape(study, policy_size), proxy_shape(study, proxy_size)
    episodes = texts(study, config.batch_size)
    logits = episodes.num_response_tokens
    rollout = on.sampling(shape, episodes) + on.reading(proxy, episodes)
    rollout += 2 * on.reading(shape, episodes, logits)  # the policy, and the initial one for the KL
    num_passes = config.num_ppo_epochs
    num_steps = num_passes * config.num_mini_batches
    update = on.training(shape, episodes.times(num_passes), num_steps, num_passes * logits)
    iterations = config.num_iterations * (rollout + update)
    return on.start + iterations + num_evaluations(study) * _evaluation(study, on, shape, proxy)


def num_evaluations(study: Study) -> float:
    """Of a PPO run: on the grid of iterations, and where sqrt(KL) moves."""
    config = study.ppo
    by_kl = math.sqrt(config.stop_kl) / config.evaluate_at_sqrt_kl
    return config.num_iterations / config.evaluate_every + by_kl


def gold_ceiling(study: Study) -> float:
    """Best-of-n by gold itself."""
    return 0.9


def feature_correlations(study: Study) -> float:
    """Of every proxy RM with the hidden utility's features."""
    return 0.9 + 1.7e-7 * pool_texts(study).number * len(study.main_best_of_n_runs())


def fits(study: Study) -> float:
    """Fits with their bootstrap."""
    return _STATISTICS_START + 1.4e-5 * num_replicates(study)


def forms(study: Study) -> float:
    """Rival forms of the law with their bootstrap."""
    return _STATISTICS_START + 6e-5 * num_replicates(study)


def claims(study: Study) -> float:
    """Claims on the bootstrap's versions."""
    return 2.5 + 5e-5 * num_replicates(study)


def paper_comparison(study: Study) -> float:
    """This run beside the paper's numbers."""
    return _STATISTICS_START + 5e-6 * num_replicates(study)


def figures(study: Study) -> float:
    """All figures."""
    return 9.0 + 2.5e-5 * num_replicates(study)


def page(study: Study) -> float:
    """A table or a page of the report."""
    return 0.5


def num_replicates(study: Study) -> int:
    """Curves, times the replicates of the bootstrap."""
    num_curves = len(study.curves())
    return num_curves * study.analysis.num_bootstrap


def _evaluation(study: Study, on: Machine, shape: ModelShape, proxy: ModelShape) -> float:
    number = study.best_of_n.num_prompts * study.ppo.num_evaluation_responses
    measured = texts(study, number)
    both = 2 * on.reading(shape, measured, measured.num_response_tokens)
    scores = on.reading(proxy, measured) + on.reading(gold_shape(study), measured)
    return on.sampling(shape, measured) + both + scores


def _language_model(
    study: Study, on: Machine, shape: ModelShape, batch_size: int, num_epochs: int
) -> float:
    number = num_demonstrations(study)
    used = texts(study, number * num_epochs)
    num_steps = used.number / batch_size
    training = on.training(shape, used, num_steps, used.num_response_tokens)
    return on.start + on.text * number + training


def _reward_model(
    study: Study,
    on: Machine,
    shape: ModelShape,
    num_comparisons: int,
    num_validation: int,
    num_epochs: int,
    batch_size: int,
) -> float:
    """Small data take smaller batches, as `train_on_comparisons` does."""
    batch_size = min(batch_size, max(8, num_comparisons // 16))
    num_steps = num_comparisons * num_epochs / batch_size
    training = on.training(shape, texts(study, 2 * num_comparisons * num_epochs), num_steps)
    validation = on.reading(shape, texts(study, 2 * num_validation))
    return on.start + on.text * (num_comparisons + num_validation) + training + validation


def _sampling(on: Machine, shape: ModelShape, responses: Texts) -> float:
    return on.start + on.sampling(shape, responses)


def _scoring(on: Machine, shape: ModelShape, scored: Texts) -> float:
    return on.start + on.text * scored.number + on.reading(shape, scored)
