"""Write the report's pages of claims, coefficients, comparison and methods, as HTML.

python workflow/scripts/report_tables.py --config '{}' --claims claims.csv
    --coefficients coefficients.csv --peaks peaks.csv --comparison paper_comparison.csv
    --methods methods.csv --predictions predictions.csv
    --claims-page OUT/claims.html --coefficients-page OUT/coefficients.html
    --comparison-page OUT/comparison.html --methods-page OUT/methods.html
    --record OUT.json
"""

import pandas as pd

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.report import pages as report_pages


def main(
    job: Job,
    config: Settings,
    claims: Input,
    coefficients: Input,
    peaks: Input,
    comparison: Input,
    methods: Input,
    predictions: Input,
    claims_page: Output,
    coefficients_page: Output,
    comparison_page: Output,
    methods_page: Output,
) -> None:
    fits = report_pages.coefficients_page(pd.read_csv(coefficients), pd.read_csv(peaks))
    beyond = report_pages.methods_page(pd.read_csv(methods), pd.read_csv(predictions))
    pages = {
        claims_page: report_pages.claims_page(pd.read_csv(claims)),
        coefficients_page: fits,
        comparison_page: report_pages.comparison_page(pd.read_csv(comparison)),
        methods_page: beyond,
    }
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run(main)
