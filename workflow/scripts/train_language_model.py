"""Fit a language model to the demonstrations: an initial policy, or the backbone of a proxy RM.

python workflow/scripts/train_language_model.py --config '{...}'
    --demonstrations demonstrations.parquet --start CHECKPOINT/model.safetensors
    --model OUT/model.safetensors --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.config.policy import LanguageModelSettings
from overopt.policy.sft import fit_to_demonstrations


def main(job: Job, config: Settings, demonstrations: Input, start: Input, model: Output) -> None:
    settings = LanguageModelSettings.model_validate_json(config)
    fit_to_demonstrations(job, settings, demonstrations, start.parent, model.parent)


if __name__ == "__main__":
    run(main)
