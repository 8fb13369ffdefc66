"""Write this run's trends over sizes beside the paper's, as CSV.

python workflow/scripts/paper_comparison.py --config '{...}' --curves analysis/curves.parquet
    --proxy-rms analysis/proxy_rms.csv --comparison OUT.csv --record OUT.json
"""

import pandas as pd

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.analysis.paper_comparison import compare_with_paper
from overopt.config.analysis import AnalysisSettings


def main(job: Job, config: Settings, curves: Input, proxy_rms: Input, comparison: Output) -> None:
    settings = AnalysisSettings.model_validate_json(config)
    table = compare_with_paper(pd.read_parquet(curves), pd.read_csv(proxy_rms), settings)
    table.to_csv(comparison, index=False, float_format="%.9g")


if __name__ == "__main__":
    run(main)
