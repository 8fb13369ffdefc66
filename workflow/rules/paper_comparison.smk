"""
This run's trends over sizes beside the paper's (Gao et al. 2022, Figures 1, 3, 11, 17, 18, 21).

INPUTS
    analysis/curves.parquet, analysis/proxy_rms.csv
OUTPUTS
    paper_comparison.csv   slopes per decade over the mean, signs, ratios; the paper's beside them
STEPS
    paper_comparison   bootstrap the trends, read the paper's values, compare
"""

from overopt.jobs.provenance import file_sha256


rule paper_comparison:
    input:
        curves="<results>/analysis/curves.parquet",
        proxy_rms="<results>/analysis/proxy_rms.csv",
    output:
        comparison="<results>/paper_comparison.csv",
        record="<results>/analysis/paper_comparison_record.json",
    log:
        "<results>/logs/paper_comparison.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        **cost("paper_comparison"),
    params:
        config=lambda wildcards: as_param(
            job_settings.analysis_settings(study), ANALYSIS_PLUGINS
        ),
        code=code("paper_comparison", ANALYSIS_PLUGINS),
        # The digest of the code does not see data: an edit of a value must count too.
        paper_values=file_sha256(SOURCE / "overopt" / "analysis" / "paper_values.csv"),
    shell:
        "python {REPO:q}/workflow/scripts/paper_comparison.py"
        " --config {params.config:q} --code {params.code}"
        " --curves {input.curves:q} --proxy-rms {input.proxy_rms:q}"
        " --comparison {output.comparison:q} --record {output.record:q} > {log:q} 2>&1"
