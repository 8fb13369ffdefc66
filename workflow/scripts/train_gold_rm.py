"""Fit the gold RM to human comparisons.

python workflow/scripts/train_gold_rm.py --config '{...}' --comparisons comparisons.parquet
    --backbone BACKBONE/model.safetensors --model OUT/model.safetensors --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.config.reward_model import RewardModelSettings
from overopt.reward_model.gold import train_gold_rm


def main(job: Job, config: Settings, comparisons: Input, backbone: Input, model: Output) -> None:
    settings = RewardModelSettings.model_validate_json(config)
    train_gold_rm(job, settings, comparisons, backbone.parent, model.parent)


if __name__ == "__main__":
    run(main)
