"""
The report's own pages: claims with their verdicts, the run, and the tables of numbers.

`snakemake --report FILE.html` puts them, and the figures, into one file that needs no network.

INPUTS
    claims.csv, coefficients.csv, peaks.csv, paper_comparison.csv, methods.csv, predictions.csv
    the run records of all jobs
OUTPUTS
    report/claims.html, run.html, coefficients.html, comparison.html, methods.html
STEPS
    report_tables   the tables as pages
    report_run      settings, provenance and cost from the run records
"""

from overopt.jobs.provenance import file_sha256

# The digest of the code does not see templates: an edit of one must count too.
REPORT_TEMPLATES = "".join(
    file_sha256(SOURCE / "overopt" / "report" / name)
    for name in ("page.html", "table.html")
)
REPORT_PAGES = beside(
    "<results>/report",
    ["claims.html", "run.html", "coefficients.html", "comparison.html", "methods.html"],
)


rule report_tables:
    input:
        claims="<results>/claims.csv",
        coefficients="<results>/coefficients.csv",
        peaks="<results>/peaks.csv",
        comparison="<results>/paper_comparison.csv",
        methods="<results>/methods.csv",
        predictions="<results>/predictions.csv",
    output:
        claims=report(
            "<results>/report/claims.html",
            caption="../report/claims.rst",
            category="Claims",
            labels={"page": "Every claim with its verdict"},
        ),
        coefficients=report(
            "<results>/report/coefficients.html",
            caption="../report/coefficients.rst",
            category="Coefficients",
            labels={"page": "Coefficients and peaks"},
        ),
        comparison=report(
            "<results>/report/comparison.html",
            caption="../report/comparison.rst",
            category="Coefficients",
            labels={"page": "This run beside the paper"},
        ),
        methods=report(
            "<results>/report/methods.html",
            caption="../report/methods.rst",
            category="Methods",
            labels={"page": "Every method, and predictions beyond the paper"},
        ),
        record="<results>/report/tables_record.json",
    log:
        "<results>/logs/report_tables.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        **cost("report_tables"),
    params:
        config=lambda wildcards: with_plugins("{}", ANALYSIS_PLUGINS),
        code=code("report_tables", ANALYSIS_PLUGINS),
        templates=REPORT_TEMPLATES,
    shell:
        "python {REPO:q}/workflow/scripts/report_tables.py"
        " --config {params.config:q} --code {params.code}"
        " --claims {input.claims:q} --coefficients {input.coefficients:q} --peaks {input.peaks:q}"
        " --comparison {input.comparison:q} --methods {input.methods:q}"
        " --predictions {input.predictions:q} --methods-page {output.methods:q}"
        " --claims-page {output.claims:q}"
        " --coefficients-page {output.coefficients:q} --comparison-page {output.comparison:q}"
        " --record {output.record:q} > {log:q} 2>&1"


rule report_run:
    input:
        coefficients="<results>/coefficients.csv",
        claims="<results>/claims.csv",
    output:
        page=report(
            "<results>/report/run.html",
            caption="../report/run.rst",
            category="Run",
            labels={"page": "Settings, provenance, cost"},
        ),
        record="<results>/report/run_record.json",
    log:
        "<results>/logs/report_run.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        **cost("report_run"),
    params:
        config=lambda wildcards: as_param(study, ANALYSIS_PLUGINS),
        code=code("report_run", ANALYSIS_PLUGINS),
        templates=REPORT_TEMPLATES,
    shell:
        "python {REPO:q}/workflow/scripts/report_run.py"
        " --config {params.config:q} --code {params.code}"
        " --coefficients {input.coefficients:q} --claims {input.claims:q}"
        " --run-page {output.page:q} --record {output.record:q} > {log:q} 2>&1"
