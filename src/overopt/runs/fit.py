"""
The laws of Gao et al. 2022 and their rivals, fitted to one run, with intervals and the peak.

Intervals come from prompts where the record has them (bootstrap over prompts), else from the
residuals of the fit (moving blocks, since neighbouring steps err alike); the result says which.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from overopt.analysis.bins import bin_means, bin_numbers
from overopt.errors import UserError
from overopt.runs.record import Array, RunCurve
from overopt.theory.form_fits import FormFit, fit_form, form_peak
from overopt.theory.forms import FORMS

NUM_REPLICATES = 1000
LEVEL = 0.95
MIN_POINTS = 4
MAX_POINTS = 60  # of a log of means: more steps are averaged, neighbours with neighbours
BIN_WIDTH = 0.25  # of sqrt(KL), nats per sequence, as in the studies of this project
Basis = Literal["prompts", "residuals"]
Score = Literal["gold", "proxy"]


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95% interval; infinite or NaN ends are told as such."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class FittedForm:
    """One form fitted to one score.

    `peak_kl`, `peak_score`: where the fitted curve peaks and how high; the estimate is infinite
    where it has no peak. `rmse`: in units of the score.
    """

    form: str
    alpha: Interval
    beta: Interval
    peak_kl: Interval
    peak_score: Interval
    r2: float
    rmse: float


@dataclass(frozen=True)
class FittedRun:
    """What was fitted to one run.

    Attributes
    ----------
    score : which score the forms are of.
    own_form : the law of this kind of run: best_of_n along n, rl along steps.
    basis : what the intervals are over, and of how many (`num_basis` prompts or points).
    unit : of the scores.
    d, values : the fitted points, sqrt(KL) in nats per sequence and score above the first.
    observed_peak_kl : KL of the highest point.
    drop : value at the highest point minus the last one; an interval above 0: the score has
        fallen.
    """

    curve: RunCurve
    score: Score
    own_form: str
    basis: Basis
    num_basis: int
    unit: str
    d: Array
    values: Array
    observed_peak_kl: float
    drop: Interval
    forms: dict[str, FittedForm] = field(default_factory=dict[str, FittedForm])

    @property
    def own(self) -> FittedForm:
        """The fit of the run's own law."""
        return self.forms[self.own_form]

    @property
    def max_kl(self) -> float:
        """Highest KL that was fitted, nats per sequence."""
        return float(self.d.max() ** 2)

    @property
    def is_peak_reached(self) -> bool:
        """Whether the own law's peak lies within the data."""
        return bool(self.own.peak_kl.estimate <= self.max_kl)


def fit_run(curve: RunCurve, seed: int = 0) -> list[FittedRun]:
    """Fit every form to gold (where there is one) and to the proxy.

    Raises
    ------
    UserError
        The curve has no KL, or fewer than four points above a KL of 0.
    """
    if curve.kl is None:
        raise UserError(f"{curve.name}: " + "; ".join(curve.missing or ["the run has no KL"]))
    scores: list[Score] = ["gold", "proxy"] if curve.gold is not None else ["proxy"]
    return [_fit_score(curve, score, np.random.default_rng(seed)) for score in scores]


def _fit_score(curve: RunCurve, score: Score, rng: np.random.Generator) -> FittedRun:
    kl, values = _replicates(curve, score, rng)
    d = np.sqrt(np.maximum(kl, 0))
    if curve.point == "step" and len(d) > 1:
        d, values = _binned(d, values)
    basis: Basis = "prompts" if score in curve.per_prompt else "residuals"
    is_fitted = np.isfinite(d[0]) & np.isfinite(values[0]) & (d[0] > 0)
    if basis == "residuals":
        is_fitted |= d[0] == 0  # they tell where the score starts
    if is_fitted.sum() < MIN_POINTS:
        raise UserError(
            f"{curve.name}: {int(is_fitted.sum())} points with a KL above 0; a fit needs at least "
            f"{MIN_POINTS}. Evaluate more often"
        )
    d, values = d[:, is_fitted], values[:, is_fitted]
    own_form = "best_of_n" if curve.point == "n" else "rl"
    if basis == "residuals":
        d, values = _residual_replicates(own_form, d[0], values[0], rng)
        is_fitted = d[0] > 0
        d, values = d[:, is_fitted], values[:, is_fitted]
    known = np.isfinite(d) & np.isfinite(values)
    fits = {name: fit_form(form, d, values, known) for name, form in FORMS.items()}
    highest = int(np.argmax(values[0]))
    drops = values[:, highest] - values[:, -1]
    return FittedRun(
        *(curve, score, own_form, basis),
        _num_basis(curve, score, d),
        _unit(curve),
        d[0],
        values[0],
        float(d[0, highest] ** 2),
        _interval(drops),
        {form: _fitted(form, fit, d, values) for form, fit in fits.items()},
    )


def _unit(curve: RunCurve) -> str:
    if curve.per_prompt and curve.format.startswith(("best-of-n from", "checkpoints")):
        return "within-prompt sd of the initial policy's score"
    if curve.per_prompt:
        return "units of the score, above its first point"
    return "units of the log's score, above its fitted start"


def _num_basis(curve: RunCurve, score: Score, d: Array) -> int:
    return curve.per_prompt[score].shape[1] if score in curve.per_prompt else d.shape[1]


def _replicates(curve: RunCurve, score: Score, rng: np.random.Generator) -> tuple[Array, Array]:
    """KL and score above the first point, (1 + replicates, T); prompts drawn anew where known."""
    known = curve.per_prompt
    if score in known and "kl" in known and known[score].shape == known["kl"].shape:
        num = known[score].shape[1]
        drawn = rng.multinomial(num, np.full(num, 1 / num), NUM_REPLICATES) / num
        weights = np.vstack([np.full(num, 1 / num), drawn])
        values = weights @ known[score].T
        return weights @ known["kl"].T, values - values[:, :1]
    series = curve.gold if score == "gold" else curve.proxy
    assert series is not None and curve.kl is not None
    known_points = np.isfinite(series)
    series, kl = series[known_points], curve.kl[known_points]
    size = -(-len(series) // MAX_POINTS)
    means = [_means_of_neighbours(x, size) for x in (kl, series)]
    return means[0][None], means[1][None]


def _means_of_neighbours(values: Array, size: int) -> Array:
    """Means of `size` neighbouring steps: the root of a noisy KL is biased, that of a mean less."""
    starts = np.arange(0, len(values), size)
    return np.add.reduceat(values, starts) / np.diff(starts, append=len(values))


def _binned(d: Array, values: Array) -> tuple[Array, Array]:
    """Means in bins of sqrt(KL), as the curves of RL runs are read; NaN where a bin is empty."""
    bins = bin_numbers(d, BIN_WIDTH)
    num = int(bins.max()) + 1
    return bin_means(bins, d, 1, num), bin_means(bins, values, 1, num)


def _residual_replicates(
    form: str, d: Array, values: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Fitted values plus residuals drawn in blocks of neighbours (circular block bootstrap).

    A log's first value is one noisy batch, so the score at a KL of 0 is the fit's intercept, in the
    data and in every replicate anew; the returned values lie above it.
    """
    bend = FORMS[form].bend(d[None], np.full((1, 1), FORMS[form].gamma))[0]
    design = np.column_stack([np.ones_like(d), d, -bend])
    solve = np.linalg.pinv(design)
    fitted = design @ solve @ values
    residuals = values - fitted
    num = len(values)
    residuals = residuals * np.sqrt(num / max(num - 3, 1))
    size = max(1, round(num ** (1 / 3)))
    starts = rng.integers(0, num, (NUM_REPLICATES, -(-num // size)))
    rows = (starts[:, :, None] + np.arange(size)).reshape(NUM_REPLICATES, -1)[:, :num] % num
    replicates = fitted + residuals[rows]
    drawn = np.vstack([values, replicates])
    starts_at = drawn @ solve[0]
    return np.broadcast_to(d, drawn.shape), drawn - starts_at[:, None]


def _fitted(form: str, fit: FormFit, d: Array, values: Array) -> FittedForm:
    place, height = form_peak(fit)
    peak_kl = np.where(np.isfinite(place), place**2, np.inf)
    residual = values[0] - fit.predict(d)[0]
    total = float(((values[0] - values[0].mean()) ** 2).sum())
    return FittedForm(
        form,
        _interval(fit.alpha),
        _interval(fit.beta),
        _interval(peak_kl),
        _interval(height),
        1 - float((residual**2).sum()) / total if total > 0 else float("nan"),
        float(np.sqrt((residual**2).mean())),
    )


def _interval(replicates: Array) -> Interval:
    """Percentile interval of the replicates after the first, which is the estimate."""
    rest = replicates[1:]
    rest = rest[~np.isnan(rest)]
    if not len(rest):
        return Interval(float(replicates[0]), float("nan"), float("nan"))
    tail = (1 - LEVEL) / 2
    ordered = np.sort(rest)
    low = ordered[int(np.floor(tail * (len(ordered) - 1)))]
    high = ordered[int(np.ceil((1 - tail) * (len(ordered) - 1)))]
    return Interval(float(replicates[0]), float(low), float(high))
