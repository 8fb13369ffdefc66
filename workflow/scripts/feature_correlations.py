"""Correlate every reward model with the features of the hidden utility, on the main policy's pool.

python workflow/scripts/feature_correlations.py --config '{}' --pool pool.parquet
    --gold-scores gold_scores.parquet --tokenizer POLICY/tokenizer.json
    --proxy-scores A/proxy_scores.parquet --curve A/curve.parquet
    --correlations OUT.csv --record OUT.json
"""

from overopt.jobs.job import Input, Inputs, Job, Output, Settings, run
from overopt.config.data import FeatureSettings
from overopt.data.world.feature_correlations import feature_correlations


def main(
    job: Job,
    config: Settings,
    pool: Input,
    gold_scores: Input,
    tokenizer: Input,
    proxy_scores: Inputs,
    curve: Inputs,
    correlations: Output,
) -> None:
    settings = FeatureSettings.model_validate_json(config)
    feature_correlations(
        job, settings, pool, gold_scores, tokenizer.parent, proxy_scores, curve, correlations
    )


if __name__ == "__main__":
    run(main)
