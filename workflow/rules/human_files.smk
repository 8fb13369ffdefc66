"""
Human data from the user's own files, or as hub_data.smk has written it.

INPUTS
    demonstrations        jsonl with prompt, response
    comparisons           jsonl with prompt, chosen, rejected
OUTPUTS
    data/prompts.parquet, data/demonstrations.parquet, data/tokenizer/
    data/human_comparisons.parquet
STEPS
    demonstrations      read both files, split their prompts, train a BPE tokenizer
    human_comparisons   keep the comparisons of the reward-modelling parts
"""


rule demonstrations:
    input:
        demonstrations_file=human_file("demonstrations"),
        comparisons_file=human_file("comparisons"),
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
        config=lambda wildcards: as_param(job_settings.file_settings(study)),
        code=code("file_demonstrations"),
    shell:
        "python {REPO:q}/workflow/scripts/file_demonstrations.py"
        " --config {params.config:q} --code {params.code}"
        " --demonstrations-file {input.demonstrations_file:q}"
        " --comparisons-file {input.comparisons_file:q}"
        " --prompts {output.prompts:q} --demonstrations {output.demonstrations:q}"
        " --tokenizer {output.tokenizer:q} --record {output.record:q} > {log:q} 2>&1"


rule human_comparisons:
    input:
        comparisons_file=human_file("comparisons"),
        prompts="<results>/data/prompts.parquet",
    output:
        comparisons="<results>/data/human_comparisons.parquet",
        record="<results>/data/human_comparisons_record.json",
    log:
        "<results>/logs/human_comparisons.log",
    conda:
        "../../envs/science.yaml"
    resources:
        **cost("human_comparisons"),
    params:
        config=lambda wildcards: "{}",
        code=code("file_comparisons"),
    shell:
        "python {REPO:q}/workflow/scripts/file_comparisons.py"
        " --config {params.config:q} --code {params.code}"
        " --comparisons-file {input.comparisons_file:q} --prompts {input.prompts:q}"
        " --comparisons {output.comparisons:q} --record {output.record:q} > {log:q} 2>&1"
