"""Claims on the functional form of gold scores (Gao et al. 2022, sections 1, 3.1, appendix B)."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.form_comparison import FormStatistics
from overopt.analysis.sweeps import over
from overopt.claims.evidence import Evidence, NotRun, size_cells
from overopt.claims.fitted_forms import (
    best_null_excess,
    best_rival_excess,
    by_cell,
    count_above,
    fitted_forms,
    own_form,
    rivals_of,
    text_of,
)
from overopt.claims.registry import claim
from overopt.claims.verdicts import Condition, Finding
from overopt.config.cells import DATA_KEYS

Array = npt.NDArray[np.float64]

PREDICTION_MARGIN = 0.1  # initial-policy sd: a prediction within it counts as good
SMALL_GAMMA = 0.5  # nearer to the log form, at 0, than to the form of best-of-n, at 1


@claim(
    "C5",
    title="Form of best-of-n",
    says="Under best-of-n, gold follows d (alpha - beta d) better than other simple forms.",
    section="1, 3.1",
)
def best_of_n_fits_best(evidence: Evidence) -> Finding:
    """D (alpha - beta d) has the smallest error of the forms with at most two parameters."""
    forms = fitted_forms(evidence, size_cells(evidence, "best_of_n"), "gold")
    return _fits_and_extrapolates(forms)


@claim(
    "C6",
    title="Form of RL",
    says="Under RL, gold follows d (alpha - beta log d), which fits and extrapolates better than "
    "d (alpha - beta d) and log(1 + d).",
    section="1, appendix B",
)
def rl_fits_best(evidence: Evidence) -> Finding:
    """RL's d (alpha - beta log d) has the smallest error, within the range and beyond it."""
    forms = fitted_forms(evidence, size_cells(evidence, "ppo"), "gold")
    return _fits_and_extrapolates(forms)


@claim(
    "C7",
    title="Extrapolation of best-of-n",
    says="The form fitted to best-of-n up to n = 1,000 (6 nats) predicts up to n = 60,000.",
    section="3.1",
)
def best_of_n_extrapolates(evidence: Evidence) -> Finding:
    """Fitted up to n = 1,000, it predicts best-of-n beyond."""
    cells = _deep_cells(evidence)
    forms = fitted_forms(evidence, cells, "gold", is_deep=True)
    finding = _predicts(forms, "beyond_limit", "beyond n = 1,000")
    assert evidence.deep is not None
    conditions = [
        Condition(c.statistic, c.values, c.low, c.high, intervals=evidence.deep.intervals)
        for c in finding.conditions
    ]
    return Finding(conditions, finding.note)


@claim(
    "C8",
    title="Extrapolation of RL",
    says="The form fitted to RL below a KL predicts gold beyond it.",
    section="3.1, Figure 26",
    paper="fit up to 40 nats, predicted to 100",
)
def rl_extrapolates(evidence: Evidence) -> Finding:
    """Fitted to the lower half of the KL range, it predicts the upper half."""
    forms = fitted_forms(evidence, size_cells(evidence, "ppo"), "gold")
    return _predicts(forms, "heldout", "in the upper half of a run's KL, fitted to the lower")


@claim(
    "C9",
    title="log(1 + d) extrapolates worse",
    says="With log(1 + d) in place of log d, RL is extrapolated substantially worse.",
    section="Appendix B",
)
def log1p_extrapolates_worse(evidence: Evidence) -> Finding:
    """Log(1 + d) in place of log d predicts high KL worse."""
    forms = fitted_forms(evidence, size_cells(evidence, "ppo"), "gold")
    log1p, rl = (by_cell(forms, "heldout_rmse", form) for form in ("log1p", "rl"))
    excess = log1p - rl
    statistic = (
        "RMSE at held-out high KL, d (a - b log(1 + d)) minus d (a - b log d), mean over "
        f"{rl.shape[1]} RM sizes (sd)"
    )
    note = (
        f"It is worse at {count_above(excess)} RM sizes; the errors are {log1p[0].mean():.3f} and "
        f"{rl[0].mean():.3f} sd on average."
    )
    return Finding([Condition(statistic, excess.mean(axis=1), low=0)], note)


@claim(
    "C10",
    title="Small power",
    says="Fits of d (alpha - beta d^gamma) to RL give a small gamma, which approximates the log.",
    section="Appendix B",
    paper="small values of gamma",
)
def power_is_small(evidence: Evidence) -> Finding:
    """The best exponent gamma of d (alpha - beta d^gamma) is near 0 for RL."""
    gamma = _gamma(evidence, "ppo")
    statistic = f"median of gamma over {gamma.shape[1]} RM sizes, PPO"
    note = (
        f"At gamma = 0 the power form is d (a - b log d), at 1 it is d (a - b d); the margin of "
        f"{SMALL_GAMMA} lies half way."
    )
    try:
        median = float(np.median(_gamma(evidence, "best_of_n")[0]))
        note += f" For best-of-n the median is {median:.2f}, where 1 is expected (not a claim)."
    except NotRun:
        pass  # the claim is about RL; best-of-n is context
    values = np.median(gamma, axis=1)
    return Finding([Condition(statistic, values, -SMALL_GAMMA, SMALL_GAMMA)], note)


@claim(
    "C11",
    title="RL form near the origin",
    says="The form of RL, whose slope is infinite at 0, does not hold near the origin.",
    section="1, footnote 1",
)
def rl_fails_near_origin(evidence: Evidence) -> Finding:
    """Near the origin, where its slope is infinite, the RL fit lies above the curve."""
    forms = fitted_forms(evidence, size_cells(evidence, "ppo"), "gold")
    errors = by_cell(forms, "near_origin_error", "rl")
    statistic = (
        "gold minus fit in the lowest tenth of the fitted sqrt(KL), mean over "
        f"{errors.shape[1]} RM sizes (sd)"
    )
    note = f"The fit lies above the curve at {count_above(-errors)} RM sizes."
    return Finding([Condition(statistic, errors.mean(axis=1), high=0)], note)


def _fits_and_extrapolates(forms: FormStatistics) -> Finding:
    form = own_form(forms)
    conditions, notes = [], []
    for error, words in (("rmse", "RMSE of the fit"), ("heldout_rmse", "RMSE at held-out high KL")):
        excess, rival = best_rival_excess(forms, error, rivals_of(form))
        statistic = (
            f"{words}, best rival minus {text_of(form)}, mean over "
            f"{len(forms.groups)} RM sizes (sd)"
        )
        conditions.append(Condition(statistic, excess, low=0))
        notes.append(f"{words}: the best rival is {text_of(rival)}.")
    return Finding(conditions, " ".join(notes))


def _predicts(forms: FormStatistics, split: str, where: str) -> Finding:
    """Better than without a form, and within the margin."""
    form = own_form(forms)
    rmse = by_cell(forms, f"{split}_rmse", form)
    errors = by_cell(forms, f"{split}_error", form)
    excess, null = best_null_excess(forms, f"{split}_rmse")
    over = f"mean over {rmse.shape[1]} RM sizes (sd)"
    conditions = [
        Condition(f"RMSE {where}, {text_of(null)} minus {text_of(form)}, {over}", excess, 0),
        Condition(
            f"RMSE of {text_of(form)} {where}, {over}",
            rmse.mean(axis=1),
            high=PREDICTION_MARGIN,
        ),
    ]
    points = forms.points[(forms.points["split"] == split) & (forms.points["form"] == form)]
    is_covered = (points["error_low"] <= 0) & (points["error_high"] >= 0)
    return Finding(
        conditions,
        f"Mean of gold minus prediction: {errors[0].mean():.3f} sd; at {int(is_covered.sum())} of "
        f"{len(points)} held-out points the interval of the error holds 0. Fitted up to "
        f"{points['fit_max_kl'].max():.1f} nats, held out up to "
        f"{points['sqrt_kl'].max() ** 2:.1f}.",
    )


def _deep_cells(evidence: Evidence) -> pd.DataFrame:
    if evidence.deep is None:
        raise NotRun("no best-of-n beyond n = 1,000: switch on the sweep deep")
    groups = evidence.deep.groups
    main, excluded = evidence.main_policy, evidence.excluded_sizes
    return over(groups, *DATA_KEYS, main_policy=main, excluded_sizes=excluded)


def _gamma(evidence: Evidence, method: str) -> Array:
    forms = fitted_forms(evidence, size_cells(evidence, method), "gold")
    return by_cell(forms, "gamma", "power")
