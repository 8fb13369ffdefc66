"""
The gold reward model, which stands for the human (Gao et al. 2022, section 2.1).

INPUTS
    data/human_comparisons.parquet
    policies/{backbone}/   the SFT checkpoint it starts from
OUTPUTS
    gold_rm/   a sequence classifier of transformers with one label
STEPS
    gold_rm   fit the pairwise likelihood of the human choices; measure it on held-out prompts
"""


rule gold_rm:
    input:
        comparisons="<results>/data/human_comparisons.parquet",
        backbone=f"<results>/policies/{study.gold_rm.backbone}/model.safetensors",
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
    threads: processes("gold_rm")
    resources:
        **cost("gold_rm"),
        launch=launch("gold_rm"),
    params:
        config=lambda wildcards: as_param(job_settings.gold_rm_settings(study)),
        code=code("train_gold_rm"),
    shell:
        "{resources.launch} {REPO:q}/workflow/scripts/train_gold_rm.py"
        " --config {params.config:q} --code {params.code}"
        " --comparisons {input.comparisons:q} --backbone {input.backbone:q}"
        " --model {output.model:q} --record {output.record:q} > {log:q} 2>&1"
