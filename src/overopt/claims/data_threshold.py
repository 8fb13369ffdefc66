"""
Claims on a threshold of RM data (C25 to C28; Gao et al. 2022, section 3.3, footnote 8).

The paper puts it near 2,000 comparisons, a number of its own scale. What is tested here has no
scale: that there is a threshold, and how it depends on RM size.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.claims.evidence import (
    Evidence,
    NotRun,
    at_end,
    data_sweeps,
    slope,
    validation_losses,
)
from overopt.claims.registry import claim
from overopt.claims.verdicts import Condition, Finding

Array = npt.NDArray[np.float64]

CHANCE_LOSS = float(np.log(2))
NEAR_CHANCE = 0.2  # of the fall in loss that the largest amount achieves
HALF = 0.5
SHIFT_MARGIN = 0.15  # decades of data per decade of parameters: 1.4 times per ten times


@claim(
    "C25",
    title="Below a threshold of data the loss stays near chance",
    says="Below about 2,000 comparisons RMs of all sizes improve very little on near-chance loss. "
    "(Here, without the scale: with the least data every RM has made less than a fifth of its "
    "fall in loss, and at first the loss falls more slowly than over all.)",
    section="3.3, Figure 6",
    paper="loss 0.684 to 0.688 at 2,000, 0.672 to 0.682 at 4,000; chance 0.693",
)
def little_data_is_near_chance(evidence: Evidence) -> Finding:
    """Every RM is near chance at the smallest amount, and the loss falls little at first."""
    sweeps = _complete_sweeps(evidence, at_least=4)
    x = _log_data(sweeps[0])
    losses = [validation_losses(evidence, cells) for cells in sweeps]
    smallest = int(sweeps[0]["num_comparisons"].iloc[0])
    mean = np.mean(losses, axis=0)
    lowest = max(2, (len(x) + 1) // 3 + 1)
    flatter = slope(x[:lowest], mean[:, :lowest]) - slope(x, mean)
    near = [
        Condition(
            f"fall of the loss of RM {cells['proxy_size'].iloc[0]} below chance at {smallest} "
            f"comparisons, as a share of that at {cells['num_comparisons'].iloc[-1]}",
            _gain(loss)[:, 0],
            high=NEAR_CHANCE,
            denominator=_gain(loss)[:, -1],
        )
        for cells, loss in zip(sweeps, losses, strict=True)
    ]
    shares = [f"{_gain(loss[0])[0] / _gain(loss[0])[-1]:.2f}" for loss in losses]
    flat_at_first = Condition(
        f"slope of the mean loss per decade of comparisons, from {smallest} to "
        f"{sweeps[0]['num_comparisons'].iloc[lowest - 1]} minus over all amounts (nats)",
        flatter,
        low=0,
    )
    return Finding(
        [*near, flat_at_first],
        f"Shares by RM size: {', '.join(shares)}. Mean loss by amount: "
        f"{_by_amount(sweeps[0], mean[0])}; chance is 0.693.",
    )


@claim(
    "C26",
    title="Below the threshold gold does not improve",
    says="Gold at n = 1,000 shows the same threshold: below it the best of n is worse than the "
    "initial policy, above it better. (Here: with the least and with the most data.)",
    section="3.3, Figure 21",
    paper="-0.24 to -0.62 at 2,000 and less, positive from 4,000 to 16,000",
)
def little_data_gives_no_gold(evidence: Evidence) -> Finding:
    """Gold at the largest n is below the initial policy's with the least data, above with most."""
    sweeps = _complete_sweeps(evidence, at_least=2)
    gold = np.mean([at_end(evidence, "gold", cells) for cells in sweeps], axis=0)
    amounts = sweeps[0]["num_comparisons"]
    over = f"at the largest n of best-of-n, mean over {len(sweeps)} RM sizes (sd)"
    return Finding(
        [
            Condition(f"gold {over} with {amounts.iloc[0]} comparisons", gold[:, 0], high=0),
            Condition(f"gold {over} with {amounts.iloc[-1]} comparisons", gold[:, -1], low=0),
        ],
        f"By amount: {_by_amount(sweeps[0], gold[0])}; the initial policy has 0.",
    )


@claim(
    "C27",
    title="Past the threshold larger RMs improve faster",
    says="Past the threshold the loss of larger RMs falls faster with data.",
    section="3.3, Figure 6",
    paper="8,000 to 32,000 comparisons: 0.672 to 0.642 (3M), 0.625 to 0.471 (3B)",
)
def larger_rms_improve_faster(evidence: Evidence) -> Finding:
    """In the upper half of the amounts, the loss falls faster per decade for larger RMs."""
    sweeps = _complete_sweeps(evidence, at_least=4, num_sizes=3)
    upper = len(sweeps[0]) // 2
    x = _log_data(sweeps[0])[upper:]
    slopes = [slope(x, validation_losses(evidence, cells)[:, upper:]) for cells in sweeps]
    per_size = np.stack(slopes, axis=1)
    return Finding(
        [
            Condition(
                "change of the loss's slope per decade of comparisons, per decade of RM "
                f"parameters, {len(sweeps)} sizes (nats)",
                slope(_log_sizes(sweeps), per_size),
                high=0,
            )
        ],
        f"From {sweeps[0]['num_comparisons'].iloc[upper]} comparisons up, ten times the data "
        f"changes the loss by {per_size[0, 0]:.3f} for the smallest RM and by "
        f"{per_size[0, -1]:.3f} for the largest.",
    )


@claim(
    "C28",
    title="The threshold does not depend on RM size",
    says="The threshold does not come substantially earlier for larger RMs (here: the amount of "
    "data at which half of an RM's fall in loss is reached moves by less than 1.4 times per "
    "ten times the parameters).",
    section="3.3, footnote 8",
    paper="about 2,000 comparisons for every size",
)
def threshold_does_not_move(evidence: Evidence) -> Finding:
    """Amount at which half of the fall in loss is reached: its slope on log size is about 0."""
    sweeps = _complete_sweeps(evidence, at_least=4, num_sizes=3)
    x = _log_data(sweeps[0])
    places = [_place_of_half(x, validation_losses(evidence, cells)) for cells in sweeps]
    place = np.stack(places, axis=1)
    early = int((place[0] == x[0]).sum())
    if 2 * early > len(sweeps) or np.isnan(place[0]).any():
        raise NotRun(
            f"half of the fall in loss lies below the smallest amount of data for {early} of "
            f"{len(sweeps)} RM sizes: add smaller amounts to the sweep over data (rm_data)"
        )
    return Finding(
        [
            Condition(
                "decades by which the amount of data moves at which half of an RM's fall in loss "
                f"is reached, per decade of RM parameters, {len(sweeps)} sizes",
                slope(_log_sizes(sweeps), place),
                low=-SHIFT_MARGIN,
                high=SHIFT_MARGIN,
            )
        ],
        f"The amount is {10 ** place[0, 0]:.0f} comparisons for the smallest RM and "
        f"{10 ** place[0, -1]:.0f} for the largest; for {early} of {len(sweeps)} sizes it is "
        "the smallest amount or less, and counts as the smallest.",
    )


def _complete_sweeps(evidence: Evidence, at_least: int, num_sizes: int = 1) -> list[pd.DataFrame]:
    """Data sweeps with the amounts that all of them have, one frame per RM size."""
    sweeps = data_sweeps(evidence, "best_of_n", at_least)
    shared = set.intersection(*(set(cells["num_comparisons"]) for cells in sweeps))
    if len(shared) < at_least or len(sweeps) < num_sizes:
        raise NotRun(
            f"{len(shared)} amounts of data for each of {len(sweeps)} RM sizes, {at_least} for "
            f"{num_sizes} are needed: switch on the sweep over data (rm_data)"
        )
    return [cells[cells["num_comparisons"].isin(shared)] for cells in sweeps]


def _gain(losses: Array) -> Array:
    return CHANCE_LOSS - losses


def _place_of_half(x: Array, losses: Array) -> Array:
    """Where, in `x`, a loss has first fallen by half of its whole fall from chance.

    The first of `x` where it has by then; NaN where the last loss is not below chance.
    """
    gain = _gain(losses)
    share = np.maximum.accumulate(gain, axis=1) / gain[:, -1:]
    place = np.array([np.interp(HALF, row, x) for row in share])
    return np.where(gain[:, -1] > 0, place, np.nan)


def _by_amount(cells: pd.DataFrame, numbers: Array) -> str:
    amounts = cells["num_comparisons"]
    return ", ".join(f"{y:.2f} ({n})" for n, y in zip(amounts, numbers, strict=True))


def _log_data(cells: pd.DataFrame) -> Array:
    return np.log10(cells["num_comparisons"].to_numpy(dtype=np.float64))


def _log_sizes(sweeps: list[pd.DataFrame]) -> Array:
    return np.log10([float(cells["num_parameters"].iloc[0]) for cells in sweeps])
