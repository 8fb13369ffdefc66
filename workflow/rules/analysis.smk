"""
From curves to coefficients (Gao et al. 2022, sections 2.2, 3.1 to 3.4).

INPUTS
    best_of_n/, deep_best_of_n/, ppo/   every curve
    proxy_rms/         validation metrics and temperatures
    best_of_n/{main policy}/gold_scale.json   the unit of gold
OUTPUTS
    coefficients.csv, peaks.csv, differences.csv, trends.csv, summary.json
    analysis/          curves in common units, their bands, the proxy RMs' metrics
STEPS
    fits      recalibrate, fit both forms, bootstrap over prompts and seeds
"""


rule fits:
    input:
        curves=curve_files,
        deep_curves=deep_curve_files,
        tilted_curves=tilted_curve_files,
        metrics=proxy_rm_metrics,
        gold_metrics="<results>/gold_rm/metrics.json",
        gold_scale=f"<results>/best_of_n/{study.main_policy}/gold_scale.json",
    output:
        curves="<results>/analysis/curves.parquet",
        deep_curves="<results>/analysis/deep_curves.parquet",
        tilted_curves="<results>/analysis/tilted_curves.parquet",
        binned_curves="<results>/analysis/binned_curves.csv",
        trend_lines="<results>/analysis/trend_lines.csv",
        proxy_rms="<results>/analysis/proxy_rms.csv",
        coefficients="<results>/coefficients.csv",
        peaks="<results>/peaks.csv",
        differences="<results>/differences.csv",
        trends="<results>/trends.csv",
        summary="<results>/summary.json",
        record="<results>/analysis/fits_record.json",
    log:
        "<results>/logs/fits.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        **cost("fits"),
    params:
        config=lambda wildcards: as_param(
            job_settings.analysis_settings(study), ANALYSIS_PLUGINS
        ),
        code=code("fits", ANALYSIS_PLUGINS),
    shell:
        "python {REPO:q}/workflow/scripts/fits.py"
        " --config {params.config:q} --code {params.code}"
        " --curve {LISTS.curves} --metrics {LISTS.proxy_rm_metrics}"
        " --deep-curve {LISTS.deep_curves} --tilted-curve {LISTS.tilted_curves}"
        " --gold-metrics {input.gold_metrics:q} --gold-scale {input.gold_scale:q}"
        " --curves {output.curves:q} --coefficients {output.coefficients:q}"
        " --record {output.record:q} > {log:q} 2>&1"
