"""Synthetic curves that resemble the embedded study, for tests of statistics and figures."""

import numpy as np
import pandas as pd

from cell_examples import in_plain_cells
from overopt.config.cells import PROXY_RM_KEYS
from overopt.theory.forms import BEST_OF_N, RL
from overopt.theory.kl import best_of_n_kl, default_ns

# proxy size: parameters, (alpha, beta) of best-of-n, of PPO, proxy score of the best of 1,000.
PROXIES = {
    "s1": (257, (0.748, 0.217), (0.45, 0.47), 1.97),
    "s2": (897, (0.813, 0.208), (0.43, 0.36), 1.63),
    "s3": (6_600, (0.832, 0.204), (0.42, 0.28), 1.85),
    "s4": (14_500, (0.916, 0.158), (0.44, 0.25), 1.60),
    "s5": (38_200, (0.914, 0.168), (0.45, 0.23), 1.35),
    "s6": (85_000, (0.944, 0.157), (0.46, 0.19), 1.47),
    "s7": (150_100, (0.961, 0.147), (0.46, 0.16), 1.66),
}
GOLD_SD = 1.26


def temperatures(curves: pd.DataFrame, temperature: float = 0.8) -> pd.DataFrame:
    """One temperature for every proxy of `curves`."""
    return curves[PROXY_RM_KEYS].drop_duplicates().assign(temperature=temperature)


def study_curves(
    rng: np.random.Generator,
    *,
    sizes: tuple[str, ...] = tuple(PROXIES),
    seeds: tuple[int, ...] = (0, 1),
    num_prompts: int = 64,
    methods: tuple[str, ...] = ("best_of_n", "ppo"),
    num_comparisons: tuple[int, ...] = (60_000,),
    prompt_noise: float = 0.35,
    cell_noise: float = 0.15,
    seed_noise: float = 0.02,
) -> pd.DataFrame:
    """Raw curves of a study: the paper's laws, noise of prompts (shared by cells), of cells.

    Scores have arbitrary offsets per prompt. Larger amounts of data than the first add nothing;
    each smaller one takes a fifth of alpha away.
    """
    offsets = rng.normal(0, 2, (2, num_prompts))
    slopes = rng.normal(0, prompt_noise, num_prompts)
    frames = []
    for method in methods:
        for size in sizes:
            for comparisons in num_comparisons:
                factor = 0.8 ** num_comparisons[::-1].index(comparisons)
                for seed in seeds:
                    drift = rng.normal(0, seed_noise)
                    frames.append(
                        _cell(
                            rng, method, size, seed, slopes + drift, offsets, cell_noise, factor
                        ).assign(num_comparisons=comparisons)
                    )
    return pd.concat(frames, ignore_index=True)


def _cell(
    rng: np.random.Generator,
    method: str,
    size: str,
    seed: int,
    slopes: np.ndarray,
    offsets: np.ndarray,
    cell_noise: float,
    factor: float,
) -> pd.DataFrame:
    num_parameters, best_of_n, rl, best_of_n_proxy = PROXIES[size]
    num_prompts = len(slopes)
    if method == "best_of_n":
        index = np.array(default_ns(1000))
        kl = np.broadcast_to(best_of_n_kl(index)[:, None], (len(index), num_prompts))
        d = np.sqrt(kl)
        gold = BEST_OF_N.score(d, factor * best_of_n[0], best_of_n[1])
        noise = cell_noise * d * rng.normal(size=num_prompts)
    else:
        index = np.arange(61)
        mean_d = 6.8 * (index / 60) * (1.0 if size == "s1" else 0.93)
        spread = np.exp(rng.normal(0, 0.1, (61, num_prompts)))
        kl = mean_d[:, None] ** 2 * spread
        d = np.sqrt(kl)
        gold = RL.score(d, factor * rl[0], rl[1])
        noise = 2 * cell_noise * rng.normal(size=(61, num_prompts)) * np.minimum(d, 1)
    gold = gold + 0.4 * slopes * np.minimum(d, 2) + noise
    end = np.sqrt(best_of_n_kl(1000))
    if method == "best_of_n":  # slightly concave
        proxy = best_of_n_proxy / end * d * (1.25 - 0.25 * d / end)
    else:
        proxy = 0.5 * best_of_n_proxy / end * d
    shape = gold.shape
    frame = pd.DataFrame(
        {
            "method": method,
            "policy_size": "small",
            "proxy_size": size,
            "num_parameters": num_parameters,
            "seed": seed,
            "prompt_id": np.tile(np.arange(num_prompts), len(index)),
            "kl": kl.ravel(),
            "kl_k1": np.nan if method == "best_of_n" else kl.ravel(),
            "kl_estimate": kl.ravel() if method == "best_of_n" else np.nan,
            "proxy_score": (0.8 * GOLD_SD * np.broadcast_to(proxy, shape) + offsets[0]).ravel(),
            "gold_score": (GOLD_SD * gold + offsets[1]).ravel(),
            "human_score": np.nan,
        }
    )
    for name, owner in {"n": "best_of_n", "step": "ppo"}.items():
        values = pd.Series(np.repeat(index, num_prompts), dtype="Int64")
        frame[name] = values if owner == method else values.mask(values.notna())
    return in_plain_cells(frame)
