"""
The pages that a study's report opens with: the claims, the run, the tables of numbers.

Each function takes tidy tables and returns one self-contained HTML document.
"""

import html
from collections.abc import Sequence
from typing import Any

import pandas as pd

from overopt.config.cells import ALL_AXES, GROUP_KEYS
from overopt.config.methods import METHODS
from overopt.report.fit_names import alpha_words, fit_title
from overopt.report.html import (
    Cell,
    heading,
    interval_cell,
    number_cell,
    page,
    paragraph,
    preformatted,
    table,
    text_cell,
    yaml_lines,
)
from overopt.report.run_records import Record
from overopt.report.summary import verdict_counts

VERDICT_MEANINGS = {
    "supported": "this run's data bear it out",
    "contradicted": "this run's data speak against it",
    "inconclusive": "this run's data show neither",
    "needs seeds": "this run has one reward-model seed, or one ensemble, of what it is about",
    "not run": "this study has no experiment for it",
}
VERSIONS = {"icml": "ICML", "arxiv": "arXiv", "both": "both"}
# What a row of coefficients.csv or peaks.csv is about: column, header, how it is written.
CELL_COLUMNS = [
    ("num_parameters", "RM parameters", "{:,.0f}")
    if key == "num_parameters"
    else (key, ALL_AXES[key].header, ALL_AXES[key].number)
    for key in GROUP_KEYS
    if key != "method"
]
MEANING = (
    "d is the square root of the KL divergence from the initial policy in nats per response. "
    "Scores are in standard deviations of the initial policy's gold score within a prompt. "
    "Intervals are over prompts and reward-model seeds (Student's t with the degrees of freedom of "
    "both); where there is one seed, there is none. "
    "Click a header to sort."
)


def claims_page(claims: pd.DataFrame) -> str:
    """List the paper's claims, one line each: title, verdict, a number; the rest unfolds."""
    meanings = "".join(
        f"<li>{_badge(verdict)} {html.escape(meaning)}</li>"
        for verdict, meaning in VERDICT_MEANINGS.items()
    )
    rows = [_claim_row(row) for row in claims.to_dict("records")]
    headers = ["claim", "the paper says", "verdict", "this run", "what was found"]
    return page(
        "The paper's claims, tested on this run",
        f"<p><strong>{html.escape(verdict_counts(claims))}</strong> "
        f"of {len(claims)} claims of Gao, Schulman and Hilton (2022).</p>",
        f"<ul>{meanings}</ul>",
        paragraph(
            "A small p for a claim supports it, a small p against contradicts it; all claims are "
            "decided together, so that among the decided ones at most one in twenty is expected "
            "to be wrong by chance. Intervals are not adjusted. Click a header to sort, or a "
            "line's last word for what was found."
        ),
        table(headers, rows, "claims"),
    )


def coefficients_page(coefficients: pd.DataFrame, peaks: pd.DataFrame) -> str:
    """Coefficients by form, then where gold peaks and where it ends, one row a cell."""
    parts = [paragraph(MEANING)]
    for method, fits in _by_method(coefficients):
        for form, rows in fits.groupby("form", sort=False):
            parts += [heading(fit_title(method, str(form))), _fits_table(rows, str(form))]
    for method, cells in _by_method(peaks):
        title = METHODS[method].title
        parts += [heading(f"{title}: where gold peaks and where it ends")]
        parts += [_peaks_table(cells, method)]
    return page("Coefficients and peaks", *parts)


def _by_method(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Rows of each method, in the order in which methods are registered."""
    parts = [(name, table[table["method"] == name]) for name in METHODS]
    return [(name, rows) for name, rows in parts if len(rows)]


def comparison_page(comparison: pd.DataFrame) -> str:
    """This run's trends beside the paper's (`overopt.analysis.paper_comparison`)."""
    titles = {
        "num_parameters": "Over reward-model sizes",
        "num_comparisons": "Over amounts of reward-model data, mean over sizes",
    }
    parts = [
        paragraph(
            "Gold reward model, task and scale differ from the paper's, so levels are not "
            "compared. Slope: change per factor of ten in size, as a share of the mean. Ratio: the "
            "value at the smallest size over that at the largest. The paper publishes none of "
            "these: its values were read off its figures, and its intervals are those of a line "
            "through them. The two versions of the paper differ in two figures. Where values have "
            "both signs there is no slope and no ratio. Click a header to sort."
        )
    ]
    for axis, rows in comparison.groupby("axis", sort=False):
        parts += [heading(titles[str(axis)]), _comparison_table(rows, str(axis))]
    return page("This run beside the paper", *parts)


def methods_page(methods: pd.DataFrame, predictions: pd.DataFrame) -> str:
    """Every method and mitigation beside the plain cell, and predictions on them.

    `methods` is `overopt.analysis.methods_table`, `predictions` one row a prediction.
    """
    parts = [
        paragraph(
            "Predictions on what the paper does not show, with the margins of their sources. They "
            "are decided together, apart from the paper's claims."
        ),
        table(
            ["prediction", "what is predicted", "verdict", "this run", "what was found"],
            [
                _claim_row(row, of="its source's", place="source")
                for row in predictions.to_dict("records")
            ],
            "predictions",
        ),
        heading("Every method beside the plain cell"),
        paragraph(
            "Change: to plain best-of-n of the same reward model, paired in pool, prompts and "
            "seeds; of RL methods, to plain PPO. Selection rules and ensembles of seeds weight one "
            "pool and train nothing. The ends of curves lie at KLs of their own. " + MEANING
        ),
    ]
    for method, cells in _by_method(methods):
        parts += [heading(METHODS[method].title), _methods_table(cells, method)]
    return page("Methods beyond the paper", *parts)


def run_page(record: Record) -> str:
    """What was run, when, by which code and at what cost (`overopt.report.run_records`)."""
    cells = ", ".join(f"{count} of {name}" for name, count in record["cells"].items())
    facts: list[tuple[str, str]] = [
        ("study", record["name"]),
        ("seed", str(record["settings"]["seed"])),
        ("fits", cells),
        ("evaluation prompts", f"{record['num_prompts']:,}"),
        ("reward-model seeds, at most", str(record["num_seeds"])),
        ("jobs", f"{record['num_jobs']:,}"),
        ("CPU time", _duration(record["cpu_seconds"])),
        ("first job started", record["started"]),
        ("last job ended", record["finished"]),
        ("commit", _listed(record["commits"])),
        ("machine", _listed(record["machines"])),
        ("device", _listed(record["devices"])),
        *((f"diverged: {folder}", ended) for folder, ended in record["diverged"].items()),
    ]
    rows = [[text_cell(name), text_cell(value)] for name, value in facts]
    versions = [
        [text_cell(package), text_cell(", ".join(used))]
        for package, used in record["versions"].items()
    ]
    return page(
        f"The run: {record['name']}",
        table(["what", "this run"], rows, "facts"),
        paragraph(
            "A commit marked + had uncommitted changes; the digests of all code are in the run "
            "records beside the results. Counted are the jobs that had ended when this page was "
            "made; drawing the figures and pages, which takes seconds, may come after."
        ),
        heading("Cost by stage"),
        _cost_table(record["cost"]),
        heading("Settings"),
        paragraph("The whole config with its defaults: the same file runs the same study."),
        preformatted(yaml_lines(record["settings"])),
        heading("Package versions"),
        table(["package", "version"], versions, "versions"),
    )


def _claim_row(
    row: dict[Any, Any], of: str = "the paper's", place: str = "the paper's section"
) -> list[Cell]:
    return [
        text_cell(row["id"]),
        text_cell(row["title"]),
        Cell(_badge(row["verdict"])),
        interval_cell(row["estimate"], row["low"], row["high"], sign=True),
        Cell(_unfolding(row, of, place)),
    ]


def _unfolding(row: dict[Any, Any], of: str, place: str) -> str:
    """What was found on one claim, folded behind the word "details"."""
    p_values = [number_cell(row[name], 2).html for name in ("p_support", "p_contradict")]
    facts = {
        "the number": text_cell(row["statistic"]).html,
        "p for, p against": ", ".join(filter(None, p_values)),
        f"{of} value": text_cell(row["paper_value"]).html,
        place: text_cell(row["section"]).html,
    }
    lines = "".join(f"<br>{name}: {value}" for name, value in facts.items() if value)
    sentence = html.escape(str(row["sentence"]))
    return f"<details><summary>details</summary>{sentence}{lines}</details>"


def _badge(verdict: str) -> str:
    name = verdict.replace(" ", "-")
    return f'<span class="verdict {html.escape(name)}">{html.escape(verdict)}</span>'


def _cells_table(cells: pd.DataFrame, columns: Sequence[tuple[str, list[Cell]]], name: str) -> str:
    """A table of grid cells with these columns; what is the same in all rows stands above it."""
    same, varying = [], []
    for column, header, written in CELL_COLUMNS:
        values = cells[column].tolist()
        if len(cells) > 1 and cells[column].nunique() == 1:
            same.append(f"{header} {written.format(values[0])}")
        elif written == "{}":
            varying.append((header, [text_cell(value) for value in values]))
        else:
            varying.append((header, [Cell(written.format(value), value) for value in values]))
    headers, contents = zip(*varying, *columns, strict=True)
    rows = list(zip(*contents, strict=True))
    above = paragraph(f"In all rows: {', '.join(same)}.") if same else ""
    return above + table(headers, rows, name)


def _fits_table(fits: pd.DataFrame, form: str) -> str:
    counts = {"num_seeds": "seeds", "num_prompts": "prompts", "num_points": "points"}
    columns = [
        ("alpha", _intervals(fits, "alpha")),
        ("beta", _intervals(fits, "beta")),
        ("R2", [number_cell(value) for value in fits["r2"]]),
        ("R2 of single seeds", [number_cell(value) for value in fits["r2_of_runs"]]),
        *((header, [number_cell(v) for v in fits[name]]) for name, header in counts.items()),
    ]
    return _cells_table(fits, columns, f"coefficients-{form}")


def _methods_table(cells: pd.DataFrame, method: str) -> str:
    columns = [
        ("alpha", _intervals(cells, "alpha")),
        ("beta", _intervals(cells, "beta")),
        ("gold at peak", _intervals(cells, "peak_gold", sign=True)),
        ("change", _intervals(cells, "peak_gold_change", sign=True)),
        ("KL at peak", _intervals(cells, "kl_at_peak")),
        ("gold at the end", _intervals(cells, "final_gold", sign=True)),
        ("change", _intervals(cells, "final_gold_change", sign=True)),
        ("KL at the end", [number_cell(value) for value in cells["final_kl"]]),
    ]
    return _cells_table(cells, columns, f"methods-{method}")


def _peaks_table(peaks: pd.DataFrame, method: str) -> str:
    def scores(name: str) -> list[Cell]:
        return [number_cell(value, sign=True) for value in peaks[name]]

    columns = [
        ("initial gold", scores("initial_gold")),
        ("gold at peak", _intervals(peaks, "peak_gold", sign=True)),
        ("KL at peak", _intervals(peaks, "kl_at_peak")),
        ("gold at the end", _intervals(peaks, "final_gold", sign=True)),
        ("KL at the end", [number_cell(value) for value in peaks["final_kl"]]),
        ("gold lost after the peak", _intervals(peaks, "drop")),
        ("proxy at peak", scores("proxy_at_peak")),
        ("proxy at the end", scores("final_proxy")),
    ]
    return _cells_table(peaks, columns, f"peaks-{method}")


def _comparison_table(comparison: pd.DataFrame, axis: str) -> str:
    headers = [
        *("method", "quantity", "paper's version", "agreement", "direction: this run, paper"),
        *("slope, this run", "slope, paper", "rank correlation, this run", "paper"),
        *("ratio, this run", "paper", "sizes: this run, paper"),
    ]
    rows: list[Sequence[Cell]] = []
    for row in comparison.to_dict("records"):
        quantity = str(row["quantity"]).replace("_", " ")
        form = alpha_words(str(row["form"])) if row["method"] else ""
        rows.append(
            [
                text_cell(
                    METHODS[row["method"]].title if row["method"] in METHODS else "reward models"
                ),
                text_cell(f"{quantity} ({form})" if form else quantity),
                text_cell(VERSIONS[row["paper_version"]]),
                text_cell(row["agreement"]),
                text_cell(f"{row['sign']}, {row['paper_sign']}"),
                _interval(row, "relative_slope", sign=True),
                _interval(row, "paper_relative_slope", sign=True),
                number_cell(row["spearman"], 2),
                number_cell(row["paper_spearman"], 2),
                _interval(row, "ratio"),
                number_cell(row["paper_ratio"]),
                text_cell(f"{row['num_sizes']}, {row['paper_num_sizes']}"),
            ]
        )
    return table(headers, rows, f"comparison-{axis}")


def _cost_table(cost: Sequence[Record]) -> str:
    columns = {
        "jobs": "jobs",
        "cpu_seconds": "CPU seconds",
        "startup_cpu_seconds": "of these start and import",
        "wall_seconds": "wall seconds",
        "peak_memory_mb": "largest memory (MB)",
    }
    total = {name: sum(row[name] for row in cost) for name in columns}
    total["peak_memory_mb"] = max(row["peak_memory_mb"] for row in cost)
    rows = [
        [text_cell(row["stage"]), *(number_cell(round(row[name])) for name in columns)]
        for row in [*cost, {"stage": "total", **total}]
    ]
    return table(["stage", *columns.values()], rows[:-1], "cost", footer=rows[-1])


def _interval(row: dict[Any, Any], name: str, *, sign: bool = False) -> Cell:
    return interval_cell(row[name], row[f"{name}_low"], row[f"{name}_high"], sign=sign)


def _intervals(rows: pd.DataFrame, name: str, *, sign: bool = False) -> list[Cell]:
    return [_interval(row, name, sign=sign) for row in rows.to_dict("records")]


def _listed(counts: dict[str, int]) -> str:
    """One value as it is; several with the number of jobs of each."""
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{value} ({count} job{'s' * (count > 1)})" for value, count in counts.items())


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
