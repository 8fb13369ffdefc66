"""Take a published reward model as gold RM, and measure it on human comparisons.

python workflow/scripts/published_gold_rm.py --config '{"num_validation": 500}'
    --published CHECKPOINT/model.safetensors --prompts prompts.parquet
    --comparisons human_comparisons.parquet --model OUT/model.safetensors
    --record OUT/run_record.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.config.reward_model import PublishedGoldRMSettings
from overopt.reward_model.published_gold import take_as_gold_rm


def main(
    job: Job,
    config: Settings,
    published: Input,
    prompts: Input,
    comparisons: Input,
    model: Output,
) -> None:
    settings = PublishedGoldRMSettings.model_validate_json(config)
    take_as_gold_rm(job, settings, published.parent, prompts, comparisons, model.parent)


if __name__ == "__main__":
    run(main)
