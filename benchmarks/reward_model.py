"""Reward-model training against TRL's RewardTrainer: same comparisons, batch, epochs, optimizer.

TRL gets token ids, so that neither side tokenizes, and the learning-rate schedule nearest to ours.
Our clock runs from the call of the trainer to its end. TRL's runs from the end of the first step to
that of the last, since what it sets up before would weigh more here than in a run of full length.
"""

import math
import time
from typing import Any

import torch
from benchmarks.materials import Materials, Setup
from benchmarks.timing import ratio, spread
from benchmarks.trl_environment import COMMON, NEWEST_VERSION, TRLEnvironment

from overopt.config.reward_model import RewardModelSettings
from overopt.config.training import OptimizationConfig
from overopt.models.architecture import score_head
from overopt.models.training.loop import ADAM_BETAS, MAX_GRADIENT_NORM, WARMUP_SHARE, WEIGHT_DECAY
from overopt.models.training.state import TrainingState
from overopt.reward_model.training import TokenizedComparisons, train_on_comparisons

TARGET = 1.5
SIZES = ("s2", "s4", "s7", "gold")
LEARNING_RATE = 1e-3


def measure(setup: Setup, materials: Materials) -> dict[str, Any]:
    """Pairs per CPU second, of ours and of TRL's."""
    environment = TRLEnvironment(setup.cache)
    number = 96 if setup.is_quick else 1600  # TRL tells the loss of every tenth step
    comparisons = materials.comparisons(number)
    sizes = SIZES[:1] if setup.is_quick else SIZES
    return {"rows": [_row(setup, materials, environment, size, comparisons) for size in sizes]}


def settings_of(materials: Materials, number: int, batch_size: int) -> RewardModelSettings:
    """One pass over so many comparisons, as a proxy RM takes it."""
    return RewardModelSettings(
        proxy_rm=None,
        num_comparisons=number,
        num_validation=1,
        optimization=OptimizationConfig(learning_rate=LEARNING_RATE, batch_size=batch_size),
        text=materials.study.text,
        seed=0,
        subset_seed=0,
    )


def trl_arguments(settings: RewardModelSettings) -> dict[str, Any]:
    """TRL's settings for the same work."""
    optimization = settings.optimization
    return {
        "per_device_train_batch_size": optimization.batch_size,
        "gradient_accumulation_steps": 1,
        "num_train_epochs": optimization.num_epochs,
        "learning_rate": optimization.learning_rate,
        "adam_beta1": ADAM_BETAS[0],
        "adam_beta2": ADAM_BETAS[1],
        "weight_decay": WEIGHT_DECAY,
        "max_grad_norm": MAX_GRADIENT_NORM,
        "lr_scheduler_type": "cosine",
        "warmup_steps": WARMUP_SHARE,
        "optim": "adamw_torch_fused",
        "dataloader_drop_last": True,
        "max_length": None,
        **COMMON,
    }


def _row(
    setup: Setup,
    materials: Materials,
    environment: TRLEnvironment,
    size: str,
    comparisons: TokenizedComparisons,
) -> dict[str, Any]:
    batch = materials.study.proxy_rm.batch_size if not setup.is_quick else 8
    settings = settings_of(materials, len(comparisons), batch)
    rounds = 1 if setup.is_quick else max(1, setup.repeats // 2)
    ours: list[float] = []
    theirs: list[float] = []
    first_losses: dict[str, float] = {}
    for _ in range(rounds):
        rate, first_losses["ours"] = run_ours(materials, size, comparisons, settings)
        ours.append(rate)
        if environment.exists:
            done = run_trl(environment, materials, size, comparisons, settings)
            if done["num_steps"] != len(comparisons) // batch:
                raise RuntimeError(f"TRL took {done['num_steps']} steps")
            theirs.append(batch * len(done["seconds"]) / sum(done["seconds"]))
            first_losses["trl"] = done["losses"][0] if done["losses"] else math.nan
    row: dict[str, Any] = {"size": size, "batch": batch, "target": TARGET, "ours": spread(ours)}
    if theirs:
        row |= {"trl": spread(theirs), "ratio": ratio(ours, theirs), "version": NEWEST_VERSION}
        row["first_losses"] = first_losses
    return row


def run_ours(
    materials: Materials,
    size: str,
    comparisons: TokenizedComparisons,
    settings: RewardModelSettings,
) -> tuple[float, float]:
    """Pairs per CPU second of one pass; mean loss of its first ten steps."""
    model = materials.reward_model(size)
    torch.nn.init.zeros_(score_head(model).weight)  # as at the start of every reward model
    start = time.process_time()
    losses = train_on_comparisons(model, comparisons, settings, TrainingState(None))
    seconds = time.process_time() - start
    return len(losses) * settings.optimization.batch_size / seconds, float(losses[:10].mean())


def run_trl(
    environment: TRLEnvironment,
    materials: Materials,
    size: str,
    comparisons: TokenizedComparisons,
    settings: RewardModelSettings,
) -> dict[str, Any]:
    """The same by TRL's RewardTrainer."""
    job = {
        "kind": "reward",
        "policy": str(materials.policy_folder("small")),
        "reward_model": str(materials.reward_model_folder(size, has_zero_head=True)),
        "chosen": comparisons.chosen,
        "rejected": comparisons.rejected,
        "arguments": trl_arguments(settings),
    }
    return environment.run(NEWEST_VERSION, job)
