"""
Methods that are a function each: RLOO, GRPO, Dr. GRPO, REINFORCE++, and those of plugins
(docs/extending.md), against a proxy RM.

INPUTS
    data/prompts.parquet, policies/, gold_rm/, proxy_rms/
OUTPUTS
    {method}/{policy}/{its own axes}/{proxy RM}/curve.parquet, and what else the method leaves there
STEPS
    method   run the function that the method names; check the curve it wrote
"""


rule method:
    input:
        prompts="<results>/data/prompts.parquet",
        policy=lambda wildcards: in_results(
            f"{paths.policy_folder(method_run(wildcards).policy_size)}/model.safetensors"
        ),
        proxy_rm=lambda wildcards: in_results(
            f"{paths.proxy_rm_folder(method_run(wildcards).proxy_rm)}/model.safetensors"
        ),
        gold_rm=in_results(paths.gold_rm_file(study)),
    output:
        curve="<results>/{run_folder}/curve.parquet",
        record="<results>/{run_folder}/run_record.json",
    log:
        "<results>/logs/{run_folder}.log",
    priority: 30
    conda:
        "../../envs/science.yaml"
    threads: processes("method")
    resources:
        **cost("method"),
        launch=launch("method"),
    params:
        config=lambda wildcards: as_param(
            job_settings.method_settings(study, method_run(wildcards)),
            job_settings.run_plugins(method_run(wildcards)),
        ),
        code=lambda wildcards: method_code(method_run(wildcards)),
    shell:
        "{resources.launch} {REPO:q}/workflow/scripts/method.py"
        " --config {params.config:q} --code {params.code}"
        " --prompts {input.prompts:q} --policy {input.policy:q} --proxy-rm {input.proxy_rm:q}"
        " --gold-rm {input.gold_rm:q} --curve {output.curve:q}"
        " --record {output.record:q} > {log:q} 2>&1"
