"""
Initial policies, by supervised fine-tuning (Gao et al. 2022, section 2).

INPUTS
    data/demonstrations.parquet, data/tokenizer/ or checkpoints/{checkpoint}/
OUTPUTS
    policies/{policy_size}/   a causal language model of transformers, with its tokenizer
STEPS
    policy   train a language model on the demonstrations; loss on the response only
"""


rule policy:
    input:
        demonstrations="<results>/data/demonstrations.parquet",
        start=lambda wildcards: start_of(study.policies[wildcards.policy_size]),
    output:
        beside("<results>/policies/{policy_size}", POLICY_FILES),
        model="<results>/policies/{policy_size}/model.safetensors",
        metrics="<results>/policies/{policy_size}/metrics.json",
        record="<results>/policies/{policy_size}/run_record.json",
    log:
        "<results>/logs/policy_{policy_size}.log",
    priority: 100
    conda:
        "../../envs/science.yaml"
    threads: processes("policy")
    resources:
        **cost("policy"),
        launch=launch("policy"),
    params:
        config=lambda wildcards: as_param(
            job_settings.policy_settings(study, wildcards.policy_size)
        ),
        code=code("train_language_model"),
    shell:
        "{resources.launch} {REPO:q}/workflow/scripts/train_language_model.py"
        " --config {params.config:q} --code {params.code}"
        " --demonstrations {input.demonstrations:q} --start {input.start:q}"
        " --model {output.model:q} --record {output.record:q} > {log:q} 2>&1"
