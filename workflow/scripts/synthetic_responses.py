"""Sample pairs of responses of the initial policy for the gold RM to compare.

python workflow/scripts/synthetic_responses.py --config '{...}' --prompts prompts.parquet
    --policy policies/small/model.safetensors --pairs OUT.parquet --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.config.policy import SamplingSettings
from overopt.policy.comparison_pairs import sample_pairs


def main(job: Job, config: Settings, prompts: Input, policy: Input, pairs: Output) -> None:
    settings = SamplingSettings.model_validate_json(config)
    sample_pairs(job, settings, prompts, policy.parent, pairs)


if __name__ == "__main__":
    run(main)
