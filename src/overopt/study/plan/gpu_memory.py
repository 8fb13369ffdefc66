"""Memory of one GPU, in bytes, of each kind of job: weights, optimizer, activations, cache.

Counted, not measured: a study that needs nearly all of a GPU should try its largest job first.
"""

from overopt.config.compute import ComputeConfig
from overopt.study.plan.compute import gold_compute, policy_compute, proxy_compute
from overopt.study.plan.machines import A100, GpuModel
from overopt.study.plan.shapes import ModelShape, gold_shape, policy_shape, proxy_shape
from overopt.study.plan.sizes import (
    CUDA_CONTEXT,
    reading_bytes,
    training_bytes,
    weights_bytes,
)
from overopt.study.plan.texts import texts
from overopt.study.study import Study

READING_BATCH = 256
SAMPLING_BATCH = 1024


def policy(study: Study, policy_size: str) -> float:
    """Supervised fine-tuning."""
    batch = texts(study, study.policies[policy_size].batch_size)
    compute = policy_compute(study, policy_size)
    return CUDA_CONTEXT + training_bytes(policy_shape(study, policy_size), compute, batch, True)


def backbone(study: Study, proxy_size: str) -> float:
    """Pre-training of a backbone; none where it is taken as it is."""
    if not study.backbone.num_epochs:
        return 0.0
    batch = texts(study, study.backbone.batch_size)
    compute = proxy_compute(study, proxy_size)
    return CUDA_CONTEXT + training_bytes(proxy_shape(study, proxy_size), compute, batch, True)


def gold_rm(study: Study) -> float:
    """Training of the gold RM."""
    batch = texts(study, 2 * study.gold_rm.batch_size)
    return CUDA_CONTEXT + training_bytes(gold_shape(study), gold_compute(study), batch)


def proxy_rm(study: Study, proxy_size: str) -> float:
    """Training of a proxy RM."""
    batch = texts(study, 2 * study.proxy_rm.batch_size)
    compute = proxy_compute(study, proxy_size)
    return CUDA_CONTEXT + training_bytes(proxy_shape(study, proxy_size), compute, batch)


def gold_scores(study: Study) -> float:
    """Scoring by gold."""
    batch = texts(study, READING_BATCH)
    return CUDA_CONTEXT + reading_bytes(gold_shape(study), gold_compute(study, alone=True), batch)


def proxy_scores(study: Study, proxy_size: str) -> float:
    """Scoring by a proxy RM."""
    batch, compute = texts(study, READING_BATCH), proxy_compute(study, proxy_size, alone=True)
    return CUDA_CONTEXT + reading_bytes(proxy_shape(study, proxy_size), compute, batch)


def sampling(study: Study, policy_size: str, gpu: GpuModel = A100) -> float:
    """Sampling: weights and the cache of a batch, which fills the memory at most."""
    compute = policy_compute(study, policy_size, alone=True)
    return CUDA_CONTEXT + _sampling(study, policy_shape(study, policy_size), compute, gpu)


def ppo(study: Study, policy_size: str, proxy_size: str, gpu: GpuModel = A100) -> float:
    """PPO: the policy in training, its initial copy, the proxy and gold, and the larger of a
    training step and a rollout.
    """
    compute, shape = policy_compute(study, policy_size), policy_shape(study, policy_size)
    config = study.ppo
    batch = texts(study, config.batch_size / config.num_mini_batches)
    training = training_bytes(shape, compute, batch, with_logits=True)
    others = weights_bytes(proxy_shape(study, proxy_size), compute)
    others += weights_bytes(gold_shape(study), compute)
    others += 0.0 if compute.lora_rank else weights_bytes(shape, compute)
    rollout = weights_bytes(shape, compute) + _cache(study, shape, compute, config.batch_size)
    room = max(gpu.memory - CUDA_CONTEXT - others, 0.0)
    return CUDA_CONTEXT + others + max(training, min(rollout, 0.9 * room))


def _sampling(study: Study, shape: ModelShape, compute: ComputeConfig, gpu: GpuModel) -> float:
    cache = _cache(study, shape, compute, SAMPLING_BATCH)
    return min(weights_bytes(shape, compute) + cache, 0.9 * gpu.memory)


def _cache(study: Study, shape: ModelShape, compute: ComputeConfig, number: float) -> float:
    """Keys and values of so many sequences at their full length."""
    width = 2 if compute.precision == "bf16" else 4
    per_token = 2 * width * shape.num_layers * shape.hidden_size
    return number * study.text.context_length * per_token / compute.num_processes
