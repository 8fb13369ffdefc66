"""
Synthetic studies that satisfy or violate the paper's claims, as evidence for verdicts.

An RM's fall in validation loss, its gain, grows with the logarithm of its size and along a
threshold in data; alpha rises and beta falls with the gain. By default every claim of the modules
on shape, RM size, RM data and policy size holds; each field of `Truth` breaks some.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cell_examples import in_plain_cells, of_plain_rms
from overopt.claims.evidence import Evidence, collect_evidence
from overopt.config.analysis import AnalysisConfig, AnalysisSettings
from overopt.theory.forms import BEST_OF_N, RL
from overopt.theory.kl import best_of_n_kl

SIZES = {"x1": 30, "s1": 300, "s2": 3_000, "s3": 30_000, "s4": 300_000}
AMOUNTS = (500, 1_000, 2_000, 8_000, 20_000, 60_000)
NS = np.array([1, 2, 4, 8, 16, 64, 200, 500, 1000])
STEPS = np.arange(0, 61, 3)


@dataclass(frozen=True)
class Truth:
    """What is true of a synthetic study, the noise apart."""

    gain_per_decade: float = 0.08  # of the fall in loss, per decade of RM parameters
    scatter: float = 0.0  # of the gain: added to every second size, taken from the others
    smallest_gain: float = 0.02  # of the RM that trends leave out
    threshold: float = 3.8  # log10 of the comparisons at which half of the gain is there
    threshold_width: float = 0.2
    threshold_shift: float = 0.0  # per decade of RM parameters
    reversed_data: bool = False
    overoptimization: float = 1.0  # times beta
    proxy_end: float = 1.0  # rise of the proxy over the last third, over that before
    rl_alpha_per_decade: float = 0.0
    sharp_peak: bool = False  # best-of-n gold that no d (alpha - beta d) describes
    epoch_gold: float = 0.0
    gold_per_decade: float = 0.0  # of RM parameters, at equal loss
    other_start: float = 0.6  # gold of the larger policy before optimization
    other_gain: float = 0.7  # times the main policy's gain of gold
    other_peak: float = 1.0  # times the main policy's sqrt(KL) at the peak
    other_proxy: float = 0.0  # proxy beyond the main policy's per unit of sqrt(KL)
    other_speed: float = 0.9  # times the main policy's sqrt(KL) per step

    def gain(self, size: str, amount: int) -> float:
        """Fall of the validation loss below chance."""
        if size == "x1":
            return self.smallest_gain
        decades = np.log10(SIZES[size] / SIZES["s1"])
        place = np.log10(amount) - self.threshold - self.threshold_shift * decades
        place = -place if self.reversed_data else place
        gain = 0.25 + self.gain_per_decade * decades
        gain += self.scatter * (-1) ** round(decades)
        return gain / (1 + np.exp(-place / self.threshold_width))


@dataclass(frozen=True)
class Noise:
    """Standard deviations: of prompts, of one cell's prompts, of seeds (all in alpha), of loss."""

    prompts: float = 0.10
    cells: float = 0.05
    seeds: float = 0.004
    loss: float = 0.001


def example_evidence(
    rng: np.random.Generator,
    truth: Truth = Truth(),
    noise: Noise = Noise(),
    *,
    seeds: int = 3,
    num_prompts: int = 20,
    num_bootstrap: int = 100,
    sweeps: tuple[str, ...] = ("size", "small", "data", "epochs", "policy"),
) -> Evidence:
    """Evidence of a study with these sweeps, each cell with `seeds` seeds."""
    common = rng.normal(0, noise.prompts, num_prompts)
    frames, metrics = [], {}
    for method, policy, size, amount, epochs in dict.fromkeys(_cells(sweeps)):
        for seed in range(seeds):
            key = {
                "proxy_size": size,
                "num_parameters": SIZES[size],
                "num_comparisons": amount,
                "num_epochs": epochs,
                "seed": seed,
            }
            slopes = common + rng.normal(0, noise.cells, num_prompts) + rng.normal(0, noise.seeds)
            points = _points(truth, method, policy, size, amount, epochs, slopes, rng)
            frames.append(points.assign(method=method, policy_size=policy, **key))
            loss = np.log(2) - truth.gain(size, amount) + rng.normal(0, noise.loss)
            metrics[tuple(key.values())] = key | {"validation_loss": loss}
    settings = AnalysisSettings(
        main_policy="small",
        analysis=AnalysisConfig(num_bootstrap=num_bootstrap),
        seed=int(rng.integers(2**31)),
        excluded_sizes=["x1"],
    )
    curves = in_plain_cells(pd.concat(frames, ignore_index=True))
    return collect_evidence(settings, curves, of_plain_rms(pd.DataFrame(metrics.values())))


def _cells(sweeps: tuple[str, ...]) -> Iterator[tuple[str, str, str, int, int]]:
    sizes = [size for size in SIZES if size != "x1"]
    for size in sizes:
        if "size" in sweeps:
            yield "best_of_n", "small", size, AMOUNTS[-1], 1
            yield "ppo", "small", size, AMOUNTS[-1], 1
        if "data" in sweeps:
            yield from (("best_of_n", "small", size, amount, 1) for amount in AMOUNTS)
        if "epochs" in sweeps:
            for amount, epochs in ((2000, 1), (2000, 4), (8000, 1)):
                yield "best_of_n", "small", size, amount, epochs
    if "small" in sweeps:
        yield "best_of_n", "small", "x1", AMOUNTS[-1], 1
    if "policy" in sweeps:
        for size in ("s2", "s4"):
            for method in ("best_of_n", "ppo"):
                yield from ((method, p, size, AMOUNTS[-1], 1) for p in ("small", "large"))


def _points(
    truth: Truth,
    method: str,
    policy: str,
    size: str,
    amount: int,
    epochs: int,
    slopes: np.ndarray,
    rng: np.random.Generator,
) -> pd.DataFrame:
    gain, is_other = truth.gain(size, amount), policy != "small"
    decades = np.log10(SIZES[size] / SIZES["s1"])
    stretch = truth.other_peak if is_other else 1.0
    if method == "best_of_n":
        index, d = NS, np.sqrt(best_of_n_kl(NS))
        alpha, beta = 2.2 * gain - 0.15, truth.overoptimization * (0.30 - 0.3 * gain)
        gold = BEST_OF_N.score(d / stretch, alpha, beta)
        if truth.sharp_peak:
            gold = alpha * np.where(d < 0.3, d / 0.3, np.exp(-(d - 0.3) / 0.3))
    else:
        index = STEPS
        d = (truth.other_speed if is_other else 1.0) * 6.5 * STEPS / STEPS[-1]
        beta = truth.overoptimization * (0.75 - gain)
        gold = RL.score(d / stretch, 0.6 + truth.rl_alpha_per_decade * decades, beta)
    end = d[-1] * 2 / 3
    proxy = 0.5 * (np.minimum(d, end) + truth.proxy_end * np.maximum(d - end, 0))
    gold = gold + (truth.gold_per_decade * decades + truth.epoch_gold * (epochs > 1)) * d / d[-1]
    if is_other:
        gold = truth.other_start + truth.other_gain * gold
        proxy = proxy + truth.other_start + (truth.other_gain - 1) * (gold - truth.other_start)
        proxy = proxy + truth.other_proxy * d
    shape = (len(d), len(slopes))
    spread = np.sqrt(d)[:, None] * slopes
    initial = (truth.other_start if is_other else 0.0) + is_other * slopes
    kl = (d**2)[:, None] * (1 if method == "best_of_n" else np.exp(rng.normal(0, 0.1, shape[1])))
    frame = pd.DataFrame(
        {
            "prompt_id": np.tile(np.arange(len(slopes)), len(index)),
            "kl": np.broadcast_to(kl, shape).ravel(),
            "recalibrated_gold_score": (gold[:, None] + spread + is_other * slopes).ravel(),
            "recalibrated_proxy_score": (proxy[:, None] + 0.3 * spread).ravel(),
            "initial_gold_score": np.tile(initial, len(index)),
            "initial_proxy_score": np.tile(initial, len(index)),
        }
    )
    for name, owner in {"n": "best_of_n", "step": "ppo"}.items():
        numbers = pd.Series(np.repeat(index, len(slopes)), dtype="Int64")
        frame[name] = numbers if owner == method else numbers.mask(numbers.notna())
    return frame
