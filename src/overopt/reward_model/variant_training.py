"""How each variant of a proxy RM is trained; `overopt.config.variants` lists them."""

from collections.abc import Callable

import numpy as np

from overopt.config.reward_model import RewardModelSettings
from overopt.config.variants import VARIANTS
from overopt.jobs.job import Job
from overopt.jobs.outputs import STATE_FILE
from overopt.jobs.plugins import resolve
from overopt.models.architecture import RewardModel
from overopt.models.training.lora import merge_adapters
from overopt.models.training.state import TrainingState
from overopt.randomness import job_seed
from overopt.reward_model.ensemble import Combine, mean
from overopt.reward_model.proxy import (
    ProxyData,
    ProxyFiles,
    proxy_metrics,
    read_proxy_data,
    train_proxy_rm,
)
from overopt.reward_model.scoring import score_sequences
from overopt.reward_model.training import (
    fit_reward_model,
    save_reward_model,
    score_differences,
    write_metrics,
)

Train = Callable[[Job, RewardModelSettings, ProxyFiles], None]


def train_variant(job: Job, settings: RewardModelSettings, files: ProxyFiles) -> None:
    """Train a proxy RM as the variant of its cell asks; write its checkpoint and metrics.

    Raises
    ------
    UserError
        There are too few comparisons, or a plugin's function has not the expected parameters.
    """
    name = settings.proxy_rm.variant if settings.proxy_rm is not None else "plain"
    train = TRAINS.get(name) or resolve(VARIANTS[name].train, ("job", "settings", "files"))
    train(job, settings, files)


def train_ensemble(
    job: Job, settings: RewardModelSettings, files: ProxyFiles, combine: Combine = mean
) -> None:
    """Train the members of an ensemble, each in a folder of its own but the first.

    Members share the backbone and the comparisons and differ by their seed: the order of the
    batches, and any adapters. The first is the plain proxy of this cell. Metrics are those of the
    scores that `combine` gives.
    """
    data = read_proxy_data(settings, files)
    models, losses = _fit_members(job, settings, files, data)
    job.stop_workers()
    folders = [files.model_dir / f"member-{number}" for number in range(1, len(models))]
    for model, folder in zip(models, [files.model_dir, *folders], strict=True):
        save_reward_model(model, files.backbone, folder)
    validation = data.validation
    chosen, rejected = (
        combine(np.stack([score_sequences(model, rows) for model in models]).astype(np.float64))
        for rows in (validation.chosen, validation.rejected)
    )
    metrics = proxy_metrics(settings, data, chosen - rejected)
    write_metrics(files.model_dir, models[0], data.training, validation, losses, metrics)


def train_weight_average(job: Job, settings: RewardModelSettings, files: ProxyFiles) -> None:
    """Train members as of an ensemble, and write the one model whose weights are their average.

    That is WARM (Ramé et al. 2024): members that start from the same backbone are connected
    linearly.
    """
    data = read_proxy_data(settings, files)
    models, losses = _fit_members(job, settings, files, data)
    job.stop_workers()
    for model in models:
        merge_adapters(model)
    average = models[0]
    states = [model.state_dict() for model in models]
    average.load_state_dict(
        {name: sum(state[name] for state in states) / len(states) for name in states[0]}
    )
    save_reward_model(average, files.backbone, files.model_dir)
    metrics = proxy_metrics(settings, data, score_differences(average, data.validation))
    write_metrics(files.model_dir, average, data.training, data.validation, losses, metrics)


def _fit_members(
    job: Job, settings: RewardModelSettings, files: ProxyFiles, data: ProxyData
) -> tuple[list[RewardModel], np.ndarray]:
    """Members of a variant, and the mean of their losses at every step.

    A killed job goes on with the member it was at after it has trained those before again.
    """
    models: list[RewardModel] = []
    losses: list[np.ndarray] = []
    for number in range(_num_models(settings)):
        seed = job_seed(settings.seed, "member", number) if number else settings.seed
        own = settings.model_copy(update={"seed": seed})
        state = TrainingState(files.model_dir / STATE_FILE, f"{job.fingerprint}/{number}")
        model, losses_of_model = fit_reward_model(own, files.backbone, data.training, state)
        models.append(model)
        losses.append(losses_of_model)
        state.remove()
    return models, np.mean(losses, axis=0)


def _num_models(settings: RewardModelSettings) -> int:
    if settings.proxy_rm is None:
        raise ValueError("the gold RM has no variants")
    return VARIANTS[settings.proxy_rm.variant].num_models


TRAINS: dict[str, Train] = {
    "plain": train_proxy_rm,
    "ensemble_mean": train_ensemble,
    "weight_average": train_weight_average,
}
"""The project's own variants."""
