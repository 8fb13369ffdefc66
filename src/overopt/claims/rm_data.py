"""
Claims on the amount of RM data (C23, C24, C29, C30; Gao et al. 2022, section 3.3).

Those on a threshold, C25 to C28, are in `data_threshold`.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.claims.curve_values import changes_in_kl
from overopt.claims.evidence import (
    Evidence,
    NotRun,
    at_end,
    data_sweeps,
    plain_cells,
    size_cells,
    slope,
    validation_losses,
    values,
)
from overopt.claims.registry import claim
from overopt.claims.verdicts import Condition, Finding
from overopt.config.methods import METHODS

Array = npt.NDArray[np.float64]

GOLD_MARGIN = 0.1  # sd of gold between responses: what counts as no change of gold
MIN_RMS = 10  # for a regression on loss, its square, log size and log data


@claim(
    "C23",
    title="More data: more gold, less overoptimization",
    says="With more RM data the gold score gets higher and falls less, with best-of-n and with RL.",
    section="3.3, Figure 4",
)
def more_data_is_better(evidence: Evidence) -> Finding:
    """Peak of gold, and its change over the last third of sqrt(KL), rise with log data."""
    conditions: list[Condition] = []
    for method in _methods_with_data(evidence):
        sweeps = data_sweeps(evidence, method)
        sizes = ", ".join(str(cells["proxy_size"].iloc[0]) for cells in sweeps)
        over = f"per decade of comparisons with {METHODS[method].label}, RM sizes {sizes} (sd)"
        peak = [slope(_log_data(cells), values(evidence, "peak_gold", cells)) for cells in sweeps]
        last = [
            slope(_log_data(cells), changes_in_kl(evidence, cells, "gold", 2 / 3, 1))
            for cells in sweeps
        ]
        conditions += [
            Condition(f"slope of the highest gold {over}", np.mean(peak, axis=0), low=0),
            Condition(
                f"slope of the change of gold over the last third of sqrt(KL) {over}",
                np.mean(last, axis=0),
                low=0,
            ),
        ]
    return Finding(conditions)


@claim(
    "C24",
    title="Coefficients follow data less cleanly than size",
    says="Alpha and beta do not follow the amount of data as cleanly as they follow RM size.",
    section="3.3, Figures 17 and 18",
    paper="alpha 0.10 to 0.58 over 120 to 90,000 comparisons, beta without a trend",
)
def data_trend_is_less_clean(evidence: Evidence) -> Finding:
    """R^2 of a line in log size exceeds that in log data, mean of alpha and beta."""
    sizes = size_cells(evidence, "best_of_n")
    sweeps = data_sweeps(evidence, "best_of_n", at_least=4)
    amounts = set.intersection(*(set(cells["num_comparisons"]) for cells in sweeps))
    if len(amounts) < 4:
        raise NotRun("RM sizes share fewer than 4 amounts of data: switch on the sweep rm_data")
    sweeps = [cells[cells["num_comparisons"].isin(amounts)] for cells in sweeps]
    over_sizes, over_data = [], []
    for name in ("alpha", "beta"):
        over_sizes.append(_r2(_log_sizes(sizes), values(evidence, name, sizes)))
        averaged = np.mean([values(evidence, name, cells) for cells in sweeps], axis=0)
        over_data.append(_r2(_log_data(sweeps[0]), averaged))
    by_size, by_data = np.mean(over_sizes, axis=0), np.mean(over_data, axis=0)
    return Finding(
        [
            Condition(
                "R^2 of a line over log RM size minus that over log data, mean of alpha and beta "
                "of best-of-n",
                by_size - by_data,
                low=0,
            )
        ],
        f"R^2 is {by_size[0]:.2f} over {len(sizes)} RM sizes and {by_data[0]:.2f} over "
        f"{len(amounts)} amounts of data (coefficients averaged over {len(sweeps)} RM sizes).",
    )


@claim(
    "C29",
    title="Unique data matters, not steps",
    says="Four epochs over the same comparisons do not change gold (here: by less than 0.1 sd); "
    "four times the comparisons raise it.",
    section="footnote 7, Figure 13",
    paper="validation losses 0.686 (1 x 2,000), 0.684 (4 x 2,000), 0.655 (1 x 8,000)",
)
def unique_data_matters(evidence: Evidence) -> Finding:
    """Several epochs leave gold at the largest n as it is (TOST), more data raise it."""
    cells = plain_cells(evidence, "best_of_n")
    repeated = cells[cells["num_epochs"] > 1]
    if repeated.empty:
        raise NotRun("no RM was trained for several epochs: switch on the sweep epochs")
    epochs = int(repeated["num_epochs"].max())
    amount = int(repeated["num_comparisons"].max())
    base = _of_cells(cells, amount, 1)
    several = _of_cells(cells, amount, epochs)
    more = _of_cells(cells, amount * epochs, 1)
    sizes = [size for size in base.index if size in several.index and size in more.index]
    if not sizes:
        raise NotRun(
            f"{epochs} epochs of {amount} comparisons need one epoch of {amount} and of "
            f"{amount * epochs} beside them: switch on the sweeps epochs and rm_data"
        )
    base, several, more = (rows.loc[sizes].set_index("column") for rows in (base, several, more))
    gold = at_end(evidence, "gold", base)
    over = f"at the largest n, mean over {len(sizes)} RM sizes (sd)"
    losses = [validation_losses(evidence, rows)[0].mean() for rows in (base, several, more)]
    return Finding(
        [
            Condition(
                f"gold after {epochs} epochs of {amount} comparisons minus after 1, {over}",
                (at_end(evidence, "gold", several) - gold).mean(axis=1),
                low=-GOLD_MARGIN,
                high=GOLD_MARGIN,
            ),
            Condition(
                f"gold after {amount * epochs} comparisons minus after {amount}, {over}",
                (at_end(evidence, "gold", more) - gold).mean(axis=1),
                low=0,
            ),
        ],
        f"Mean validation losses: {losses[0]:.3f} (1 x {amount}), {losses[1]:.3f} "
        f"({epochs} x {amount}), {losses[2]:.3f} (1 x {amount * epochs}).",
    )


@claim(
    "C30",
    title="Equal loss, equal robustness",
    says="RMs with equal validation loss reach equal gold at the largest n, however size and data "
    "are mixed (here: less than 0.1 sd per decade of either). The paper calls its evidence "
    "weak.",
    section="3.3, Figure 5",
    paper="at losses 0.47 to 0.51 gold spans 0.64 to 1.03, and is higher with more data",
)
def loss_alone_decides(evidence: Evidence) -> Finding:
    """Given the loss (and its square), gold at the largest n depends on neither size nor data."""
    cells = plain_cells(evidence, "best_of_n")
    cells = cells[cells["num_epochs"] == cells["num_epochs"].min()]
    num_sizes, num_amounts = cells["proxy_size"].nunique(), cells["num_comparisons"].nunique()
    if len(cells) < MIN_RMS or min(num_sizes, num_amounts) < 3:
        raise NotRun(
            f"{len(cells)} RMs are too few to tell loss, size and data apart: switch on the "
            "sweep over data for several RM sizes (rm_data)"
        )
    loss = validation_losses(evidence, cells)
    loss = loss - loss.mean(axis=1, keepdims=True)
    ones = np.ones_like(loss)
    x = [ones, loss, loss**2, ones * _log_sizes(cells), ones * _log_data(cells)]
    gold = at_end(evidence, "gold", cells)
    coefficients = np.linalg.pinv(np.stack(x, axis=2)) @ gold[:, :, None]
    given = f"at equal validation loss, {len(cells)} RMs (sd)"
    return Finding(
        [
            Condition(
                f"change of gold at the largest n per decade of {name}, {given}",
                coefficients[:, column, 0],
                low=-GOLD_MARGIN,
                high=GOLD_MARGIN,
            )
            for column, name in ((3, "RM parameters"), (4, "comparisons"))
        ]
    )


def _of_cells(cells: pd.DataFrame, num_comparisons: int, num_epochs: int) -> pd.DataFrame:
    """Cells with this much data, indexed by RM size, with their column."""
    rows = cells[cells["num_comparisons"] == num_comparisons]
    rows = rows[rows["num_epochs"] == num_epochs]
    return rows.reset_index(names="column").set_index("proxy_size", drop=False)


def _methods_with_data(evidence: Evidence) -> list[str]:
    methods: list[str] = []
    for method in ("best_of_n", "ppo"):
        try:
            data_sweeps(evidence, method)
        except NotRun:
            continue
        methods.append(method)
    if not methods:
        data_sweeps(evidence, "best_of_n")  # says what is missing
    return methods


def _log_data(cells: pd.DataFrame) -> Array:
    return np.log10(cells["num_comparisons"].to_numpy(dtype=np.float64))


def _log_sizes(cells: pd.DataFrame) -> Array:
    return np.log10(cells["num_parameters"].to_numpy(dtype=np.float64))


def _r2(x: Array, y: Array) -> Array:
    """R^2 of a line in `x` for each row of `y`."""
    centered = y - y.mean(axis=1, keepdims=True)
    explained = slope(x, y)[:, None] * (x - x.mean())
    return (explained**2).sum(axis=1) / (centered**2).sum(axis=1)
