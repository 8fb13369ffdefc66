"""Claims on the size of the reward model (C16 to C22; Gao et al. 2022, section 3.2)."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.sweeps import over
from overopt.claims.curve_shape import methods_with_sizes
from overopt.claims.evidence import (
    Evidence,
    NotRun,
    size_cells,
    slope,
    validation_losses,
    values,
)
from overopt.claims.registry import claim
from overopt.claims.verdicts import Condition, Finding
from overopt.config.methods import METHODS
from overopt.theory.forms import BEST_OF_N

Array = npt.NDArray[np.float64]

CHANCE_LOSS = float(np.log(2))
ALPHA_MARGIN = 0.10  # of its mean per decade; the paper's free fits drift by 0.05
PEAK_MARGIN = 0.10  # of the observed peak
NEAR_CHANCE = 0.25  # of the fall in loss that the smallest RM in the trends achieves


@claim(
    "C16",
    title="Best-of-n: alpha rises, beta falls with RM size",
    says="The coefficients of best-of-n change smoothly with the logarithm of RM size: alpha rises "
    "and beta falls.",
    section="3.2, Figures 3a and 3b",
    paper="alpha +0.054 and beta -0.016 per decade (ICML), +0.064 and -0.011 (arXiv)",
)
def best_of_n_coefficients(evidence: Evidence) -> Finding:
    """Rise of alpha and fall of beta per decade of parameters, with best-of-n."""
    cells = size_cells(evidence, "best_of_n")
    x = _log_sizes(cells)
    alpha, beta = (values(evidence, name, cells) for name in ("alpha", "beta"))
    r2 = [1 - _unexplained(x, y[0]) for y in (alpha, beta)]
    return Finding(
        [
            Condition(
                f"slope of alpha per decade of RM parameters, {len(cells)} sizes (sd per "
                "sqrt(nat))",
                slope(x, alpha),
                low=0,
            ),
            Condition(
                f"slope of beta per decade of RM parameters, {len(cells)} sizes (sd per nat)",
                slope(x, beta),
                high=0,
            ),
        ],
        f"A line in the logarithm explains {r2[0]:.0%} of the variance of alpha between sizes, "
        f"and {r2[1]:.0%} of that of beta.",
    )


@claim(
    "C17",
    title="RL: beta falls with RM size",
    says="With one alpha for all RM sizes, beta of RL falls with the logarithm of RM size.",
    section="3.2, Figure 3c",
    paper="-0.021 per decade",
)
def ppo_beta(evidence: Evidence) -> Finding:
    """Fall of beta of PPO per decade, with one alpha for all sizes."""
    cells = size_cells(evidence, "ppo")
    beta = values(evidence, "shared_beta", cells)
    return Finding(
        [
            Condition(
                "slope of beta of PPO per decade of RM parameters, with one alpha for all of "
                f"{len(cells)} sizes (sd per sqrt(nat))",
                slope(_log_sizes(cells), beta),
                high=0,
            )
        ],
        f"A line in the logarithm explains {1 - _unexplained(_log_sizes(cells), beta[0]):.0%} of "
        "the variance of beta between sizes.",
    )


@claim(
    "C18",
    title="RL: alpha does not depend on RM size",
    says="Alpha of RL can be held constant over RM sizes (here: it changes by less than 10 % of "
    "its mean per decade of parameters).",
    section="3.2",
    paper="a free alpha drifts from 0.35 to 0.40 over three decades, 5 % per decade",
)
def ppo_alpha_is_constant(evidence: Evidence) -> Finding:
    """Relative slope of free alpha of PPO is equivalent to 0 within ALPHA_MARGIN per decade."""
    cells = size_cells(evidence, "ppo")
    alpha = values(evidence, "alpha", cells)
    return Finding(
        [
            Condition(
                "slope of alpha of PPO, fitted to each RM by itself, per decade of RM parameters "
                "as a share of mean alpha",
                slope(_log_sizes(cells), alpha),
                low=-ALPHA_MARGIN,
                high=ALPHA_MARGIN,
                denominator=alpha.mean(axis=1),
            )
        ],
        f"Alpha goes from {alpha[0, 0]:.2f} for the smallest RM to {alpha[0, -1]:.2f} for the "
        "largest.",
    )


@claim(
    "C19",
    title="The peak is predictable",
    says="The fitted law predicts the highest gold score of each RM (here: to 10 % on average, and "
    "rising one for one, within a half).",
    section="3.2, Figure 12",
)
def peak_is_predicted(evidence: Evidence) -> Finding:
    """The fitted law's highest gold within the range agrees with the observed one, by size."""
    cells = size_cells(evidence, "best_of_n")
    alpha, beta, observed = (values(evidence, k, cells) for k in ("alpha", "beta", "peak_gold"))
    end = np.sqrt(values(evidence, "final_kl", cells))
    predicted = _highest_in_range(alpha, beta, end)
    return Finding(
        [
            Condition(
                "highest gold by the fitted law over highest gold observed, best-of-n, means over "
                f"{len(cells)} RM sizes",
                predicted.mean(axis=1),
                low=1 - PEAK_MARGIN,
                high=1 + PEAK_MARGIN,
                denominator=observed.mean(axis=1),
            ),
            Condition(
                f"slope of the observed highest gold on the fitted law's, over {len(cells)} RM "
                "sizes",
                _row_slope(predicted, observed),
                low=0.5,
                high=1.5,
            ),
        ],
        "The law's peak alpha^2 / (4 beta) counts where it lies within the KL that was measured, "
        "else the law's value at the end of the range.",
    )


@claim(
    "C20",
    title="Larger RMs reach more gold",
    says="The highest gold score rises with RM size.",
    section="3.2, Figure 1",
    paper="best-of-n 0.50 (3M) to 1.24 (3B); RL 0.585 to 1.085",
)
def larger_rms_reach_more_gold(evidence: Evidence) -> Finding:
    """Slope of the peak of gold on log N is positive, with each method that was run."""
    conditions: list[Condition] = []
    for method in methods_with_sizes(evidence):
        cells = size_cells(evidence, method)
        conditions.append(
            Condition(
                f"slope of the highest gold with {METHODS[method].label} per decade of RM "
                f"parameters, {len(cells)} sizes (sd)",
                slope(_log_sizes(cells), values(evidence, "peak_gold", cells)),
                low=0,
            )
        )
    return Finding(conditions)


@claim(
    "C21",
    title="Validation loss falls with RM size",
    says="At the largest amount of data, the RM's validation loss falls with its size.",
    section="3.2, Figures 6 and 11",
    paper="0.638 (3M) to 0.459 (3B)",
)
def loss_falls_with_size(evidence: Evidence) -> Finding:
    """Slope of the validation loss on log N at the largest amount of data is negative."""
    cells = size_cells(evidence, "best_of_n")
    losses = validation_losses(evidence, cells)
    return Finding(
        [
            Condition(
                f"slope of the validation loss per decade of RM parameters, {len(cells)} sizes "
                "(nats)",
                slope(_log_sizes(cells), losses),
                high=0,
            )
        ],
        f"It goes from {losses[0, 0]:.3f} for the smallest RM to {losses[0, -1]:.3f} for the "
        "largest; chance is 0.693.",
    )


@claim(
    "C22",
    title="Too small RMs are near chance",
    says="RMs below a smallest size stay near chance loss and off the trend.",
    section="footnote 3, Figure 11",
    paper="two RMs below 3M parameters",
)
def too_small_rms_are_near_chance(evidence: Evidence) -> Finding:
    """RMs left out of the trends stay near chance loss, and above the line through the others."""
    cells = size_cells(evidence, "best_of_n")
    small = _too_small(evidence, cells)
    x, losses = _log_sizes(cells), validation_losses(evidence, cells)
    losses_small = validation_losses(evidence, small)
    rise = slope(x, losses)
    line = losses.mean(axis=1) + rise * (_log_sizes(small).mean() - x.mean())
    names = " and ".join(small["proxy_size"])
    return Finding(
        [
            Condition(
                f"fall of the loss below chance of {names}, as a share of that of "
                f"{cells['proxy_size'].iloc[0]}",
                CHANCE_LOSS - losses_small.mean(axis=1),
                high=NEAR_CHANCE,
                denominator=CHANCE_LOSS - losses[:, 0],
            ),
            Condition(
                f"validation loss of {names} above the line through the other sizes (nats)",
                losses_small.mean(axis=1) - line,
                low=0,
            ),
        ],
        f"Loss {losses_small[0].mean():.3f}, chance is 0.693.",
    )


def _too_small(evidence: Evidence, cells: pd.DataFrame) -> pd.DataFrame:
    groups = evidence.statistics.groups
    own = over(groups[groups["method"] == "best_of_n"], main_policy=evidence.main_policy)
    is_alike = own["num_comparisons"] == cells["num_comparisons"].iloc[0]
    small = own[own["proxy_size"].isin(evidence.excluded_sizes) & is_alike]
    if small.empty:
        raise NotRun(
            "no RM below the smallest size of the trends: switch on the sweep below_smallest"
        )
    return small.sort_values("num_parameters")


def _log_sizes(cells: pd.DataFrame) -> Array:
    return np.log10(cells["num_parameters"].to_numpy(dtype=np.float64))


def _unexplained(x: Array, y: Array) -> float:
    """Share of the variance of `y` that a line in `x` leaves."""
    centered = y - y.mean()
    residual = centered - slope(x, y) * (x - x.mean())
    return float((residual**2).sum() / (centered**2).sum())


def _row_slope(x: Array, y: Array) -> Array:
    """Slope of each row of `y` on the same row of `x`."""
    centered = x - x.mean(axis=1, keepdims=True)
    spread = (centered**2).sum(axis=1)
    return (centered * y).sum(axis=1) / np.where(spread > 0, spread, np.nan)


def _highest_in_range(alpha: Array, beta: Array, end: Array) -> Array:
    """Highest value of d (alpha - beta d) for 0 <= d <= end."""
    has_peak = beta > 0
    peak = np.where(has_peak, alpha / (2 * np.where(has_peak, beta, 1)), end)
    return BEST_OF_N.score(np.clip(peak, 0, end), alpha, beta)
