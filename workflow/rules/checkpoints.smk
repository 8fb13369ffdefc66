"""
Published checkpoints, of others: where policies, RM backbones or the gold RM start from them.

INPUTS
    a local folder, or a repository of the Hugging Face hub
OUTPUTS
    checkpoints/{checkpoint}/   as the project writes its own models
STEPS
    checkpoints            target: every one of them
    published_checkpoint   fetch it (where the workflow runs: compute nodes often have no network),
        check it, and write it as the project's own models are written
"""


# By their records: the weights go when they have been used, where the study does not keep them.
rule checkpoints:
    input:
        expand(
            "<results>/checkpoints/{checkpoint}/run_record.json",
            checkpoint=study.checkpoints(),
        ),


rule published_checkpoint:
    input:
        files=lambda wildcards: study.checkpoints()[wildcards.checkpoint].files(),
    output:
        beside("<results>/checkpoints/{checkpoint}", REWARD_MODEL_FILES),
        model=kept(
            "checkpoints", "<results>/checkpoints/{checkpoint}/model.safetensors"
        ),
        source="<results>/checkpoints/{checkpoint}/source.json",
        record="<results>/checkpoints/{checkpoint}/run_record.json",
    log:
        "<results>/logs/published_checkpoint_{checkpoint}.log",
    localrule: True
    conda:
        "../../envs/science.yaml"
    resources:
        **cost("published_checkpoint", is_local=True),
    params:
        config=lambda wildcards: as_param(study.checkpoints()[wildcards.checkpoint]),
        code=code("published_checkpoint"),
    shell:
        'set --; for file in {input.files:q}; do set -- "$@" --file "$file"; done;'
        " python {REPO:q}/workflow/scripts/published_checkpoint.py"
        " --config {params.config:q} --code {params.code}"
        ' "$@" --model {output.model:q} --source {output.source:q}'
        " --record {output.record:q} > {log:q} 2>&1"
