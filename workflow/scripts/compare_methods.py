"""Weight a scored pool by selection rules, table all methods, and judge predictions on them.

python workflow/scripts/compare_methods.py --config '{...}' --gold-scores gold_scores.parquet
    --gold-scale gold_scale.json --proxy-scores proxy_scores.parquet ...
    --best-of-n-curve curve.parquet ... --curves analysis/curves.parquet
    --proxy-rms analysis/proxy_rms.csv --selection OUT.parquet --methods OUT.csv
    --predictions OUT.csv --record OUT.json
"""

from overopt.jobs.job import Input, Inputs, Job, Output, Settings, run
from overopt.config.analysis import ComparisonSettings
from overopt.predictions.job import MethodFiles, PoolFiles, compare_methods


def main(
    job: Job,
    config: Settings,
    gold_scores: Input,
    gold_scale: Input,
    proxy_scores: Inputs,
    best_of_n_curve: Inputs,
    curves: Input,
    proxy_rms: Input,
    selection: Output,
    methods: Output,
    predictions: Output,
) -> None:
    settings = ComparisonSettings.model_validate_json(config)
    pool = PoolFiles(gold_scores, gold_scale, proxy_scores, best_of_n_curve)
    outputs = MethodFiles(selection, methods, predictions)
    compare_methods(settings, pool, curves, proxy_rms, outputs)


if __name__ == "__main__":
    run(main)
