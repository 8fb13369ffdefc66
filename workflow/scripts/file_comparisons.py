"""Keep the human comparisons whose prompts are in the reward-modelling parts.

python workflow/scripts/file_comparisons.py --comparisons-file comparisons.jsonl
    --prompts prompts.parquet --comparisons OUT.parquet --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.data.files import prepare_human_comparisons


def main(
    job: Job, config: Settings, comparisons_file: Input, prompts: Input, comparisons: Output
) -> None:
    prepare_human_comparisons(job, comparisons_file, prompts, comparisons)


if __name__ == "__main__":
    run(main)
