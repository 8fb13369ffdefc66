"""Judge every claim of the paper on a study's tables.

python workflow/scripts/claims.py --config '{...}' --curves analysis/curves.parquet
    --deep-curves analysis/deep_curves.parquet --tilted-curves analysis/tilted_curves.parquet
    --proxy-rms analysis/proxy_rms.csv --claims OUT.csv --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.claims.job import judge_study
from overopt.config.analysis import AnalysisSettings


def main(
    job: Job,
    config: Settings,
    curves: Input,
    deep_curves: Input,
    tilted_curves: Input,
    proxy_rms: Input,
    claims: Output,
) -> None:
    settings = AnalysisSettings.model_validate_json(config)
    judge_study(settings, curves, deep_curves, tilted_curves, proxy_rms, claims)


if __name__ == "__main__":
    run(main)
