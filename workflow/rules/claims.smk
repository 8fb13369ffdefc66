"""
The paper's claims, each with a verdict (Gao et al. 2022, all sections).

INPUTS
    analysis/   curves in common units, large-n and tilted ones, the proxy RMs' metrics
OUTPUTS
    claims.csv  one row a claim: verdict, statistic, interval, the paper's value, a sentence
STEPS
    claims      test each claim on the bootstrap's versions; decide all together
"""


rule claims:
    input:
        curves="<results>/analysis/curves.parquet",
        deep_curves="<results>/analysis/deep_curves.parquet",
        tilted_curves="<results>/analysis/tilted_curves.parquet",
        proxy_rms="<results>/analysis/proxy_rms.csv",
    output:
        claims="<results>/claims.csv",
        record="<results>/analysis/claims_record.json",
    log:
        "<results>/logs/claims.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        **cost("claims"),
    params:
        config=lambda wildcards: as_param(
            job_settings.analysis_settings(study), ANALYSIS_PLUGINS
        ),
        code=code("claims", ANALYSIS_PLUGINS),
    shell:
        "python {REPO:q}/workflow/scripts/claims.py"
        " --config {params.config:q} --code {params.code}"
        " --curves {input.curves:q} --deep-curves {input.deep_curves:q}"
        " --tilted-curves {input.tilted_curves:q} --proxy-rms {input.proxy_rms:q}"
        " --claims {output.claims:q} --record {output.record:q} > {log:q} 2>&1"
