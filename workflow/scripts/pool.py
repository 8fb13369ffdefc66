"""Draw the pool of responses that best-of-n chooses from.

python workflow/scripts/pool.py --config '{...}' --prompts prompts.parquet
    --policy policies/small/model.safetensors --pool OUT.parquet --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.config.best_of_n import PoolSettings
from overopt.methods.best_of_n.pool import sample_pool


def main(job: Job, config: Settings, prompts: Input, policy: Input, pool: Output) -> None:
    sample_pool(job, PoolSettings.model_validate_json(config), prompts, policy.parent, pool)


if __name__ == "__main__":
    run(main)
