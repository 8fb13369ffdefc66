"""Score a pool by one proxy RM and estimate its best-of-n curve.

python workflow/scripts/best_of_n.py --config '{...}' --pool pool.parquet
    --tokenizer POLICY/tokenizer.json --gold-scores gold_scores.parquet
    --proxy-rm PROXY/model.safetensors --proxy-scores OUT.parquet --curve OUT.parquet
    --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.config.best_of_n import BestOfNSettings
from overopt.methods.best_of_n.curve import best_of_n_curve


def main(
    job: Job,
    config: Settings,
    pool: Input,
    tokenizer: Input,
    gold_scores: Input,
    proxy_rm: Input,
    proxy_scores: Output,
    curve: Output,
) -> None:
    settings = BestOfNSettings.model_validate_json(config)
    best_of_n_curve(
        job, settings, pool, tokenizer.parent, gold_scores, proxy_rm.parent, proxy_scores, curve
    )


if __name__ == "__main__":
    run(main)
