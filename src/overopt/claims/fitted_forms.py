"""Fits of rival forms as evidence: means over cells, with their bootstrap replicates."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.form_comparison import FormStatistics, compare_forms
from overopt.analysis.held_out import predictors
from overopt.claims.evidence import Evidence, NotRun
from overopt.config.methods import METHODS
from overopt.theory.forms import FORMLESS, FORMS

Array = npt.NDArray[np.float64]


def fitted_forms(
    evidence: Evidence, cells: pd.DataFrame, score: str, *, is_deep: bool = False
) -> FormStatistics:
    """Compare all forms of `score` on the curves of `cells`, which are of the main policy.

    `cells` are rows of the groups of `evidence.statistics`, or of `evidence.deep`. Claims that ask
    for the same cells and score share one comparison.
    """
    statistics = evidence.deep if is_deep else evidence.statistics
    if statistics is None:
        raise NotRun("no best-of-n beyond n = 1,000: switch on the sweep deep")
    key = (score, is_deep, *cells.index)
    if key not in evidence.forms:
        chosen = replace(
            statistics,
            groups=cells.reset_index(drop=True),
            curves=[statistics.curves[column] for column in cells.index],
        )
        # scores count from the main policy's initial ones, so these are zero
        initial = np.zeros((len(statistics.resamples.prompt_weights), len(cells)))
        evidence.forms[key] = compare_forms(chosen, score, initial, evidence.config)
    return evidence.forms[key]


def by_cell(forms: FormStatistics, quantity: str, predictor: str) -> Array:
    """Replicates of one quantity of one form, (1 + B, cells), for the cells that have it.

    NotRun if none has: no curve is long enough.
    """
    values = forms.values[quantity][:, :, predictors().index(predictor)]
    values = values[:, np.isfinite(values[0])]
    if not values.shape[1]:
        raise NotRun(f"no curve has points enough for {quantity} of {text_of(predictor)}")
    return values


def text_of(predictor: str) -> str:
    """Words for a form, "d (a - b log d)", or for a predictor that knows no form."""
    return FORMS[predictor].short_text if predictor in FORMS else FORMLESS[predictor]


def own_form(forms: FormStatistics) -> str:
    """Form of the paper for the method of these cells, which are all of one."""
    return METHODS[str(forms.groups["method"].iloc[0])].form


def rivals_of(form: str) -> tuple[str, ...]:
    """The other forms with at most two parameters."""
    simple = [name for name, other in FORMS.items() if other.num_parameters <= 2]
    return tuple(name for name in simple if name != form)


def best_rival_excess(
    forms: FormStatistics, error: str, rivals: tuple[str, ...]
) -> tuple[Array, str]:
    """Mean over cells of `error`, the best rival's minus that of the paper's form, and its name.

    Shape (1 + B,). Which rival is best is found anew in each replicate, so it is above 0 where the
    paper's form is better than every rival.
    """
    own = by_cell(forms, error, own_form(forms)).mean(axis=1)
    means = np.stack([by_cell(forms, error, rival).mean(axis=1) for rival in rivals])
    return means.min(axis=0) - own, rivals[int(np.argmin(means[:, 0]))]


def best_null_excess(forms: FormStatistics, error: str) -> tuple[Array, str]:
    """Excess error over the best predictor without a form, as `best_rival_excess` of rivals."""
    return best_rival_excess(forms, error, tuple(FORMLESS))


def count_above(values: Array) -> str:
    """How many estimates lie above 0, such as "5 of 7"; `values` as of `by_cell`."""
    return f"{int((values[0] > 0).sum())} of {values.shape[1]}"
