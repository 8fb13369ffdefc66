"""Write the prompts and demonstrations of the embedded world.

python workflow/scripts/embedded_demonstrations.py --config '{...}' --prompts OUT.parquet
    --demonstrations OUT.parquet --tokenizer OUT/tokenizer.json --record OUT.json
"""

from overopt.jobs.job import Job, Output, Settings, run
from overopt.config.data import EmbeddedDemonstrationSettings
from overopt.data.world.demonstrations import make_demonstrations


def main(
    job: Job, config: Settings, prompts: Output, demonstrations: Output, tokenizer: Output
) -> None:
    settings = EmbeddedDemonstrationSettings.model_validate_json(config)
    make_demonstrations(job, settings, prompts, demonstrations, tokenizer.parent)


if __name__ == "__main__":
    run(main)
