"""Optimize a policy against one proxy RM by a method that is a function, and measure its curve.

python workflow/scripts/method.py --config '{"plugins": ["my_package.mine"], ...}'
    --prompts prompts.parquet --policy policies/small/model.safetensors
    --proxy-rm PROXY/model.safetensors --gold-rm gold_rm/model.safetensors
    --curve OUT.parquet --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.config.method_job import MethodSettings
from overopt.methods.method_files import MethodFiles
from overopt.methods.named_method import optimize_by_name


def main(
    job: Job,
    config: Settings,
    prompts: Input,
    policy: Input,
    proxy_rm: Input,
    gold_rm: Input,
    curve: Output,
) -> None:
    files = MethodFiles(
        prompts=prompts,
        policy_dir=policy.parent,
        proxy_rm_dir=proxy_rm.parent,
        gold_rm_dir=gold_rm.parent,
        curve=curve,
        iterations=curve.parent / "iterations.csv",
        model_dir=curve.parent,
    )
    optimize_by_name(job, MethodSettings.model_validate_json(config), files)


if __name__ == "__main__":
    run(main)
