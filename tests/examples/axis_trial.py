"""
Tables, claims and figures of a toy study, by whatever `overopt` is found first (test_new_axis).

python axis_trial.py FOLDER [AXIS VALUE SIZE...]: with an axis, the cells of these sizes are there a
second time, with this value of it and another gold.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from curve_examples import GOLD_SD, temperatures
from figure_examples import all_curves, deep_curves, settings, tables_of
from overopt.analysis.recalibration import recalibrate
from overopt.analysis.statistics import study_statistics
from overopt.analysis.tables import differences
from overopt.analysis.trends import trends
from overopt.claims.evidence import collect_evidence
from overopt.claims.topics import all_claims
from overopt.claims.verdicts import judge
from overopt.config.analysis import AnalysisSettings
from overopt.figures.drawing import DRAW
from overopt.figures.style import save_figure

FIGURES = ("figure_01a", "figure_01b", "figure_03a", "figure_03c", "figure_10", "figure_20")


def main(folder: Path, axis: str = "", value: int = 0, sizes: tuple[str, ...] = ()) -> None:
    options = settings(num_bootstrap=30)
    curves = all_curves(np.random.default_rng(0), num_prompts=6)
    if axis:
        others = curves[curves["proxy_size"].isin(sizes) & (curves["policy_size"] == "small")]
        others = others.assign(**{axis: value, "gold_score": others["gold_score"] + others["kl"]})
        curves = pd.concat([curves, others], ignore_index=True)
    together = recalibrate(curves, temperatures(curves), main_policy="small", gold_sd=GOLD_SD)
    deep = deep_curves(np.random.default_rng(1))
    tables = tables_of(options, together, deep.iloc[:0], np.random.default_rng(2))
    fits = AnalysisSettings(
        main_policy="small",
        excluded_sizes=options.excluded_sizes,
        analysis=options.analysis,
        seed=options.bootstrap_seed,
    )
    statistics = study_statistics(together, options.analysis, options.bootstrap_seed)
    rms = tables.proxy_rms.assign(temperature=1.5, soft_label_loss=0.6)
    rms = rms.assign(recalibrated_soft_label_loss=0.5)
    written = {
        "binned_curves": tables.binned_curves,
        "coefficients": tables.coefficients,
        "peaks": tables.peaks,
        "differences": differences(statistics),
        "trend_lines": tables.trend_lines,
        "trends": trends(statistics, "small", None, options.excluded_sizes),
        "forms": tables.forms,
        "kl_estimate": tables.kl_estimate,
        "paper_comparison": tables.paper_comparison,
        "claims": judge(all_claims(), collect_evidence(fits, together, rms)),
    }
    for name, table in written.items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.9g")  # as the jobs do
    for name in FIGURES:
        save_figure(DRAW[name](tables), folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3], *map(int, sys.argv[3:4]), tuple(sys.argv[4:]))
