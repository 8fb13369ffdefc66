"""Draw the figures of a study from its tables.

python workflow/scripts/figures.py --config '{...}' --curves analysis/curves.parquet
    --deep-curves analysis/deep_curves.parquet --binned-curves analysis/binned_curves.csv
    --coefficients coefficients.csv --peaks peaks.csv --trend-lines analysis/trend_lines.csv
    --proxy-rms analysis/proxy_rms.csv --forms forms.csv --extrapolation extrapolation.csv
    --kl-estimate kl_estimate.csv --gold-ceiling gold_ceiling.csv
    --paper-comparison paper_comparison.csv
    --run-curve ppo/a/curve.parquet --iterations ppo/a/iterations.csv
    --figure OUT/figure_01a.svg --record OUT.json
"""

from pathlib import Path

from overopt.jobs.job import Input, Inputs, Job, Output, Settings, run
from overopt.config.figures import FigureSettings
from overopt.figures.drawing import draw_figures
from overopt.figures.inputs import read_tables

NONE: list[Path] = []


def main(
    job: Job,
    config: Settings,
    curves: Input,
    deep_curves: Input,
    binned_curves: Input,
    coefficients: Input,
    peaks: Input,
    trend_lines: Input,
    proxy_rms: Input,
    forms: Input,
    extrapolation: Input,
    kl_estimate: Input,
    gold_ceiling: Input,
    paper_comparison: Input,
    figure: Output,
    run_curve: Inputs = NONE,
    iterations: Inputs = NONE,
) -> None:
    paths = {
        **{"curves": curves, "deep_curves": deep_curves, "binned_curves": binned_curves},
        **{"coefficients": coefficients, "peaks": peaks, "trend_lines": trend_lines},
        **{"proxy_rms": proxy_rms, "forms": forms, "extrapolation": extrapolation},
        **{
            "kl_estimate": kl_estimate,
            "gold_ceiling": gold_ceiling,
            "paper_comparison": paper_comparison,
        },
    }
    tables = read_tables(FigureSettings.model_validate_json(config), paths, run_curve, iterations)
    draw_figures(tables, figure.parent)


if __name__ == "__main__":
    run(main)
