"""
Figures and tables, by the numbers of the arXiv version (Gao et al. 2022), and their report.

INPUTS
    FIGURE_TABLES of overopt.config.figures   tidy tables
    ppo/                   iterations.csv of the sweep over RM sizes, curves to say of which run
    best_of_n/{main policy}/   pool and scores, for table 2
OUTPUTS
    figures/   every figure as PNG and SVG, table_01.csv, table_02.csv
STEPS
    table_01   put the config's hyperparameters beside the paper's
    figures    draw every figure; one without cells in this study says which sweep gives them
    table_02   decode the best of the first n responses to one prompt

Names, titles, captions: the decorator and docstring of each function in overopt/figures. The
captions are copied to workflow/report/ by `python -m overopt.figures.captions`.
"""

from overopt.config.figures import FIGURE_TABLES
from overopt.figures.catalog import FIGURES, TABLES
from overopt.study.figure_settings import (
    figure_settings,
    size_sweep_ppo_runs,
    table_01_settings,
    table_02_run,
    table_02_settings,
)

TABLE_02 = table_02_run(study)
TABLE_02_POOL = in_results(paths.pool_folder("best_of_n", TABLE_02.policy_size))


def in_report(entry, suffix):
    """A figure or table with its caption and its place in the report."""
    return report(
        f"<results>/figures/{entry.name}.{suffix}",
        caption=f"../report/{entry.name}.rst",
        category=entry.category,
        subcategory=entry.subcategory,
        labels=entry.labels,
    )


def figure_tables(wildcards):
    """Tables of statistics that figures show."""
    return list(map(in_results, FIGURE_TABLES))


def size_sweep_curves(wildcards):
    """Curves of the PPO runs that figure 25 shows."""
    return curves_of(size_sweep_ppo_runs(study))


def size_sweep_iterations(wildcards):
    """Training logs of the same runs, in the same order."""
    return [
        str(Path(curve).with_name("iterations.csv"))
        for curve in size_sweep_curves(wildcards)
    ]


LISTS.figure_tables = listed(figure_tables)
LISTS.size_sweep_curves = listed(size_sweep_curves)
LISTS.size_sweep_iterations = listed(size_sweep_iterations)


rule figures:
    input:
        tables=figure_tables,
        run_curves=size_sweep_curves,
        iterations=size_sweep_iterations,
    output:
        [in_report(entry, "svg") for entry in FIGURES[1:]],
        [f"<results>/figures/{entry.name}.png" for entry in FIGURES],
        first=in_report(FIGURES[0], "svg"),
        record="<results>/figures/figures_record.json",
    log:
        "<results>/logs/figures.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        **cost("figures"),
    params:
        config=lambda wildcards: as_param(figure_settings(study), ANALYSIS_PLUGINS),
        code=code("figures", ANALYSIS_PLUGINS),
    shell:
        "python {REPO:q}/workflow/scripts/figures.py"
        " --config {params.config:q} --code {params.code}"
        " --table {LISTS.figure_tables}"
        " --run-curve {LISTS.size_sweep_curves} --iterations {LISTS.size_sweep_iterations}"
        " --figure {output.first:q} --record {output.record:q} > {log:q} 2>&1"


rule table_01:
    output:
        table=in_report(TABLES[0], "csv"),
        record="<results>/figures/table_01_record.json",
    log:
        "<results>/logs/table_01.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        **cost("table_01"),
    params:
        config=lambda wildcards: as_param(table_01_settings(study), ANALYSIS_PLUGINS),
        code=code("table_01", ANALYSIS_PLUGINS),
    shell:
        "python {REPO:q}/workflow/scripts/table_01.py"
        " --config {params.config:q} --code {params.code}"
        " --table {output.table:q} --record {output.record:q} > {log:q} 2>&1"


rule table_02:
    input:
        pool=f"{TABLE_02_POOL}/pool.parquet",
        gold_scores=f"{TABLE_02_POOL}/gold_scores.parquet",
        gold_scale=f"{TABLE_02_POOL}/gold_scale.json",
        proxy_scores=f"<results>/{paths.run_folder(TABLE_02)}/proxy_scores.parquet",
        metrics=f"<results>/{paths.proxy_rm_folder(TABLE_02.proxy_rm)}/metrics.json",
        tokenizer="<results>/data/tokenizer/tokenizer.json",
    output:
        table=in_report(TABLES[1], "csv"),
        record="<results>/figures/table_02_record.json",
    log:
        "<results>/logs/table_02.log",
    conda:
        "../../envs/science.yaml"
    resources:
        **cost("table_02"),
    params:
        config=lambda wildcards: as_param(table_02_settings(study), ANALYSIS_PLUGINS),
        code=code("table_02", ANALYSIS_PLUGINS),
    shell:
        "python {REPO:q}/workflow/scripts/table_02.py"
        " --config {params.config:q} --code {params.code}"
        " --pool {input.pool:q} --gold-scores {input.gold_scores:q} --gold-scale {input.gold_scale:q}"
        " --proxy-scores {input.proxy_scores:q} --metrics {input.metrics:q}"
        " --tokenizer {input.tokenizer:q} --table {output.table:q} --record {output.record:q}"
        " > {log:q} 2>&1"
