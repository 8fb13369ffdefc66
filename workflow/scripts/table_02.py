"""Tabulate the best of the first n responses to one prompt.

python workflow/scripts/table_02.py --config '{"max_n": 1000}' --pool best_of_n/small/pool.parquet
    --gold-scores best_of_n/small/gold_scores.parquet --gold-scale best_of_n/small/gold_scale.json
    --proxy-scores best_of_n/small/RM/proxy_scores.parquet --metrics proxy_rms/RM/metrics.json
    --tokenizer data/tokenizer/tokenizer.json --table OUT/table_02.csv --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.config.figures import Table02Settings
from overopt.figures.single_prompt import tabulate_one_prompt


def main(
    job: Job,
    config: Settings,
    pool: Input,
    gold_scores: Input,
    gold_scale: Input,
    proxy_scores: Input,
    metrics: Input,
    tokenizer: Input,
    table: Output,
) -> None:
    settings = Table02Settings.model_validate_json(config)
    tabulate_one_prompt(
        job, settings, pool, gold_scores, gold_scale, proxy_scores, metrics, tokenizer, table
    )


if __name__ == "__main__":
    run(main)
