"""A comparison with the reference in plain words, and the recording of a new reference."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from overopt.config.cells import ALL_AXES, DEFAULTS
from overopt.errors import UserError
from overopt.jobs.provenance import write_json
from overopt.report.fit_names import fit_name
from overopt.report.reference import FOLDER, ReferenceComparison, study_settings
from overopt.report.run_records import study_record

TABLES = ("coefficients", "claims", "peaks", "trends", "gold_ceiling", "paper_comparison")
MAX_FIGURE_BYTES = 200_000  # a reference lives in git
MAX_LINES = 15


def describe_comparison(comparison: ReferenceComparison) -> str:
    """What a person wants to know first: which coefficients moved, which verdicts, what is missing.

    Several paragraphs of plain text; the last line is the conclusion.
    """
    parts = [
        _listed("Settings that differ (reference -> this run):", comparison.settings),
        _describe_coefficients(comparison.coefficients),
        _describe_verdicts(comparison.verdicts),
        _describe_fits(comparison.missing, "only in the reference"),
        _describe_fits(comparison.added, "only in this run"),
        _conclusion(comparison),
    ]
    return "\n\n".join(part for part in parts if part)


def record_reference(results: Path, reference: Path = FOLDER) -> list[str]:
    """Copy a finished study's small results to `reference`; what was left out and why, in words.

    Writes the tables, every figure as SVG that is small enough, and run.json: settings, commits,
    versions, cost (`overopt.report.run_records`; without the names of machines, which are nobody's
    business). Raises UserError where the study is not finished.
    """
    missing = [name for name in TABLES if not (results / f"{name}.csv").is_file()]
    settings = study_settings(results)
    if missing or not settings:
        lacks = f"{missing[0]}.csv" if missing else "report/run_record.json"
        raise UserError(f"{results}: no {lacks} there; run `snakemake --cores all` first")
    figures = reference / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        shutil.copyfile(results / f"{name}.csv", reference / f"{name}.csv")
    for old in figures.glob("figure_*.svg"):
        old.unlink()
    notes = []
    for figure in sorted((results / "figures").glob("figure_*.svg")):
        size = figure.stat().st_size
        if size > MAX_FIGURE_BYTES:
            notes.append(f"left out {figure.name}: {size / 1000:.0f} kB")
        else:
            shutil.copyfile(figure, figures / figure.name)
    record = study_record(results, settings)
    del record["machines"]
    write_json(reference / "run.json", record)
    if any(commit.endswith("+") for commit in record["commits"]):
        notes.append("some jobs ran from a working tree with uncommitted changes (run.json: +)")
    return notes


def _describe_coefficients(coefficients: pd.DataFrame) -> str:
    outside = coefficients[coefficients["is_outside"]].sort_values("distance", ascending=False)
    equal = int((coefficients["distance"] < 1e-6).sum())
    head = (
        f"Coefficients: {len(coefficients)} in both runs, {equal} of them equal. "
        f"{len(outside)} outside the reference's interval; a repeat with other samples has about "
        f"{coefficients['chance'].sum():.0f} outside by chance."
    )
    lines = [
        f"{_cell(row)} {row['coefficient']}: {row['estimate']:.3f}, reference "
        f"{row['reference']:.3f} [{row['reference_low']:.3f}, {row['reference_high']:.3f}]"
        + (f"  beyond chance ({row['distance']:.1f} se)" if row["is_beyond_chance"] else "")
        for row in outside.to_dict("records")
    ]
    return _listed(head, lines) or head


def _describe_verdicts(verdicts: pd.DataFrame) -> str:
    lines = [
        f"{row['id']} {row['title']}: {row['reference']} -> {row['verdict']}"
        for row in verdicts.to_dict("records")
    ]
    return _listed(f"Verdicts that changed: {len(lines)}", lines) or "No verdict changed."


def _conclusion(comparison: ReferenceComparison) -> str:
    beyond = int(comparison.coefficients["is_beyond_chance"].sum())
    reversed_ids = ", ".join(comparison.reversed_verdicts["id"])
    if comparison.agrees:
        return "Nothing differs from the reference beyond what chance gives."
    parts = []
    if beyond:
        noun = "coefficient differs" if beyond == 1 else "coefficients differ"
        parts.append(f"{beyond} {noun} by more than chance gives")
    if reversed_ids:
        parts.append(f"verdicts reversed: {reversed_ids}")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _describe_fits(fits: pd.DataFrame, where: str) -> str:
    noun = "fit is" if len(fits) == 1 else "fits are"
    cells = [_cell(row) for row in fits.to_dict("records")]
    return _listed(f"{len(cells)} {noun} {where}:", cells)


def _cell(row: dict[Any, Any]) -> str:
    """A cell in one line; what it shares with most cells is left out."""
    name = fit_name(row["method"], row["form"])
    text = f"{name}, {row['proxy_size']}, {row['num_comparisons']:,} comparisons"
    text += f", policy {row['policy_size']}"
    differing = [(ALL_AXES[n], row[n]) for n, plain in DEFAULTS.items() if row[n] != plain]
    return text + "".join(f", {a.header} {a.number.format(value)}" for a, value in differing)


def _listed(head: str, lines: list[str]) -> str:
    """A heading with its lines below; empty without lines; cut where there are many."""
    if not lines:
        return ""
    shown = lines[:MAX_LINES]
    if len(lines) > MAX_LINES:
        shown.append(f"... and {len(lines) - MAX_LINES} more")
    return "\n".join([head, *(f"  {line}" for line in shown)])
