"""Recalibrate and fit all curves of a study; write its tables.

python workflow/scripts/fits.py --config '{...}' --curve a/curve.parquet --curve b/curve.parquet
    --deep-curve d/curve.parquet --tilted-curve t/tilted_curve.parquet
    --metrics a/metrics.json --gold-metrics gold_rm/metrics.json --gold-scale gold_scale.json
    --curves OUT/curves.parquet --coefficients OUT/coefficients.csv --record OUT.json
"""

from pathlib import Path

from overopt.jobs.job import Input, Inputs, Job, Output, Settings, run
from overopt.analysis.fits import fit_curves
from overopt.config.analysis import AnalysisSettings

NONE: list[Path] = []


def main(
    job: Job,
    config: Settings,
    curve: Inputs,
    metrics: Inputs,
    gold_metrics: Input,
    gold_scale: Input,
    curves: Output,
    coefficients: Output,
    deep_curve: Inputs = NONE,
    tilted_curve: Inputs = NONE,
) -> None:
    settings = AnalysisSettings.model_validate_json(config)
    fit_curves(
        job,
        settings,
        curve,
        metrics,
        gold_metrics,
        gold_scale,
        curves.parent,
        coefficients.parent,
        deep_curve,
        tilted_curve,
    )


if __name__ == "__main__":
    run(main)
