"""
A gold reward model that others published, taken as it is; it stands for the human (section 2.1).

INPUTS
    checkpoints/{checkpoint}/, data/prompts.parquet, data/human_comparisons.parquet
OUTPUTS
    gold_rm/   a sequence classifier of transformers with one label
STEPS
    gold_rm   copy it; try its chat template on every prompt; measure it on held-out human comparisons
"""


rule gold_rm:
    input:
        published=f"<results>/checkpoints/{study.gold_checkpoint.slug}/model.safetensors",
        prompts="<results>/data/prompts.parquet",
        comparisons="<results>/data/human_comparisons.parquet",
    output:
        beside("<results>/gold_rm", REWARD_MODEL_FILES),
        model="<results>/gold_rm/model.safetensors",
        metrics="<results>/gold_rm/metrics.json",
        record="<results>/gold_rm/run_record.json",
    log:
        "<results>/logs/gold_rm.log",
    priority: 100
    conda:
        "../../envs/science.yaml"
    resources:
        **cost("gold_rm"),
    params:
        config=lambda wildcards: as_param(
            job_settings.published_gold_rm_settings(study)
        ),
        code=code("published_gold_rm"),
    shell:
        "python {REPO:q}/workflow/scripts/published_gold_rm.py"
        " --config {params.config:q} --code {params.code}"
        " --published {input.published:q} --prompts {input.prompts:q}"
        " --comparisons {input.comparisons:q}"
        " --model {output.model:q} --record {output.record:q} > {log:q} 2>&1"
