"""
Large-n best-of-n: does the law fitted to n <= 1,000 predict n = 60,000? (section 3.1)

INPUTS
    data/prompts.parquet, policies/, gold_rm/, proxy_rms/
OUTPUTS
    deep_best_of_n/{policy}/pool.safetensors, {proxy RM}/curve.parquet
STEPS
    deep_pool        draw 65,536 responses to each of some evaluation prompts
    deep_best_of_n   score all by one proxy RM, and by gold those that the estimate reads
"""


rule deep_pool:
    input:
        prompts="<results>/data/prompts.parquet",
        policy="<results>/policies/{policy_size}/model.safetensors",
    output:
        pool=kept("pools", "<results>/deep_best_of_n/{policy_size}/pool.safetensors"),
        record="<results>/deep_best_of_n/{policy_size}/pool_record.json",
    log:
        "<results>/logs/deep_pool_{policy_size}.log",
    priority: 40
    conda:
        "../../envs/science.yaml"
    resources:
        **cost("deep_pool"),
    params:
        config=lambda wildcards: as_param(
            job_settings.deep_pool_settings(study, wildcards.policy_size)
        ),
        code=code("deep_pool"),
    shell:
        "python {REPO:q}/workflow/scripts/deep_pool.py"
        " --config {params.config:q} --code {params.code}"
        " --prompts {input.prompts:q} --policy {input.policy:q}"
        " --pool {output.pool:q} --record {output.record:q} > {log:q} 2>&1"


rule deep_best_of_n:
    input:
        pool="<results>/deep_best_of_n/{policy_size}/pool.safetensors",
        tokenizer="<results>/policies/{policy_size}/tokenizer.json",
        gold_rm=in_results(paths.gold_rm_file(study)),
        proxy_rm="<results>/proxy_rms/<proxy_rm>/model.safetensors",
    output:
        curve="<results>/deep_best_of_n/{policy_size}/<proxy_rm>/curve.parquet",
        record="<results>/deep_best_of_n/{policy_size}/<proxy_rm>/run_record.json",
    log:
        "<results>/logs/deep_best_of_n/{policy_size}/<proxy_rm>.log",
    priority: 20
    conda:
        "../../envs/science.yaml"
    resources:
        **cost("deep_best_of_n"),
    params:
        config=lambda wildcards: as_param(
            job_settings.deep_best_of_n_settings(
                study, paths.run_at("deep_best_of_n", wildcards)
            ),
            run_plugins("deep_best_of_n", wildcards),
        ),
        code=lambda wildcards: code(
            "deep_best_of_n", run_plugins("deep_best_of_n", wildcards)
        ),
    shell:
        "python {REPO:q}/workflow/scripts/deep_best_of_n.py"
        " --config {params.config:q} --code {params.code}"
        " --pool {input.pool:q} --tokenizer {input.tokenizer:q} --gold-rm {input.gold_rm:q} --proxy-rm {input.proxy_rm:q}"
        " --curve {output.curve:q} --record {output.record:q} > {log:q} 2>&1"
