"""Samples and tokens per second of SFT and of reward-model training, and of scoring."""

from functools import partial

import numpy as np
import torch
from benchmarks.gpu_measure import Ceilings, Row, seconds_of
from benchmarks.gpu_models import (
    WORLD_VOCABULARY,
    embedded_policy,
    num_weights_read,
    read_config,
    start_accelerate_anew,
)

from overopt.config.policy import LanguageModelSettings
from overopt.config.reward_model import RewardModelSettings
from overopt.config.training import Numerics, OptimizationConfig, Precision, TextConfig
from overopt.models.architecture import Policy, RewardModel
from overopt.models.loading import build_reward_model
from overopt.models.training.state import TrainingState
from overopt.policy.sft import train_language_model
from overopt.reward_model.scoring import score_sequences
from overopt.reward_model.training import TokenizedComparisons, train_on_comparisons

FLOPS_OF_TRAINING, FLOPS_OF_SCORING = 6, 2
"""Of one token and one weight: forward and backward, and forward alone."""
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


def measure_training(device: torch.device, ceilings: Ceilings, *, is_quick: bool) -> list[Row]:
    """The policies of gpu.yaml, in both precisions, and reward models of their sizes."""
    config = read_config("test" if is_quick else "gpu")
    num_steps = 3 if is_quick else 40
    text = TextConfig(**config["text"])
    rows: list[Row] = []
    for size, settings in config["policies"].items():
        for precision in PRECISIONS:
            policy = embedded_policy(settings, device, text.context_length)
            batch_size = settings.get("batch_size", 64)
            rows += _of_sft(size, policy, text, batch_size, num_steps, precision, device, ceilings)
        for precision in PRECISIONS:
            model = build_reward_model(embedded_policy(settings, device, text.context_length))
            batch_size = config["gold_rm"]["batch_size"]
            rows += _of_rm(size, model, text, batch_size, num_steps, precision, device, ceilings)
        model = build_reward_model(embedded_policy(settings, device, text.context_length))
        texts = _texts(num_steps * 256, text.context_length)
        seconds = seconds_of(partial(score_sequences, model, texts), device)
        num_tokens = len(texts) * text.context_length
        flops = FLOPS_OF_SCORING * _num_weights_read_by(model) * num_tokens / seconds
        share = flops / ceilings.of("fp32")
        rows += _rates("scoring", f"{size}, fp32", len(texts), num_tokens, seconds, share)
    return rows


def _of_sft(
    size: str,
    policy: Policy,
    text: TextConfig,
    batch_size: int,
    num_steps: int,
    precision: Precision,
    device: torch.device,
    ceilings: Ceilings,
) -> list[Row]:
    texts, cut = _texts(num_steps * batch_size, text.context_length), text.max_prompt_tokens
    prompts, responses = [row[:cut] for row in texts], [row[cut:] for row in texts]
    settings = LanguageModelSettings(
        shape=None,
        optimization=OptimizationConfig(learning_rate=1e-4, batch_size=batch_size),
        text=text,
        numerics=Numerics(precision=precision),
        seed=0,
    )
    start_accelerate_anew()
    state = TrainingState(None)
    seconds = seconds_of(
        partial(train_language_model, policy, prompts, responses, settings, state), device
    )
    num_tokens = len(texts) * text.context_length
    flops = FLOPS_OF_TRAINING * num_weights_read(policy) * num_tokens / seconds
    share = flops / ceilings.of(precision)
    return _rates("SFT", f"{size}, {precision}", len(texts), num_tokens, seconds, share)


def _of_rm(
    size: str,
    model: RewardModel,
    text: TextConfig,
    batch_size: int,
    num_steps: int,
    precision: Precision,
    device: torch.device,
    ceilings: Ceilings,
) -> list[Row]:
    number = max(16, num_steps) * batch_size  # fewer would make smaller batches
    texts = _texts(2 * number, text.context_length)
    comparisons = TokenizedComparisons(texts[:number], texts[number:])
    settings = RewardModelSettings(
        proxy_rm=None,
        num_comparisons=number,
        num_validation=1,
        optimization=OptimizationConfig(learning_rate=1e-4, batch_size=batch_size),
        text=text,
        numerics=Numerics(precision=precision),
        seed=0,
        subset_seed=0,
    )
    start_accelerate_anew()
    state = TrainingState(None)
    seconds = seconds_of(partial(train_on_comparisons, model, comparisons, settings, state), device)
    num_tokens = len(texts) * text.context_length
    flops = FLOPS_OF_TRAINING * _num_weights_read_by(model) * num_tokens / seconds
    share = flops / ceilings.of(precision)
    return _rates("RM training", f"{size}, {precision}", number, num_tokens, seconds, share)


def _num_weights_read_by(reward_model: torch.nn.Module) -> int:
    """Weights that a forward pass multiplies by: all but the embeddings."""
    embeddings = {
        id(module.weight)
        for module in reward_model.modules()
        if isinstance(module, torch.nn.Embedding)
    }
    return sum(p.numel() for p in reward_model.parameters() if id(p) not in embeddings)


def _texts(number: int, length: int) -> list[list[int]]:
    rng = np.random.default_rng(0)
    return rng.integers(3, WORLD_VOCABULARY, (number, length)).tolist()


def _rates(
    part: str, what: str, number: int, num_tokens: int, seconds: float, share: float
) -> list[Row]:
    return [
        Row(part, what, number / seconds, "samples/s"),
        Row(part, what, num_tokens / seconds, "tokens/s", share),
    ]
