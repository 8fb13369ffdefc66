"""Cost of the kinds of jobs: training of a language or reward model, sampling, scoring."""

from overopt.config.compute import ComputeConfig
from overopt.config.reward_model_batch import SCORING_BATCH_ON_GPU, comparisons_per_batch
from overopt.study.plan import host_memory
from overopt.study.plan.compute import sampling_compute
from overopt.study.plan.cost import Cost, Disk
from overopt.study.plan.machines import GpuModel, machine
from overopt.study.plan.shapes import ModelShape, policy_shape
from overopt.study.plan.sizes import (
    CUDA_CONTEXT,
    model_bytes,
    reading_bytes,
    sampling_bytes,
    state_bytes,
    training_bytes,
)
from overopt.study.plan.texts import Texts, num_demonstrations, texts
from overopt.study.study import Study


def language_model(
    study: Study,
    shape: ModelShape,
    compute: ComputeConfig,
    gpu: GpuModel,
    *,
    batch_size: int,
    num_epochs: int,
    is_kept: bool = True,
) -> Cost:
    """Training on the demonstrations; without epochs the model is taken as it is."""
    number, on = num_demonstrations(study), machine(compute, gpu)
    used = texts(study, number * num_epochs)
    steps = on.training(shape, used, used.number / batch_size, used.num_response_tokens)
    # How many demonstrations files hold is not known before they are read.
    held = 2.5e-3 * number if study.source.is_generated else 0.0
    working = host_memory.training(study, compute, shape, batch_size)
    working += host_memory.distributions(study, shape, batch_size)
    trained = training_bytes(shape, compute, texts(study, batch_size), with_logits=True)
    return Cost(
        seconds=on.start + on.text * number + steps,
        memory_mb=host_memory.of_models(study, compute, held, working, shape),
        disk=trained_model(shape, compute, is_kept=is_kept),
        compute=compute,
        gpu_bytes=CUDA_CONTEXT + trained if num_epochs else 0.0,
    )


def reward_model(
    study: Study,
    shape: ModelShape,
    compute: ComputeConfig,
    gpu: GpuModel,
    *,
    num_comparisons: int,
    num_validation: int,
    num_epochs: int,
    batch_size: int,
    in_table: int,
    is_kept: bool = True,
) -> Cost:
    """Training on comparisons, of which the job reads a table of `in_table`."""
    on, batch = machine(compute, gpu), texts(study, 2 * batch_size)
    num_steps = num_comparisons * num_epochs / comparisons_per_batch(batch_size, num_comparisons)
    training = on.training(shape, texts(study, 2 * num_comparisons * num_epochs), num_steps)
    validation = on.reading(shape, texts(study, 2 * num_validation))
    reading = on.text * (num_comparisons + num_validation)
    held = host_memory.pairs(study, in_table)
    working = host_memory.training(study, compute, shape, batch.number)
    return Cost(
        seconds=on.start + reading + training + validation,
        memory_mb=host_memory.of_models(study, compute, held, working, shape),
        disk=trained_model(shape, compute, is_kept=is_kept),
        compute=compute,
        gpu_bytes=CUDA_CONTEXT + training_bytes(shape, compute, batch),
    )


def sampling(
    study: Study, policy_size: str, gpu: GpuModel, drawn: Texts, *, held: float, disk: Disk
) -> Cost:
    """Responses of a policy; `held` are the MB of them on the host."""
    compute, shape = sampling_compute(study, policy_size), policy_shape(study, policy_size)
    on, working = machine(compute, gpu), host_memory.sampling(study, shape)
    return Cost(
        seconds=on.start + on.sampling(shape, drawn),
        memory_mb=host_memory.of_models(study, compute, held, working, shape),
        disk=disk,
        compute=compute,
        gpu_bytes=CUDA_CONTEXT + sampling_bytes(shape, compute, drawn),
    )


def scoring(
    study: Study,
    shape: ModelShape,
    compute: ComputeConfig,
    gpu: GpuModel,
    scored: Texts,
    *,
    held: float,
    disk: Disk,
) -> Cost:
    """Scores by a reward model; `held` are the MB of the texts on the host."""
    on, working = machine(compute, gpu), host_memory.scoring(study, shape)
    return Cost(
        seconds=on.start + on.text * scored.number + on.reading(shape, scored),
        memory_mb=host_memory.of_models(study, compute, held, working, shape),
        disk=disk,
        compute=compute,
        gpu_bytes=scoring_bytes(study, shape),
    )


def scoring_bytes(study: Study, shape: ModelShape) -> float:
    """Bytes of a GPU for scores by one reward model."""
    return CUDA_CONTEXT + reading_bytes(shape, texts(study, SCORING_BATCH_ON_GPU))


def trained_model(shape: ModelShape, compute: ComputeConfig, *, is_kept: bool = True) -> Disk:
    """A model that a job trained, and while it runs the state it would resume from."""
    return Disk.of(model_bytes(shape), is_kept=is_kept, scratch=state_bytes(shape, compute))
