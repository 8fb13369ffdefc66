"""
Beyond the paper: every method and mitigation in one table, and predictions on them with verdicts.

INPUTS
    best_of_n/{main policy}/   the scored pool, and what every proxy RM says of it
    analysis/                  curves of all methods in common units, the proxy RMs' metrics
OUTPUTS
    methods.csv       one row a method and proxy size: coefficients, peak, end, change to the plain cell
    predictions.csv   one row a prediction: verdict, statistic, interval, source, a sentence
    analysis/selection_curves.parquet   curves of selection rules and of ensembles of seeds
STEPS
    compare_methods   weight the pool by other rules than best-of-n, combine seeds, compare, judge
"""


rule compare_methods:
    input:
        gold_scores=f"<results>/best_of_n/{study.main_policy}/gold_scores.parquet",
        gold_scale=f"<results>/best_of_n/{study.main_policy}/gold_scale.json",
        proxy_scores=main_proxy_score_files,
        best_of_n_curves=main_curve_files,
        curves="<results>/analysis/curves.parquet",
        proxy_rms="<results>/analysis/proxy_rms.csv",
    output:
        selection="<results>/analysis/selection_curves.parquet",
        methods="<results>/methods.csv",
        predictions="<results>/predictions.csv",
        record="<results>/analysis/compare_methods_record.json",
    log:
        "<results>/logs/compare_methods.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        **cost("compare_methods"),
    params:
        config=lambda wildcards: as_param(
            job_settings.comparison_settings(study), ANALYSIS_PLUGINS
        ),
        code=code("compare_methods", ANALYSIS_PLUGINS),
    shell:
        "python {REPO:q}/workflow/scripts/compare_methods.py"
        " --config {params.config:q} --code {params.code}"
        " --gold-scores {input.gold_scores:q} --gold-scale {input.gold_scale:q}"
        " --proxy-scores {LISTS.main_proxy_scores} --best-of-n-curve {LISTS.main_curves}"
        " --curves {input.curves:q} --proxy-rms {input.proxy_rms:q}"
        " --selection {output.selection:q} --methods {output.methods:q}"
        " --predictions {output.predictions:q} --record {output.record:q} > {log:q} 2>&1"
