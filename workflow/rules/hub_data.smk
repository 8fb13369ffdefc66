"""
Human data of the hub, in the form of the user's own files.

INPUTS
    data.comparisons, data.demonstrations   data sets of the hub at a pinned commit, or folders
OUTPUTS
    data/hub/comparisons.jsonl      prompt, chosen, rejected
    data/hub/demonstrations.jsonl   prompt, response
STEPS
    hub_data   fetch, read each data set in its own schema, write both files
"""

from overopt.data.hub.local_files import local_files


# Here, not on a compute node, which often has no way out to the hub.
rule hub_data:
    # The files of local folders, so that an edit there is noticed.
    input:
        comparisons_files=local_files(study.data.comparisons),
        demonstrations_files=local_files(study.data.demonstrations),
    output:
        comparisons="<results>/data/hub/comparisons.jsonl",
        demonstrations="<results>/data/hub/demonstrations.jsonl",
        record="<results>/data/hub/record.json",
    log:
        "<results>/logs/hub_data.log",
    localrule: True
    conda:
        "../../envs/science.yaml"
    resources:
        **cost("hub_data", is_local=True),
    params:
        config=lambda wildcards: as_param(
            job_settings.hub_settings(study), job_settings.hub_plugins(study)
        ),
        code=code("hub_data", job_settings.hub_plugins(study)),
    shell:
        'set --; for file in {input:q}; do set -- "$@" --file "$file"; done;'
        " python {REPO:q}/workflow/scripts/hub_data.py"
        " --config {params.config:q} --code {params.code}"
        ' "$@" --comparisons {output.comparisons:q} --demonstrations {output.demonstrations:q}'
        " --record {output.record:q} > {log:q} 2>&1"
