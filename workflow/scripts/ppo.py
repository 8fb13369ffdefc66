"""Optimize a policy against one proxy RM by PPO, and measure its curve.

python workflow/scripts/ppo.py --config '{...}' --prompts prompts.parquet
    --policy policies/small/model.safetensors --proxy-rm PROXY/model.safetensors
    --gold-rm gold_rm/model.safetensors --curve OUT.parquet --iterations OUT.csv
    --model OUT/model.safetensors --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.config.ppo import PPOSettings
from overopt.methods.method_files import MethodFiles
from overopt.methods.ppo.job import optimize_by_ppo


def main(
    job: Job,
    config: Settings,
    prompts: Input,
    policy: Input,
    proxy_rm: Input,
    gold_rm: Input,
    curve: Output,
    iterations: Output,
    model: Output,
) -> None:
    files = MethodFiles(
        prompts=prompts,
        policy_dir=policy.parent,
        proxy_rm_dir=proxy_rm.parent,
        gold_rm_dir=gold_rm.parent,
        curve=curve,
        iterations=iterations,
        model_dir=model.parent,
    )
    optimize_by_ppo(job, PPOSettings.model_validate_json(config), files)


if __name__ == "__main__":
    run(main)
