"""Score a larger pool by one proxy RM, the best of it by gold, and estimate the curve to large n.

python workflow/scripts/deep_best_of_n.py --config '{...}' --pool deep_pool.safetensors
    --tokenizer POLICY/tokenizer.json --gold-rm GOLD/model.safetensors
    --proxy-rm PROXY/model.safetensors --curve OUT.parquet --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.config.deep_best_of_n import DeepBestOfNSettings
from overopt.methods.best_of_n.deep_curve import deep_best_of_n_curve


def main(
    job: Job,
    config: Settings,
    pool: Input,
    tokenizer: Input,
    gold_rm: Input,
    proxy_rm: Input,
    curve: Output,
) -> None:
    settings = DeepBestOfNSettings.model_validate_json(config)
    deep_best_of_n_curve(
        job, settings, pool, tokenizer.parent, gold_rm.parent, proxy_rm.parent, curve
    )


if __name__ == "__main__":
    run(main)
