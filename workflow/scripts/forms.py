"""Fit rival forms to all curves, and ask each for points it has not seen; write the tables.

python workflow/scripts/forms.py --config '{...}' --curves analysis/curves.parquet
    --deep-curves analysis/deep_curves.parquet --forms OUT/forms.csv
    --extrapolation OUT/extrapolation.csv --kl-estimate OUT/kl_estimate.csv --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.analysis.form_tables import tabulate_forms
from overopt.config.analysis import AnalysisSettings


def main(
    job: Job,
    config: Settings,
    curves: Input,
    deep_curves: Input,
    forms: Output,
    extrapolation: Output,
    kl_estimate: Output,
) -> None:
    settings = AnalysisSettings.model_validate_json(config)
    tabulate_forms(job, settings, curves, deep_curves, forms, extrapolation, kl_estimate)


if __name__ == "__main__":
    run(main)
