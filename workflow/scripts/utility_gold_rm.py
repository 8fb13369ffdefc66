"""Take the embedded world's hidden utility as gold, and measure it on human comparisons.

python workflow/scripts/utility_gold_rm.py
    --config '{"num_validation": 500, "utility": {"inverse_temperature": 3.0}}'
    --comparisons human_comparisons.parquet --utility OUT/utility.json --record OUT/run_record.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.config.utility_gold import UtilityGoldSettings
from overopt.reward_model.utility_gold import take_utility_as_gold


def main(job: Job, config: Settings, comparisons: Input, utility: Output) -> None:
    settings = UtilityGoldSettings.model_validate_json(config)
    take_utility_as_gold(job, settings, comparisons, utility)


if __name__ == "__main__":
    run(main)
