"""Draw the larger pool of one policy.

python workflow/scripts/deep_pool.py --config '{...}' --prompts prompts.parquet
    --policy POLICY/model.safetensors --pool OUT.safetensors --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.config.deep_best_of_n import DeepPoolSettings
from overopt.methods.best_of_n.deep_pool import sample_deep_pool


def main(job: Job, config: Settings, prompts: Input, policy: Input, pool: Output) -> None:
    settings = DeepPoolSettings.model_validate_json(config)
    sample_deep_pool(job, settings, prompts, policy.parent, pool)


if __name__ == "__main__":
    run(main)
