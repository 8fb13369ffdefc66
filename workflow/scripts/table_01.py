"""Tabulate the hyperparameters of a study beside the paper's.

python workflow/scripts/table_01.py --config '{"hyperparameters": {...}}'
    --table OUT/table_01.csv --record OUT.json
"""

from overopt.jobs.job import Job, Output, Settings, run
from overopt.config.figures import Table01Settings
from overopt.figures.hyperparameters import table_01


def main(job: Job, config: Settings, table: Output) -> None:
    rows = table_01(Table01Settings.model_validate_json(config).hyperparameters)
    rows.to_csv(table, index=False, float_format="%.9g")


if __name__ == "__main__":
    run(main)
