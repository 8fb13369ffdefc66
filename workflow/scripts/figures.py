"""Draw the figures of a study from its tables.

python workflow/scripts/figures.py --config '{...}' --table analysis/curves.parquet
    --table coefficients.csv --table peaks.csv ...
    --run-curve ppo/a/curve.parquet --iterations ppo/a/iterations.csv
    --figure OUT/figure_01a.svg --record OUT.json
"""

from pathlib import Path

from overopt.jobs.job import Inputs, Job, Output, Settings, run
from overopt.config.figures import FigureSettings
from overopt.figures.drawing import draw_figures
from overopt.figures.inputs import read_tables

NONE: list[Path] = []


def main(
    job: Job,
    config: Settings,
    table: Inputs,
    figure: Output,
    run_curve: Inputs = NONE,
    iterations: Inputs = NONE,
) -> None:
    tables = read_tables(FigureSettings.model_validate_json(config), table, run_curve, iterations)
    draw_figures(tables, figure.parent)


if __name__ == "__main__":
    run(main)
