"""
Reward-model overoptimization (Gao, Schulman, Hilton 2022), from human data to coefficients.

    snakemake --cores 2                                    the default study
    snakemake --cores 2 --configfile config/test.yaml      the same DAG in about a minute
"""

# A config given on the command line replaces the default one; Snakemake would merge the two.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"


onstart:
    check_writable(Path("results"))
    do_not_limit_starts()


# Paths name a study and a proxy RM in these two forms everywhere.
pathvars:
    results=paths.results_folder(study),
    proxy_rm=paths.PROXY_RM,


wildcard_constraints:
    **paths.wildcard_constraints(study),


for rule_file in study.source.rule_files:

    include: f"workflow/rules/{rule_file}.smk"


include: "workflow/rules/policies.smk"
include: f"workflow/rules/{study.gold_rm.rule_file}.smk"


if study.checkpoints():

    include: "workflow/rules/checkpoints.smk"


include: "workflow/rules/synthetic_comparisons.smk"
include: "workflow/rules/proxy_rms.smk"
include: "workflow/rules/best_of_n.smk"
include: "workflow/rules/deep_best_of_n.smk"
include: "workflow/rules/ppo.smk"
include: "workflow/rules/methods.smk"
include: "workflow/rules/analysis.smk"
include: "workflow/rules/forms.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/paper_comparison.smk"
include: "workflow/rules/beyond.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/targets.smk"


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        "<results>/claims.csv",
        "<results>/coefficients.csv",
        "<results>/methods.csv",
        "<results>/feature_correlations.csv" if study.source.has_hidden_utility else [],
        rules.figures.output,
        rules.table_01.output,
        rules.table_02.output,
        REPORT_PAGES,
