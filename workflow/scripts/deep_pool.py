"""Draw the deep pool of one policy.

python workflow/scripts/deep_pool.py --config '{...}' --prompts prompts.parquet
    --policy POLICY/model.safetensors --pool OUT.safetensors --record OUT.json
"""

from overopt.job import Input, Job, Output, Settings, run
from overopt.deep_pool.config import DeepPoolSettings
from overopt.deep_pool.pool import sample_deep_pool


def main(job: Job, config: Settings, prompts: Input, policy: Input, pool: Output) -> None:
    settings = DeepPoolSettings.model_validate_json(config)
    sample_deep_pool(job, settings, prompts, policy.parent, pool)


if __name__ == "__main__":
    run(main)
