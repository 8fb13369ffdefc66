"""What a PPO run costs: rollouts, updates, and evaluations of the policy on held-out prompts."""

import math

from overopt.config.compute import ComputeConfig
from overopt.config.rl import MICRO_BATCH_SIZE
from overopt.study.plan import host_memory
from overopt.study.plan.compute import in_fp32
from overopt.study.plan.cost import Cell, Cost, Disk
from overopt.study.plan.machines import GpuModel, machine
from overopt.study.plan.shapes import (
    ModelShape,
    gold_shape,
    largest_proxy,
    policy_shape,
    proxy_shape,
)
from overopt.study.plan.sizes import (
    CUDA_CONTEXT,
    curve_bytes,
    model_bytes,
    sampling_bytes,
    state_bytes,
    training_bytes,
)
from overopt.study.plan.texts import texts
from overopt.study.study import Study


def ppo(study: Study, cell: Cell, gpu: GpuModel) -> Cost:
    """PPO to its last iteration; runs that reach `stop_kl` before take less."""
    compute = study.policy_compute(cell.policy_size)
    shape, proxy = policy_shape(study, cell.policy_size), proxy_shape(study, cell.proxy_size)
    return Cost(
        seconds=_seconds(study, compute, shape, proxy, gpu),
        memory_mb=_host_memory(study, compute, shape),
        disk=_disk(study, compute, shape),
        compute=compute,
        gpu_bytes=_gpu_bytes(study, compute, shape, proxy),
    )


def num_evaluations(study: Study) -> float:
    """Evaluations of a run: on the grid of iterations, and where sqrt(KL) moves."""
    config = study.ppo
    by_kl = math.sqrt(config.stop_kl) / config.evaluate_at_sqrt_kl
    return config.num_iterations / config.evaluate_every + by_kl


def _seconds(
    study: Study, compute: ComputeConfig, shape: ModelShape, proxy: ModelShape, gpu: GpuModel
) -> float:
    config, on, scorer = study.ppo, machine(compute, gpu), machine(in_fp32(compute), gpu)
    episodes = texts(study, config.batch_size)
    logits = episodes.num_response_tokens
    rollout = on.sampling(shape, episodes) + scorer.reading(proxy, episodes)
    rollout += 2 * on.reading(shape, episodes, logits)  # the policy, and the initial one for the KL
    num_epochs = config.num_ppo_epochs
    num_steps = num_epochs * config.num_mini_batches
    update = on.training(shape, episodes.times(num_epochs), num_steps, num_epochs * logits)
    measured = texts(study, study.best_of_n.num_prompts * config.num_evaluation_responses)
    evaluation = on.sampling(shape, measured)
    evaluation += 2 * on.reading(shape, measured, measured.num_response_tokens)
    evaluation += scorer.reading(proxy, measured) + scorer.reading(gold_shape(study), measured)
    iterations = config.num_iterations * (rollout + update)
    return on.start + iterations + num_evaluations(study) * evaluation


def _host_memory(study: Study, compute: ComputeConfig, shape: ModelShape) -> int:
    """MB with the largest proxy: every run of a policy declares the same."""
    episodes = math.ceil(study.ppo.batch_size / study.ppo.num_mini_batches)
    evaluated = study.best_of_n.num_prompts * study.ppo.num_evaluation_responses
    if not compute.gpu:  # read in micro-batches
        episodes, evaluated = min(episodes, MICRO_BATCH_SIZE), min(evaluated, MICRO_BATCH_SIZE)
    working = host_memory.training(study, compute, shape, episodes)
    working += host_memory.distributions(study, shape, max(episodes, evaluated))
    # Beside the policy: its initial copy, the proxy and gold.
    models = (shape, shape, largest_proxy(study), gold_shape(study))
    return host_memory.of_models(study, compute, 50, working, *models)


def _gpu_bytes(study: Study, compute: ComputeConfig, shape: ModelShape, proxy: ModelShape) -> float:
    """The initial policy, the proxy and gold, and the larger of a training step and a rollout.

    Under LoRA too the initial policy is a model of its own.
    """
    batch = texts(study, study.ppo.batch_size / study.ppo.num_mini_batches)
    step = training_bytes(shape, compute, batch, with_logits=True)
    rollout = sampling_bytes(shape, compute, texts(study, study.ppo.batch_size))
    read = sum(map(model_bytes, (shape, proxy, gold_shape(study))))
    return CUDA_CONTEXT + read + max(step, rollout)


def _disk(study: Study, compute: ComputeConfig, shape: ModelShape) -> Disk:
    """A curve, and the policy that PPO ends with: nothing reads it, so it goes with the job."""
    curve, size = curve_bytes(study.best_of_n.num_prompts), model_bytes(shape)
    state = state_bytes(shape, compute)
    if study.keep.ppo_policies:
        return Disk.of(curve + size, scratch=state)
    return Disk.of(curve, scratch=state + size)
