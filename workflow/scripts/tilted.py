"""Weight a scored pool by exp(proxy / c): the KL-optimal policies of one proxy RM.

python workflow/scripts/tilted.py --config '{}' --gold-scores gold_scores.parquet
    --proxy-scores proxy_scores.parquet --best-of-n-curve curve.parquet
    --curve OUT.parquet --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.methods.best_of_n.tilted import tilted_curve


def main(
    job: Job,
    config: Settings,
    gold_scores: Input,
    proxy_scores: Input,
    best_of_n_curve: Input,
    curve: Output,
) -> None:
    tilted_curve(job, gold_scores, proxy_scores, best_of_n_curve, curve)


if __name__ == "__main__":
    run(main)
