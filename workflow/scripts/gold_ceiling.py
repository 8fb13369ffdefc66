"""Best-of-n by the gold RM itself: what the gold score allows.

python workflow/scripts/gold_ceiling.py --config '{...}' --gold-scores gold_scores.parquet
    --gold-scale gold_scale.json --ceiling OUT.csv --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.analysis.gold_ceiling import gold_ceiling
from overopt.config.gold_ceiling import GoldCeilingSettings


def main(
    job: Job, config: Settings, gold_scores: Input, gold_scale: Input, ceiling: Output
) -> None:
    settings = GoldCeilingSettings.model_validate_json(config)
    gold_ceiling(job, settings, gold_scores, gold_scale, ceiling)


if __name__ == "__main__":
    run(main)
