"""
Synthetic comparisons: what the proxies learn from (Gao et al. 2022, section 2.1).

INPUTS
    data/prompts.parquet, policies/{comparison policy}/, gold_rm/
OUTPUTS
    synthetic_comparisons/pairs.parquet         token ids of two responses per prompt
    synthetic_comparisons/comparisons.parquet   which of them the gold RM prefers
STEPS
    synthetic_responses     sample pairs of responses of the initial policy (while the gold RM trains)
    synthetic_comparisons   score both with the gold RM; the higher score is chosen, always
"""


rule synthetic_responses:
    input:
        prompts="<results>/data/prompts.parquet",
        policy=f"<results>/policies/{study.comparison_policy}/model.safetensors",
    output:
        pairs="<results>/synthetic_comparisons/pairs.parquet",
        record="<results>/synthetic_comparisons/pairs_record.json",
    log:
        "<results>/logs/synthetic_responses.log",
    priority: 50
    conda:
        "../../envs/science.yaml"
    resources:
        **cost("synthetic_responses"),
    params:
        config=lambda wildcards: as_param(
            job_settings.synthetic_response_settings(study)
        ),
        code=code("synthetic_responses"),
    shell:
        "python {REPO:q}/workflow/scripts/synthetic_responses.py"
        " --config {params.config:q} --code {params.code}"
        " --prompts {input.prompts:q} --policy {input.policy:q}"
        " --pairs {output.pairs:q} --record {output.record:q} > {log:q} 2>&1"


rule synthetic_comparisons:
    input:
        pairs="<results>/synthetic_comparisons/pairs.parquet",
        tokenizer=f"<results>/policies/{study.comparison_policy}/tokenizer.json",
        gold_rm=in_results(paths.gold_rm_file(study)),
    output:
        comparisons="<results>/synthetic_comparisons/comparisons.parquet",
        record="<results>/synthetic_comparisons/comparisons_record.json",
    log:
        "<results>/logs/synthetic_comparisons.log",
    priority: 100
    conda:
        "../../envs/science.yaml"
    resources:
        **cost("synthetic_comparisons"),
    params:
        config=lambda wildcards: as_param(job_settings.label_settings(study)),
        code=code("synthetic_comparisons"),
    shell:
        "python {REPO:q}/workflow/scripts/synthetic_comparisons.py"
        " --config {params.config:q} --code {params.code}"
        " --pairs {input.pairs:q} --tokenizer {input.tokenizer:q} --gold-rm {input.gold_rm:q}"
        " --comparisons {output.comparisons:q} --record {output.record:q} > {log:q} 2>&1"
