"""What `overopt fit` says of a run: format and keys found, KL and its unit, the laws, the peak."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from overopt.runs.fit import FittedForm, FittedRun, Interval
from overopt.runs.record import RunCurve
from overopt.theory.forms import FORMS


def describe_run(curve: RunCurve, fits: Sequence[FittedRun]) -> str:
    """Say what was found in a file and what was fitted, in plain lines."""
    lines = [f"{curve.name}: {curve.format}", *describe_record(curve)]
    for fit in fits:
        lines += ["", *_describe_fit(fit)]
    return "\n".join(lines)


def describe_record(curve: RunCurve) -> list[str]:
    """Lines on keys, KL, notes, and what is missing."""
    keys = ", ".join(f"{role} = {key}" for role, key in curve.keys.items())
    lines = [f"  read: {keys}; {len(curve.points)} points"]
    source = curve.kl_source
    if source is not None:
        how = f" ({source.conversion})" if source.conversion else ""
        estimator = "" if source.estimator == "formula" else f", estimator {source.estimator}"
        lines.append(f"  KL: {source.key}, in nats per {source.unit}{estimator}{how}")
        lines += [f"      doubt: {doubt}" for doubt in source.doubts]
    lines += [f"  note: {note}" for note in curve.notes]
    lines += [f"  missing {missing}" for missing in curve.missing]
    return lines


def _describe_fit(fit: FittedRun) -> list[str]:
    own = fit.own
    over = {
        "prompts": f"over {fit.num_basis} prompts, of this run alone",
        "residuals": "over residuals of the fit",
    }
    lines = [
        f"  {fit.score}, {FORMS[fit.own_form].text} with d = sqrt(KL); "
        f"95% intervals {over[fit.basis]}; {fit.unit}",
        f"    alpha {_number(own.alpha)}  beta {_number(own.beta)}  R2 {own.r2:.3f}  "
        f"rmse {own.rmse:.3g}",
        f"    peak: {describe_peak(fit)}",
        f"    highest point measured: at {fit.observed_peak_kl:.3g} nats; lost since: "
        f"{_number(fit.drop)}",
    ]
    rivals = sorted(fit.forms.values(), key=lambda form: form.rmse)
    lines.append(
        "    other forms (rmse): " + ", ".join(f"{form.form} {form.rmse:.3g}" for form in rivals)
    )
    return lines


def describe_peak(fit: FittedRun) -> str:
    """Where the run's own law peaks; "not reached" where the data end before."""
    peak = fit.own.peak_kl
    if not math.isfinite(peak.estimate):
        return f"not reached: still rising at {fit.max_kl:.3g} nats"
    interval = f"[{_end(peak.low)}, {_end(peak.high)}]"
    if peak.estimate > fit.max_kl:
        return (
            f"not reached: beyond {fit.max_kl:.3g} nats, where the data end (the law would put it "
            f"at {peak.estimate:.3g} {interval}: an extrapolation)"
        )
    return f"at {peak.estimate:.3g} nats {interval}, height {_number(fit.own.peak_score)}"


def _number(interval: Interval) -> str:
    return f"{interval.estimate:.3g} [{_end(interval.low)}, {_end(interval.high)}]"


def _end(value: float) -> str:
    if math.isnan(value):
        return "?"
    return "no bound" if math.isinf(value) else f"{value:.3g}"


def fit_table(fits: Sequence[FittedRun]) -> pd.DataFrame:
    """One row a run, score and form: coefficients and peaks with intervals, as CSV and JSON."""
    rows: list[Mapping[str, object]] = []
    for fit in fits:
        for form in fit.forms.values():
            rows.append(_row(fit, form))
    return pd.DataFrame(rows)


def _row(fit: FittedRun, form: FittedForm) -> dict[str, object]:
    row: dict[str, object] = {
        "run": fit.curve.name,
        "format": fit.curve.format,
        "score": fit.score,
        "unit": fit.unit,
        "form": form.form,
        "is_own_form": form.form == fit.own_form,
        "basis": fit.basis,
        "num_basis": fit.num_basis,
        "num_points": len(fit.d),
        "max_kl": fit.max_kl,
    }
    for name in ("alpha", "beta", "peak_kl", "peak_score"):
        interval: Interval = getattr(form, name)
        row |= {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return row | {"r2": form.r2, "rmse": form.rmse}
