"""How cost grows with cells, samples, prompts and parameters: CPU seconds, exponents, a plot."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from benchmarks.materials import ROOT, Materials, Setup
from benchmarks.planning import config_of_jobs, plan
from benchmarks.reward_model import settings_of
from benchmarks.timing import cpu_seconds

from overopt.models.loading import num_parameters
from overopt.models.tokens import join
from overopt.models.training.state import TrainingState
from overopt.policy.sampling import sample_responses
from overopt.randomness import torch_generator
from overopt.reward_model.scoring import score_sequences
from overopt.reward_model.training import train_on_comparisons
from overopt.theory.best_of_n import best_of_n_scores
from overopt.theory.kl import default_ns

PLOT = ROOT / "docs" / "performance" / "growth.svg"


def measure(setup: Setup, materials: Materials) -> dict[str, Any]:
    """Points of each curve: its axis, what is done, x, CPU seconds; and the fitted exponents."""
    curves = [
        *_cells(setup),
        *_samples(setup, materials),
        *_prompts(setup),
        *_parameters(setup, materials),
    ]
    for curve in curves:
        curve["exponent"] = exponent(curve["x"], curve["seconds"])
        # Where the smallest sizes measure what a call costs anyway.
        half = min(len(curve["x"]) // 2, len(curve["x"]) - 2)
        curve["upper_exponent"] = exponent(curve["x"][half:], curve["seconds"][half:])
    return {"curves": curves}


def exponent(xs: Sequence[float], seconds: Sequence[float]) -> float:
    """Slope of log CPU seconds in log x, by least squares."""
    return float(np.polyfit(np.log(xs), np.log(seconds), 1)[0])


def _curve(
    setup: Setup,
    axis: str,
    work: str,
    sizes: Sequence[int],
    prepared: Callable[[int], Callable[[], object]],
) -> dict[str, Any]:
    """Median CPU seconds at each size; what is prepared is not timed."""
    repeats = 1 if setup.is_quick else 3
    seconds = []
    for size in sizes:
        ready = prepared(size)
        ready()  # warm
        seconds.append(median([cpu_seconds(ready) for _ in range(repeats)]))
    return {"axis": axis, "work": work, "x": list(sizes), "seconds": seconds}


def _samples(setup: Setup, materials: Materials) -> list[dict[str, Any]]:
    sizes = (8, 16) if setup.is_quick else (256, 1024, 4096, 16384)
    policy = materials.policy("small")
    model = materials.reward_model("s4")

    def sampling(number: int) -> Callable[[], object]:
        prompts = materials.repeated_prompts(number)
        generator = torch_generator(0, "growth")
        return lambda: sample_responses(policy, prompts, materials.max_tokens, generator)

    def scoring(number: int) -> Callable[[], object]:
        sequences = join(*materials.responses(number))
        return lambda: score_sequences(model, sequences)

    def estimating(number: int) -> Callable[[], object]:
        proxy, gold = np.random.default_rng(0).standard_normal((2, 64, number))
        ns = default_ns(min(number, 1000))
        return lambda: best_of_n_scores(proxy, {"gold": gold}, ns)

    return [
        _curve(setup, "samples", "sampling, small policy", sizes, sampling),
        _curve(setup, "samples", "scoring, s4", sizes, scoring),
        _curve(setup, "samples", "best-of-n, 64 prompts", sizes, estimating),
    ]


def _prompts(setup: Setup) -> list[dict[str, Any]]:
    sizes = (4, 8) if setup.is_quick else (64, 128, 256, 512, 1024)

    def estimating(number: int) -> Callable[[], object]:
        proxy, gold = np.random.default_rng(0).standard_normal((2, number, 1536))
        return lambda: best_of_n_scores(proxy, {"gold": gold}, default_ns(1000))

    return [_curve(setup, "prompts", "best-of-n, 1,536 responses", sizes, estimating)]


def _parameters(setup: Setup, materials: Materials) -> list[dict[str, Any]]:
    names = ["s1", "s2"] if setup.is_quick else [*materials.study.proxy_sizes, "gold"]
    models = {num_parameters(model): name for name, model in _reward_models(materials, names)}
    sequences = join(*materials.responses(32 if setup.is_quick else 2048))
    comparisons = materials.comparisons(16 if setup.is_quick else 640)
    batch = 8 if setup.is_quick else 32

    def scoring(number: int) -> Callable[[], object]:
        model = materials.reward_model(models[number])
        return lambda: score_sequences(model, sequences)

    def training(number: int) -> Callable[[], object]:
        model = materials.reward_model(models[number])
        settings = settings_of(materials, len(comparisons), batch)
        return lambda: train_on_comparisons(model, comparisons, settings, TrainingState(None))

    return [
        _curve(setup, "parameters", "scoring", sorted(models), scoring),
        _curve(setup, "parameters", "RM training", sorted(models), training),
    ]


def _reward_models(materials: Materials, names: Sequence[str]) -> list[tuple[str, Any]]:
    return [(name, materials.reward_model(name)) for name in names]


def _cells(setup: Setup) -> list[dict[str, Any]]:
    """Planning of the grid."""
    sizes = (30, 60) if setup.is_quick else (100, 300, 1_000, 3_000, 10_000)
    with tempfile.TemporaryDirectory() as folder:
        points = [plan(config_of_jobs(size), Path(folder)) for size in sizes]
    jobs, seconds = [float(point[0]) for point in points], [point[1].cpu for point in points]
    return [{"axis": "cells", "work": "snakemake -n, jobs", "x": jobs, "seconds": seconds}]


def draw(result: dict[str, Any], path: Path = PLOT) -> None:
    """One panel an axis, CPU seconds against it, both logarithmic."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "overopt"
    import matplotlib.pyplot as plt
    import seaborn as sns
    from matplotlib.ticker import NullFormatter

    sns.set_theme(style="whitegrid", context="paper")
    axes_names = list(dict.fromkeys(curve["axis"] for curve in result["curves"]))
    figure, panels = plt.subplots(1, 4, figsize=(11, 3.4), sharey=True)
    for panel, name in zip(panels, axes_names, strict=True):
        for curve in result["curves"]:
            if curve["axis"] == name:
                label = f"{curve['work']}: {curve['upper_exponent']:.2f}"
                sns.lineplot(x=curve["x"], y=curve["seconds"], marker="o", label=label, ax=panel)
        panel.set(xscale="log", yscale="log", xlabel=name, ylabel="CPU seconds")
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_minor_formatter(NullFormatter())
        panel.set_ylim(5e-4, 300)  # room for the legend
        panel.legend(fontsize=7, title="exponent of the upper half", title_fontsize=7, loc=2)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
