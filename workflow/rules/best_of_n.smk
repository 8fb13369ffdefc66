"""
Best-of-n (Gao et al. 2022, sections 2 and 3.1).

INPUTS
    data/prompts.parquet, policies/, gold_rm/, proxy_rms/
OUTPUTS
    best_of_n/{policy}/pool.parquet, gold_scores.parquet, gold_scale.json
    best_of_n/{policy}/{proxy RM}/curve.parquet, proxy_scores.parquet, tilted_curve.parquet
    gold_ceiling.csv
STEPS
    pool               draw many responses to each evaluation prompt, once per policy
    pool_gold_scores   score the pool by the gold RM, once per policy
    best_of_n          score it by one proxy RM; unbiased estimate for all n at once
    gold_ceiling       best-of-n by the gold RM itself: what a beta is without overoptimization
    tilted             weight it by exp(proxy / c): the highest proxy score at each KL
"""


rule pool:
    input:
        prompts="<results>/data/prompts.parquet",
        policy="<results>/policies/{policy_size}/model.safetensors",
    output:
        pool=kept("pools", "<results>/best_of_n/{policy_size}/pool.parquet"),
        record="<results>/best_of_n/{policy_size}/pool_record.json",
    log:
        "<results>/logs/pool_{policy_size}.log",
    priority: 40
    conda:
        "../../envs/science.yaml"
    resources:
        **cost("pool"),
    params:
        config=lambda wildcards: as_param(
            job_settings.pool_settings(study, wildcards.policy_size)
        ),
        code=code("pool"),
    shell:
        "python {REPO:q}/workflow/scripts/pool.py"
        " --config {params.config:q} --code {params.code}"
        " --prompts {input.prompts:q} --policy {input.policy:q}"
        " --pool {output.pool:q} --record {output.record:q} > {log:q} 2>&1"


rule pool_gold_scores:
    input:
        pool="<results>/best_of_n/{policy_size}/pool.parquet",
        tokenizer="<results>/policies/{policy_size}/tokenizer.json",
        gold_rm=in_results(paths.gold_rm_file(study)),
    output:
        scores="<results>/best_of_n/{policy_size}/gold_scores.parquet",
        scale="<results>/best_of_n/{policy_size}/gold_scale.json",
        record="<results>/best_of_n/{policy_size}/gold_scores_record.json",
    log:
        "<results>/logs/pool_gold_scores_{policy_size}.log",
    priority: 50
    conda:
        "../../envs/science.yaml"
    resources:
        **cost("pool_gold_scores"),
    params:
        config=lambda wildcards: as_param(job_settings.pool_score_settings(study)),
        code=code("pool_gold_scores"),
    shell:
        "python {REPO:q}/workflow/scripts/pool_gold_scores.py"
        " --config {params.config:q} --code {params.code}"
        " --pool {input.pool:q} --tokenizer {input.tokenizer:q} --gold-rm {input.gold_rm:q}"
        " --scores {output.scores:q} --scale {output.scale:q} --record {output.record:q} > {log:q} 2>&1"


rule best_of_n:
    input:
        pool="<results>/best_of_n/{policy_size}/pool.parquet",
        tokenizer="<results>/policies/{policy_size}/tokenizer.json",
        gold_scores="<results>/best_of_n/{policy_size}/gold_scores.parquet",
        proxy_rm="<results>/proxy_rms/<proxy_rm>/model.safetensors",
    output:
        proxy_scores="<results>/best_of_n/{policy_size}/<proxy_rm>/proxy_scores.parquet",
        curve="<results>/best_of_n/{policy_size}/<proxy_rm>/curve.parquet",
        record="<results>/best_of_n/{policy_size}/<proxy_rm>/run_record.json",
    log:
        "<results>/logs/best_of_n/{policy_size}/<proxy_rm>.log",
    priority: 20
    conda:
        "../../envs/science.yaml"
    resources:
        **cost("best_of_n"),
    params:
        config=lambda wildcards: as_param(
            job_settings.best_of_n_settings(
                study, paths.run_at("best_of_n", wildcards)
            ),
            run_plugins("best_of_n", wildcards),
        ),
        code=lambda wildcards: code("best_of_n", run_plugins("best_of_n", wildcards)),
    shell:
        "python {REPO:q}/workflow/scripts/best_of_n.py"
        " --config {params.config:q} --code {params.code}"
        " --pool {input.pool:q} --tokenizer {input.tokenizer:q} --gold-scores {input.gold_scores:q} --proxy-rm {input.proxy_rm:q}"
        " --proxy-scores {output.proxy_scores:q} --curve {output.curve:q}"
        " --record {output.record:q} > {log:q} 2>&1"


rule gold_ceiling:
    input:
        gold_scores=f"<results>/best_of_n/{study.main_policy}/gold_scores.parquet",
        gold_scale=f"<results>/best_of_n/{study.main_policy}/gold_scale.json",
    output:
        ceiling="<results>/gold_ceiling.csv",
        record="<results>/analysis/gold_ceiling_record.json",
    log:
        "<results>/logs/gold_ceiling.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        **cost("gold_ceiling"),
    params:
        config=lambda wildcards: as_param(job_settings.gold_ceiling_settings(study)),
        code=code("gold_ceiling"),
    shell:
        "python {REPO:q}/workflow/scripts/gold_ceiling.py"
        " --config {params.config:q} --code {params.code}"
        " --gold-scores {input.gold_scores:q} --gold-scale {input.gold_scale:q}"
        " --ceiling {output.ceiling:q} --record {output.record:q} > {log:q} 2>&1"


rule tilted:
    input:
        gold_scores="<results>/best_of_n/{policy_size}/gold_scores.parquet",
        proxy_scores="<results>/best_of_n/{policy_size}/<proxy_rm>/proxy_scores.parquet",
        curve="<results>/best_of_n/{policy_size}/<proxy_rm>/curve.parquet",
    output:
        curve="<results>/best_of_n/{policy_size}/<proxy_rm>/tilted_curve.parquet",
        record="<results>/best_of_n/{policy_size}/<proxy_rm>/tilted_record.json",
    log:
        "<results>/logs/tilted/{policy_size}/<proxy_rm>.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        **cost("tilted"),
    params:
        config=lambda wildcards: with_plugins("{}", run_plugins("tilted", wildcards)),
        code=lambda wildcards: code("tilted", run_plugins("tilted", wildcards)),
    shell:
        "python {REPO:q}/workflow/scripts/tilted.py"
        " --config {params.config:q} --code {params.code}"
        " --gold-scores {input.gold_scores:q} --proxy-scores {input.proxy_scores:q}"
        " --best-of-n-curve {input.curve:q}"
        " --curve {output.curve:q} --record {output.record:q} > {log:q} 2>&1"
