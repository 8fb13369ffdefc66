"""
Rival functional forms and their extrapolation (Gao et al. 2022, section 3.1, appendix B).

INPUTS
    analysis/   curves in common units; large-n best-of-n curves (no rows without such a sweep)
OUTPUTS
    forms.csv          every form on every curve: parameters, errors, peaks
    extrapolation.csv  what each form says at points it was not fitted to
    kl_estimate.csv    fits of best-of-n with the KL's formula and with its estimate
STEPS
    forms   fit, predict, compare, in every bootstrap replicate
"""


rule forms:
    input:
        curves="<results>/analysis/curves.parquet",
        deep_curves="<results>/analysis/deep_curves.parquet",
    output:
        forms="<results>/forms.csv",
        extrapolation="<results>/extrapolation.csv",
        kl_estimate="<results>/kl_estimate.csv",
        record="<results>/analysis/forms_record.json",
    log:
        "<results>/logs/forms.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        **cost("forms"),
    params:
        config=lambda wildcards: as_param(
            job_settings.analysis_settings(study), ANALYSIS_PLUGINS
        ),
        code=code("forms", ANALYSIS_PLUGINS),
    shell:
        "python {REPO:q}/workflow/scripts/forms.py"
        " --config {params.config:q} --code {params.code}"
        " --curves {input.curves:q} --deep-curves {input.deep_curves:q}"
        " --forms {output.forms:q} --extrapolation {output.extrapolation:q}"
        " --kl-estimate {output.kl_estimate:q} --record {output.record:q} > {log:q} 2>&1"
