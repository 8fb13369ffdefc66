"""
Proxy reward models at many sizes and data sizes (Gao et al. 2022, sections 2.1, 3.2, 3.3).

INPUTS
    data/demonstrations.parquet, data/tokenizer/, synthetic_comparisons/comparisons.parquet
OUTPUTS
    backbones/{size}/seed-{seed}/   a causal language model
    proxy_rms/{size}/{n}-comparisons/{epochs}-epochs/seed-{seed}/   a sequence classifier
STEPS
    backbone   pre-train a language model of this size until it knows the prompt
    proxy_rm   fit the gold labels; measure loss, accuracy and temperature on held-out prompts
"""


rule backbone:
    input:
        demonstrations="<results>/data/demonstrations.parquet",
        start=lambda wildcards: start_of(study.proxy_sizes[wildcards.proxy_size]),
    output:
        beside("<results>/backbones/{proxy_size}/seed-{seed}", POLICY_FILES),
        model=kept(
            "backbones",
            "<results>/backbones/{proxy_size}/seed-{seed}/model.safetensors",
        ),
        metrics="<results>/backbones/{proxy_size}/seed-{seed}/metrics.json",
        record="<results>/backbones/{proxy_size}/seed-{seed}/run_record.json",
    log:
        "<results>/logs/backbone_{proxy_size}_seed-{seed}.log",
    conda:
        "../../envs/science.yaml"
    threads: processes("backbone")
    resources:
        **cost("backbone"),
        launch=launch("backbone"),
    params:
        config=lambda wildcards: as_param(
            job_settings.backbone_settings(
                study, wildcards.proxy_size, int(wildcards.seed)
            )
        ),
        code=code("train_language_model"),
    shell:
        "{resources.launch} {REPO:q}/workflow/scripts/train_language_model.py"
        " --config {params.config:q} --code {params.code}"
        " --demonstrations {input.demonstrations:q} --start {input.start:q}"
        " --model {output.model:q} --record {output.record:q} > {log:q} 2>&1"


rule proxy_rm:
    input:
        comparisons="<results>/synthetic_comparisons/comparisons.parquet",
        tokenizer=f"<results>/policies/{study.comparison_policy}/tokenizer.json",
        backbone="<results>/backbones/{proxy_size}/seed-{seed}/model.safetensors",
    output:
        beside("<results>/proxy_rms/<proxy_rm>", REWARD_MODEL_FILES),
        model=kept("proxy_rms", "<results>/proxy_rms/<proxy_rm>/model.safetensors"),
        metrics="<results>/proxy_rms/<proxy_rm>/metrics.json",
        record="<results>/proxy_rms/<proxy_rm>/run_record.json",
    log:
        "<results>/logs/proxy_rm/<proxy_rm>.log",
    priority: 60
    conda:
        "../../envs/science.yaml"
    threads: processes("proxy_rm")
    resources:
        **cost("proxy_rm"),
        launch=launch("proxy_rm"),
    params:
        config=lambda wildcards: as_param(
            job_settings.proxy_rm_settings(study, paths.proxy_rm_at(wildcards)),
            proxy_plugins(wildcards),
        ),
        code=lambda wildcards: code("train_proxy_rm", proxy_plugins(wildcards)),
    shell:
        "{resources.launch} {REPO:q}/workflow/scripts/train_proxy_rm.py"
        " --config {params.config:q} --code {params.code}"
        " --comparisons {input.comparisons:q} --tokenizer {input.tokenizer:q} --backbone {input.backbone:q}"
        " --model {output.model:q} --record {output.record:q} > {log:q} 2>&1"
