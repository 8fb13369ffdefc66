"""Have the embedded world's annotators compare candidate responses.

python workflow/scripts/embedded_comparisons.py --config '{...}' --prompts prompts.parquet
    --policy policies/small/model.safetensors --comparisons OUT.parquet --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.config.data import EmbeddedComparisonSettings
from overopt.data.world.human_comparisons import make_human_comparisons


def main(job: Job, config: Settings, prompts: Input, policy: Input, comparisons: Output) -> None:
    settings = EmbeddedComparisonSettings.model_validate_json(config)
    make_human_comparisons(job, settings, prompts, policy.parent, comparisons)


if __name__ == "__main__":
    run(main)
