"""
The embedded world: prompts, demonstrations and human comparisons from scratch, offline.

INPUTS
    nothing but the config; the initial main policy, whose samples the annotators compare
OUTPUTS
    data/prompts.parquet, data/demonstrations.parquet, data/tokenizer/
    data/human_comparisons.parquet
    feature_correlations.csv
STEPS
    demonstrations         split all prompts; writers write on the SFT part
    human_comparisons      annotators judge pairs of policy samples, writers' and degenerate texts
    feature_correlations   what every reward model has learned of the hidden utility
"""


rule demonstrations:
    output:
        prompts="<results>/data/prompts.parquet",
        demonstrations="<results>/data/demonstrations.parquet",
        tokenizer="<results>/data/tokenizer/tokenizer.json",
        tokenizer_config="<results>/data/tokenizer/tokenizer_config.json",
        record="<results>/data/demonstrations_record.json",
    log:
        "<results>/logs/demonstrations.log",
    conda:
        "../../envs/science.yaml"
    resources:
        **cost("demonstrations"),
    params:
        config=lambda wildcards: as_param(
            job_settings.embedded_demonstration_settings(study)
        ),
        code=code("embedded_demonstrations"),
    shell:
        "python {REPO:q}/workflow/scripts/embedded_demonstrations.py"
        " --config {params.config:q} --code {params.code}"
        " --prompts {output.prompts:q} --demonstrations {output.demonstrations:q}"
        " --tokenizer {output.tokenizer:q} --record {output.record:q} > {log:q} 2>&1"


rule human_comparisons:
    input:
        prompts="<results>/data/prompts.parquet",
        policy=f"<results>/policies/{study.main_policy}/model.safetensors",
    output:
        comparisons="<results>/data/human_comparisons.parquet",
        record="<results>/data/human_comparisons_record.json",
    log:
        "<results>/logs/human_comparisons.log",
    priority: 100
    conda:
        "../../envs/science.yaml"
    resources:
        **cost("human_comparisons"),
    params:
        config=lambda wildcards: as_param(
            job_settings.embedded_comparison_settings(study)
        ),
        code=code("embedded_comparisons"),
    shell:
        "python {REPO:q}/workflow/scripts/embedded_comparisons.py"
        " --config {params.config:q} --code {params.code}"
        " --prompts {input.prompts:q} --policy {input.policy:q}"
        " --comparisons {output.comparisons:q} --record {output.record:q} > {log:q} 2>&1"


rule feature_correlations:
    input:
        pool=f"<results>/best_of_n/{study.main_policy}/pool.parquet",
        gold_scores=f"<results>/best_of_n/{study.main_policy}/gold_scores.parquet",
        tokenizer=f"<results>/policies/{study.main_policy}/tokenizer.json",
        proxy_scores=main_proxy_score_files,
        curves=main_curve_files,
    output:
        correlations="<results>/feature_correlations.csv",
        record="<results>/analysis/feature_correlations_record.json",
    log:
        "<results>/logs/feature_correlations.log",
    conda:
        "../../envs/science.yaml"
    resources:
        **cost("feature_correlations"),
    params:
        config=lambda wildcards: as_param(job_settings.feature_settings(study)),
        code=code("feature_correlations"),
    shell:
        "python {REPO:q}/workflow/scripts/feature_correlations.py"
        " --config {params.config:q} --code {params.code}"
        " --pool {input.pool:q} --gold-scores {input.gold_scores:q} --tokenizer {input.tokenizer:q}"
        " --proxy-scores {LISTS.main_proxy_scores} --curve {LISTS.main_curves}"
        " --correlations {output.correlations:q} --record {output.record:q} > {log:q} 2>&1"
