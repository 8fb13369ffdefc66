"""
Gold that is no reward model: the embedded world's hidden utility, exact.

INPUTS
    data/human_comparisons.parquet
OUTPUTS
    gold_rm/utility.json   how the utility becomes a score
STEPS
    gold_rm   write it down; measure it on held-out human comparisons
"""


rule gold_rm:
    input:
        comparisons="<results>/data/human_comparisons.parquet",
    output:
        utility="<results>/gold_rm/utility.json",
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
        config=lambda wildcards: as_param(job_settings.utility_gold_settings(study)),
        code=code("utility_gold_rm"),
    shell:
        "python {REPO:q}/workflow/scripts/utility_gold_rm.py"
        " --config {params.config:q} --code {params.code}"
        " --comparisons {input.comparisons:q}"
        " --utility {output.utility:q} --record {output.record:q} > {log:q} 2>&1"
