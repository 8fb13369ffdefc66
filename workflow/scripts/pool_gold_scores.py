"""Score a pool by the gold RM.

python workflow/scripts/pool_gold_scores.py --config '{...}' --pool pool.parquet
    --tokenizer POLICY/tokenizer.json --gold-rm gold_rm/model.safetensors
    --scores OUT.parquet --scale OUT.json --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.config.best_of_n import PoolScoreSettings
from overopt.methods.best_of_n.gold_scores import score_pool_by_gold


def main(
    job: Job,
    config: Settings,
    pool: Input,
    tokenizer: Input,
    gold_rm: Input,
    scores: Output,
    scale: Output,
) -> None:
    settings = PoolScoreSettings.model_validate_json(config)
    score_pool_by_gold(job, settings, pool, tokenizer.parent, gold_rm.parent, scores, scale)


if __name__ == "__main__":
    run(main)
