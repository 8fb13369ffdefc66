"""Label pairs of responses with the gold RM.

python workflow/scripts/synthetic_comparisons.py --config '{...}' --pairs pairs.parquet
    --tokenizer POLICY/tokenizer.json --gold-rm gold_rm/model.safetensors
    --comparisons OUT.parquet --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.config.reward_model import LabelSettings
from overopt.reward_model.synthetic_labels import label_pairs


def main(
    job: Job, config: Settings, pairs: Input, tokenizer: Input, gold_rm: Input, comparisons: Output
) -> None:
    settings = LabelSettings.model_validate_json(config)
    label_pairs(job, settings, pairs, tokenizer.parent, gold_rm.parent, comparisons)


if __name__ == "__main__":
    run(main)
