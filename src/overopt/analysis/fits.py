"""
The analysis jobs: recalibrate all curves, fit them, tabulate, draw.

Whatever comes after a curve does not know where it came from: these jobs read tidy tables only.
"""

import json
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from overopt.analysis.recalibration import recalibrate
from overopt.analysis.statistics import study_statistics
from overopt.analysis.tables import binned_curves, coefficients, differences, peaks
from overopt.analysis.trends import trend_lines, trends
from overopt.config.analysis import AnalysisSettings
from overopt.config.cells import GRID_ORDER, PROXY_RM_ORDER
from overopt.jobs.job import Job
from overopt.jobs.provenance import write_json

TILTED = "tilted"
"""Method whose curves have tables of their own."""


def fit_curves(
    job: Job,
    settings: AnalysisSettings,
    curve_files: Sequence[Path],
    metrics_files: Sequence[Path],
    gold_rm_metrics: Path,
    gold_scale: Path,
    tables_dir: Path,
    coefficients_dir: Path,
    deep_curve_files: Sequence[Path] = (),
    tilted_curve_files: Sequence[Path] = (),
) -> None:
    """Fit all curves of a study and write every table.

    Into `tables_dir`: curves.parquet (per prompt, raw and recalibrated), deep_curves.parquet and
    tilted_curves.parquet (the same, of large-n best-of-n and of tilted policies; without rows where
    there are none), binned_curves.csv, trend_lines.csv, proxy_rms.csv. Into `coefficients_dir`:
    coefficients.csv, peaks.csv, differences.csv, trends.csv and summary.json.
    """
    scale = json.loads(gold_scale.read_text())
    metrics = pd.DataFrame([json.loads(path.read_text()) for path in metrics_files])
    recalibrated = partial(
        recalibrate,
        temperatures=metrics,
        main_policy=settings.main_policy,
        gold_sd=scale["gold_sd_within_prompt"],
        human_sd=scale.get("human_sd_within_prompt"),
    )
    # A tilted curve has the zero of the best-of-n curve of its cell, so they go together.
    together = recalibrated(_read_curves([*curve_files, *tilted_curve_files]))
    # They come last; cut there, neither part is a copy.
    num_rows = int((together["method"] != TILTED).sum())
    curves, tilted = together.iloc[:num_rows], together.iloc[num_rows:]
    deep = recalibrated(_read_curves(deep_curve_files)) if deep_curve_files else curves.iloc[:0]
    statistics = study_statistics(curves, settings.analysis, settings.seed)
    metrics = metrics.sort_values(PROXY_RM_ORDER, ignore_index=True)
    sizes = trends(statistics, settings.main_policy, metrics, settings.excluded_sizes)
    lines = trend_lines(statistics, settings.main_policy, settings.excluded_sizes)
    curves.to_parquet(tables_dir / "curves.parquet", index=False)
    deep.to_parquet(tables_dir / "deep_curves.parquet", index=False)
    tilted.to_parquet(tables_dir / "tilted_curves.parquet", index=False)
    _write_csv(binned_curves(statistics), tables_dir / "binned_curves.csv")
    _write_csv(lines, tables_dir / "trend_lines.csv")
    _write_csv(metrics, tables_dir / "proxy_rms.csv")
    fits = coefficients(statistics)
    _write_csv(fits, coefficients_dir / "coefficients.csv")
    _write_csv(peaks(statistics), coefficients_dir / "peaks.csv")
    _write_csv(differences(statistics), coefficients_dir / "differences.csv")
    _write_csv(sizes, coefficients_dir / "trends.csv")
    gold_metrics = json.loads(gold_rm_metrics.read_text())
    write_json(coefficients_dir / "summary.json", _summary(gold_metrics, fits, sizes))
    print(f"{len(curve_files)} curves, {len(fits)} fits")


def _read_curves(paths: Sequence[Path]) -> pd.DataFrame:
    """All rows of these curve files, in the order of the grid; tilted ones last.

    A file holds one cell, so that tables are put in order and not rows: sorting all rows of ten
    thousand files would take as much memory again.
    """
    tables = [pd.read_parquet(path) for path in paths]

    def order(table: pd.DataFrame) -> tuple[object, ...]:
        cell = table.iloc[0]
        return cell["method"] == TILTED, *cell[GRID_ORDER]

    tables.sort(key=order)
    return pd.concat(tables, ignore_index=True)


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    """Nine significant digits: enough for any use, and stable in a diff."""
    table.to_csv(path, index=False, float_format="%.9g")


def _summary(
    gold_metrics: dict[str, float], fits: pd.DataFrame, sizes: pd.DataFrame
) -> dict[str, dict[str, object]]:
    """The study in a few numbers, nested, for `dvc metrics`."""
    over_sizes = sizes[sizes["axis"] == "num_parameters"]
    names = over_sizes["form"].fillna(over_sizes["method"]).fillna("proxy_rm")
    return {
        "gold_rm": {key: gold_metrics[key] for key in ("validation_accuracy", "validation_loss")},
        "fits": {
            form: {"count": len(rows), "lowest_r2": _number(rows["r2"].min())}
            for form, rows in fits.groupby("form")
        },
        "trend_with_proxy_size": {
            f"{name}_{row.quantity}": {
                "slope_per_decade": _number(row.slope),
                "spearman": _number(row.spearman),
            }
            for name, row in zip(names, over_sizes.itertuples(), strict=True)
        },
    }


def _number(value: float) -> float | None:
    """A number for JSON, which has no NaN: None where there are too few points for one."""
    return float(value) if math.isfinite(value) else None
