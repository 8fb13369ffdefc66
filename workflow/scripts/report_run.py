"""Write the report's page about the run: its settings, provenance and cost.

python workflow/scripts/report_run.py --config '{...}' --coefficients results/x/coefficients.csv
    --claims results/x/claims.csv --run-page OUT.html --record OUT.json

The run records are read from the folder of coefficients.csv and below.
"""

import json

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.report import pages as report_pages
from overopt.report.run_records import study_record


def main(job: Job, config: Settings, coefficients: Input, claims: Input, run_page: Output) -> None:
    record = study_record(coefficients.parent, json.loads(config))
    run_page.write_text(report_pages.run_page(record), encoding="utf-8")


if __name__ == "__main__":
    run(main)
