"""
Initial policies, by supervised fine-tuning (Gao et al. 2022, section 2).

INPUTS
    data/demonstrations.parquet, data/tokenizer/
OUTPUTS
    policies/{policy_size}/   a causal language model of transformers, with its tokenizer
STEPS
    policy   train a language model on the demonstrations; loss on the response only
"""

from overopt import memory, run_time


rule policy:
    input:
        demonstrations="<results>/data/demonstrations.parquet",
        tokenizer="<results>/data/tokenizer/tokenizer.json",
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
    resources:
        mem_mb=lambda wildcards, attempt: attempt
        * with_snakemake(memory.policy(study, wildcards.policy_size)),
        runtime=lambda wildcards, attempt: attempt
        * run_time.policy(study, wildcards.policy_size),
    params:
        config=lambda wildcards: as_param(study.policy_settings(wildcards.policy_size)),
        code=code("train_language_model"),
    shell:
        "python {REPO}/workflow/scripts/train_language_model.py"
        " --config {params.config:q} --code {params.code}"
        " --demonstrations {input.demonstrations} --tokenizer {input.tokenizer}"
        " --model {output.model} --record {output.record} > {log} 2>&1"
