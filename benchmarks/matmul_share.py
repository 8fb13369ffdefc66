"""
Scoring and training against the machine's fp32 matrix product, one thread.

What counts are the products that a whole forward pass over real tokens needs: 2 operations a weight
forward, 6 in training, attention over the tokens before, and the output layer of a language model
for response tokens. Padding, embeddings, normalization, optimizer and Python count nothing, though
they take time. Products that are left out because nothing reads them count as if they were done:
the share says how fast the work is. A second share, of the products that torch did in fact (those
of attention with the half that its mask hides), says how busy the processor was with them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from benchmarks.materials import Materials, Setup, num_body_weights
from benchmarks.reward_model import settings_of
from benchmarks.timing import Work, rates, ratio, spread
from torch.utils.flop_counter import FlopCounterMode

from overopt.models.loading import build_policy, num_parameters
from overopt.models.tokens import join
from overopt.models.training.state import TrainingState
from overopt.policy.sft import train_language_model
from overopt.randomness import torch_generator
from overopt.reward_model.scoring import score_sequences
from overopt.reward_model.training import train_on_comparisons

TARGET = 0.45
SMALLEST = 38_000
PEAK_SIZES = (384, 768, 1536)


def body_operations(model: torch.nn.Module, lengths: Sequence[int]) -> float:
    """Floating-point operations of one forward pass over sequences of these lengths."""
    config: Any = model.config
    tokens = np.asarray(lengths, dtype=np.float64)
    products = 2 * num_body_weights(model) * tokens
    # Scores and weighted sum: 2 operations each, per channel, for every pair of tokens in order.
    attention = 4 * config.n_layer * config.n_embd * tokens * (tokens + 1) / 2
    return float((products + attention).sum())


def peak_work(size: int, number: int) -> Work:
    """Matrix products of square fp32 matrices; their operations."""
    left, right = torch.randn(2, size, size)
    result = torch.empty(size, size)

    def work() -> float:
        for _ in range(number):
            torch.mm(left, right, out=result)
        return 2.0 * number * size**3

    return work


def measure(setup: Setup, materials: Materials) -> dict[str, Any]:
    """Operations per CPU second and their share of the peak, by model and kind of work."""
    sizes = PEAK_SIZES[:1] if setup.is_quick else PEAK_SIZES
    peaks = rates({str(size): peak_work(size, max(1, 768**3 // size**3)) for size in sizes}, 3)
    best = max(peaks, key=lambda name: max(peaks[name]))
    rows = []
    for name, contender in _contenders(setup, materials).items():
        contenders = {"work": contender, "peak": peak_work(int(best), 1536**3 // int(best) ** 3)}
        measured = rates(contenders, 1 if setup.is_quick else setup.repeats)
        counter = FlopCounterMode(display=False)
        with counter:
            nominal = contender()
        rows.append(
            {
                "work": name[0],
                "model": name[1],
                "num_parameters": name[2],
                "gflops": spread([value / 1e9 for value in measured["work"]]),
                "peak_gflops": spread([value / 1e9 for value in measured["peak"]]),
                "share": ratio(measured["work"], measured["peak"]),
                "done": counter.get_total_flops() / nominal,
                "target": TARGET,
            }
        )
    return {"rows": rows, "peak_matrix": int(best)}


def _contenders(setup: Setup, materials: Materials) -> dict[tuple[str, str, int], Work]:
    """Scoring, reward-model training and fine-tuning of every model large enough."""
    number = 32 if setup.is_quick else 2048
    prompts, responses = materials.responses(number)
    sequences = join(prompts, responses)
    names = [*materials.study.proxy_sizes, "gold"]
    models = {name: materials.reward_model(name) for name in names}
    large = {name: model for name, model in models.items() if num_parameters(model) >= SMALLEST}
    if setup.is_quick:
        large = {"s5": models["s5"]}
    work: dict[tuple[str, str, int], Work] = {}
    for name, model in large.items():
        work["scoring", name, num_parameters(model)] = _scoring(model, sequences)
    for name, model in large.items():
        work["RM training", name, num_parameters(model)] = _rm_training(setup, materials, name)
    for name in ["small"] if setup.is_quick else materials.study.policies:
        number = num_parameters(materials.policy(name))
        work["fine-tuning", name, number] = _fine_tuning(setup, materials, name)
    return work


def _scoring(model: Any, sequences: list[list[int]]) -> Work:
    distinct = {tuple(sequence) for sequence in sequences}  # repeated ones are scored once
    operations = body_operations(model, [len(sequence) for sequence in distinct])

    def work() -> float:
        score_sequences(model, sequences)
        return operations

    return work


def _rm_training(setup: Setup, materials: Materials, name: str) -> Work:
    batch = 8 if setup.is_quick else materials.study.proxy_rm.batch_size
    comparisons = materials.comparisons(batch * (2 if setup.is_quick else 32))
    settings = settings_of(materials, len(comparisons), batch)
    lengths = [len(sequence) for sequence in [*comparisons.chosen, *comparisons.rejected]]
    model = materials.reward_model(name)

    def work() -> float:
        train_on_comparisons(model, comparisons, settings, TrainingState(None))
        return 3 * body_operations(model, lengths)

    return work


def _fine_tuning(setup: Setup, materials: Materials, name: str) -> Work:
    settings = materials.sft_settings(name)
    batch = settings.optimization.batch_size
    prompts, responses = materials.demonstrations(batch * (1 if setup.is_quick else 32))
    lengths = [len(sequence) for sequence in join(prompts, responses)]
    num_targets = sum(map(len, responses))
    assert settings.shape is not None
    generator = torch_generator(0, "fine-tuning")
    context = materials.study.text.context_length
    policy = build_policy(settings.shape, len(materials.tokenizer), context, generator)

    def work() -> float:
        train_language_model(policy, prompts, responses, settings, TrainingState(None))
        output = 2 * policy.config.n_embd * policy.config.vocab_size * num_targets
        return 3 * (body_operations(policy, lengths) + output)

    return work
