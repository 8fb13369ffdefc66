"""Fit one proxy RM to synthetic comparisons.

python workflow/scripts/train_proxy_rm.py --config '{...}' --comparisons comparisons.parquet
    --tokenizer POLICY/tokenizer.json --backbone BACKBONE/model.safetensors
    --model OUT/model.safetensors --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.config.reward_model import RewardModelSettings
from overopt.reward_model.proxy import ProxyFiles
from overopt.reward_model.variant_training import train_variant


def main(
    job: Job, config: Settings, comparisons: Input, tokenizer: Input, backbone: Input, model: Output
) -> None:
    settings = RewardModelSettings.model_validate_json(config)
    files = ProxyFiles(comparisons, tokenizer.parent, backbone.parent, model.parent)
    train_variant(job, settings, files)


if __name__ == "__main__":
    run(main)
