"""The headline of a finished study, in a few lines that a person understands."""

import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd

from overopt.analysis.sweeps import over
from overopt.config.cells import GROUP_KEYS
from overopt.config.methods import METHODS, SHARED_FORM, shares_alpha
from overopt.errors import UserError
from overopt.report.fit_names import fit_law
from overopt.report.run_records import costs, diverged_runs

Row = dict[Hashable, Any]
TABLES = ("coefficients", "peaks")
VERDICTS = ("supported", "contradicted", "inconclusive", "needs seeds", "not run")


def summarize(results: Path) -> str:
    """Coefficients and peaks by RM size, cost by stage, verdicts, and where the rest is.

    Raises
    ------
    UserError
        Where the folder holds no finished study.
    """
    missing = [name for name in TABLES if not (results / f"{name}.csv").is_file()]
    if missing:
        raise UserError(
            f"{results}: no {missing[0]}.csv there. Expected the folder of a finished study, "
            "such as results/default; run `snakemake --cores all` first"
        )
    coefficients, peaks = (pd.read_csv(results / f"{name}.csv") for name in TABLES)
    sweep = over(coefficients, main_policy=_main_policy(peaks))
    parts = [
        *(_describe_method(sweep, peaks, method) for method in METHODS),
        _describe_diverged(results),
        _describe_costs(results),
        _describe_claims(results),
        _describe_places(results),
    ]
    return "\n\n".join(part for part in parts if part)


def _main_policy(peaks: pd.DataFrame) -> str:
    """Policy that scores count from: its initial gold is 0."""
    return str(peaks.loc[peaks["initial_gold"].abs().idxmin(), "policy_size"])


def _describe_method(sweep: pd.DataFrame, peaks: pd.DataFrame, method: str) -> str:
    """One line per proxy size at full data: alpha, beta, peak and what going on cost."""
    fits = sweep[sweep["method"] == method]
    form = SHARED_FORM if shares_alpha(method) else METHODS[method].form
    rows = fits[fits["form"] == form].merge(peaks, on=GROUP_KEYS).sort_values("num_parameters")
    if rows.empty:
        return ""
    note = "one alpha for all sizes" if form == SHARED_FORM else "d = sqrt(KL in nats)"
    title = f"{METHODS[method].title}, {fit_law(method)}, {note}"
    bounds = (
        "no intervals, as there is one seed" if rows["alpha_low"].isna().all() else "95% intervals"
    )
    lines = [
        f"{title}; scores in initial-policy sd, {bounds}",
        f"  {'RM':<5}{'params':>8}  {'alpha':<23}{'beta':<23}{'R2':>5}   gold: peak, then end",
    ]
    for row in rows.to_dict("records"):
        lines.append(
            f"  {row['proxy_size']:<5}{row['num_parameters']:>8,}  {_interval(row, 'alpha'):<23}"
            f"{_interval(row, 'beta'):<23}{row['r2']:>5.2f}   {_describe_peak(row)}"
        )
    return "\n".join(lines)


def _interval(row: Row, name: str, digits: int = 3) -> str:
    """A number with its interval, if it has one."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    number = f"{row[name]:.{digits}f}"
    return number if math.isnan(low) else f"{number} [{low:.{digits}f}, {high:.{digits}f}]"


def _describe_peak(row: Row) -> str:
    peak = f"{row['peak_gold']:+.2f} at KL {row['kl_at_peak']:.1f}"
    if row["drop"] < 0.005:
        return f"{peak}, still rising at the end (proxy {row['final_proxy']:+.2f})"
    return (
        f"{peak}, {row['final_gold']:+.2f} at KL {row['final_kl']:.1f}: optimizing on cost "
        f"{_interval(row, 'drop', 2)} "
        f"while the proxy went {row['proxy_at_peak']:+.2f} to {row['final_proxy']:+.2f}"
    )


def _describe_diverged(results: Path) -> str:
    runs = diverged_runs(results)
    if not runs:
        return ""
    lines = [f"  {folder}: {ended}" for folder, ended in runs.items()]
    return "\n".join(["Runs that diverged; their curves end there, and count:", *lines])


def _describe_costs(results: Path) -> str:
    table = costs(results)
    if table.empty:
        return ""
    total = table.sum()
    lines = [f"  {'Cost by stage':<30}{'jobs':>5}{'CPU s':>8}{'of it start, import':>22}"]
    for stage, row in table.iterrows():
        lines.append(
            f"  {stage:<30}{row['jobs']:>5.0f}{row['cpu_seconds']:>8.0f}"
            f"{row['startup_cpu_seconds']:>22.0f}"
        )
    share = total["startup_cpu_seconds"] / total["cpu_seconds"]
    lines.append(
        f"  {'total':<30}{total['jobs']:>5.0f}{total['cpu_seconds']:>8.0f}"
        f"{total['startup_cpu_seconds']:>15.0f} ({share:.0%})"
    )
    return "\n".join(lines)


def _describe_claims(results: Path) -> str:
    path = results / "claims.csv"
    return f"Claims: {verdict_counts(pd.read_csv(path))}" if path.is_file() else ""


def verdict_counts(claims: pd.DataFrame) -> str:
    """How many claims have each verdict: "24 supported, 6 contradicted, ..."."""
    counts = claims["verdict"].value_counts()
    return ", ".join(f"{counts.get(verdict, 0)} {verdict}" for verdict in VERDICTS)


def _describe_places(results: Path) -> str:
    lines = [f"Figures: {results / 'figures'}    Tables: {results}/*.csv"]
    report = results / "report.html"
    if report.is_file():
        lines.append(f"Report: {report}, one file; open it in a browser")
    return "\n".join(lines)
