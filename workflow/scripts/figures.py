"""Draw the figures of a study from its tables.

python workflow/scripts/figures.py --config '{"main_policy": "small"}'
    --curves binned_curves.csv --coefficients coefficients.csv --trend-lines trend_lines.csv
    --figures OUT --record OUT.json
"""

from overopt.analysis_config import FigureSettings
from overopt.figures import draw_figures
from overopt.job import Input, Job, Output, Settings, run


def main(
    job: Job,
    config: Settings,
    curves: Input,
    coefficients: Input,
    trend_lines: Input,
    figures: Output,
) -> None:
    settings = FigureSettings.model_validate_json(config)
    draw_figures(settings.main_policy, curves, coefficients, trend_lines, figures)


if __name__ == "__main__":
    run(main)
