"""Claims on proxy scores as a function of KL (Gao et al. 2022, sections 3.1, 3.2, Figure 20)."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.claims.evidence import Evidence, NotRun, size_cells
from overopt.claims.fitted_forms import by_cell, count_above, fitted_forms, own_form
from overopt.claims.registry import claim
from overopt.claims.verdicts import Condition, Finding
from overopt.config.methods import METHODS

Array = npt.NDArray[np.float64]

MUCH_LOWER = 0.5
STRAIGHT_R2 = 0.95
SLOPE_MARGIN = 0.25  # of a curve's mean slope: "roughly linear" where its slope changes less


@claim(
    "C12",
    title="Proxy under best-of-n is concave",
    says="Under best-of-n the proxy score is concave in d, so that d alpha does not fit.",
    section="3.1, Figure 20",
)
def best_of_n_proxy_is_concave(evidence: Evidence) -> Finding:
    """Beta of the proxy's d (alpha - beta d) is above 0, and a line predicts worse."""
    forms = fitted_forms(evidence, size_cells(evidence, "best_of_n"), "proxy")
    beta = by_cell(forms, "beta", "best_of_n")
    worse = by_cell(forms, "heldout_rmse", "linear") - by_cell(forms, "heldout_rmse", "best_of_n")
    over = f"mean over {beta.shape[1]} RM sizes"
    conditions = [
        Condition(f"beta of the proxy score under best-of-n, {over} (sd per nat)", _mean(beta), 0),
        Condition(f"RMSE at held-out high KL, d a minus d (a - b d), {over} (sd)", _mean(worse), 0),
    ]
    return Finding(conditions, f"Beta is above 0 at {count_above(beta)} RM sizes.")


@claim(
    "C13",
    title="Proxy's beta is much lower",
    says="Fitted with the form of best-of-n, the proxy score has a much lower beta than gold.",
    section="3.2",
)
def proxy_beta_is_much_lower(evidence: Evidence) -> Finding:
    """Beta of the proxy is less than half of gold's, best-of-n."""
    cells = size_cells(evidence, "best_of_n")
    proxy, gold = (
        by_cell(fitted_forms(evidence, cells, score), "beta", "best_of_n")
        for score in ("proxy", "gold")
    )
    statistic = (
        "beta of the proxy score over beta of gold under best-of-n, means over "
        f"{gold.shape[1]} RM sizes"
    )
    note = f"Much lower is taken as less than {MUCH_LOWER} of it."
    ratio = Condition(statistic, _mean(proxy), high=MUCH_LOWER, denominator=_mean(gold))
    return Finding([ratio], note)


@claim(
    "C14",
    title="Proxy is underestimated at high KL",
    says="Forms fitted to the proxy score at low KL underestimate it at high KL, for best-of-n and "
    "for RL.",
    section="3.2",
)
def proxy_is_underestimated(evidence: Evidence) -> Finding:
    """Forms fitted to the proxy at low KL underestimate it at high KL, under both methods."""
    conditions, notes = [], []
    for method in ("best_of_n", "ppo"):
        forms = fitted_forms(evidence, size_cells(evidence, method), "proxy")
        errors = by_cell(forms, "heldout_error", own_form(forms))
        statistic = (
            f"proxy score minus prediction at held-out high KL, {METHODS[method].label}, mean over "
            f"{errors.shape[1]} RM sizes (sd)"
        )
        conditions.append(Condition(statistic, _mean(errors), low=0))
        notes.append(f"Above 0 at {count_above(errors)} RM sizes with {METHODS[method].label}.")
    notes += _deep_note(evidence)
    return Finding(conditions, " ".join(notes))


@claim(
    "C15",
    title="Proxy becomes linear",
    says="At high KL the proxy score grows about linearly in d.",
    section="3.2",
)
def proxy_becomes_linear(evidence: Evidence) -> Finding:
    """In the upper half of sqrt(KL) the proxy is a straight line, under both methods."""
    conditions = []
    for method in ("best_of_n", "ppo"):
        cells = size_cells(evidence, method)
        r2, change = _straightness(evidence, cells)
        over = f"{METHODS[method].label}, mean over {len(cells)} RM sizes"
        conditions += [
            Condition(f"R2 of a line through the upper half of sqrt(KL), {over}", r2, STRAIGHT_R2),
            Condition(
                "change of the proxy's slope from the third to the last quarter of sqrt(KL), over "
                f"the mean slope, {over}",
                change,
                -SLOPE_MARGIN,
                SLOPE_MARGIN,
            ),
        ]
    note = (
        "R2 alone is high for any smooth rise; the change of slope is 0 for a line, and within "
        f"{SLOPE_MARGIN} of the mean slope it counts as roughly linear."
    )
    return Finding(conditions, note)


def _straightness(evidence: Evidence, cells: pd.DataFrame) -> tuple[Array, Array]:
    """R2 of a line through the upper half of d, and change of slope within it; means, (1 + B,)."""
    r2, changes = [], []
    for column in cells.index:
        curve = evidence.statistics.curves[column]
        num_seeds = curve.points["num_seeds"]
        position = curve.points["position"][num_seeds == num_seeds.max()].to_numpy()
        d, proxy = curve.sqrt_kl[:, position], curve.scores["proxy"][:, position]
        place = d[0] / np.nanmax(d[0])
        upper = (place >= 0.5) & np.isfinite(d).all(axis=0)
        third, last = upper & (place < 0.75), upper & (place >= 0.75)
        if min(third.sum(), last.sum()) < 2:
            raise NotRun("a curve has fewer than two points in a quarter of its sqrt(KL)")
        r2.append(_line(d[:, upper], proxy[:, upper])[1])
        early, late = (_line(d[:, part], proxy[:, part])[0] for part in (third, last))
        end = np.flatnonzero(last)[-1]
        changes.append((late - early) / ((proxy[:, end] - proxy[:, 0]) / d[:, end]))
    return np.mean(r2, axis=0), np.mean(changes, axis=0)


def _deep_note(evidence: Evidence) -> list[str]:
    if evidence.deep is None:
        return []
    cells = evidence.deep.groups
    cells = cells[cells["policy_size"] == evidence.main_policy]
    try:
        deep = fitted_forms(evidence, cells, "proxy", is_deep=True)
        error = by_cell(deep, "beyond_limit_error", "best_of_n")[0].mean()
    except NotRun:
        return []  # large n, but not beyond the range of the fit
    return [f"Best-of-n beyond n = 1,000, fitted up to there: {error:+.3f} sd on average."]


def _line(d: Array, y: Array) -> tuple[Array, Array]:
    """Slope and R2 of the least-squares line of each row, both (R,)."""
    x, y = d - d.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    xx, xy, yy = ((a * b).sum(axis=1) for a, b in ((x, x), (x, y), (y, y)))
    return xy / xx, xy**2 / (xx * np.where(yy > 0, yy, np.nan))


def _mean(values: Array) -> Array:
    return values.mean(axis=1)
