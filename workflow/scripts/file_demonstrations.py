"""Read demonstrations and comparisons from files, split their prompts, train the tokenizer.

python workflow/scripts/file_demonstrations.py --config '{...}'
    --demonstrations-file demonstrations.jsonl --comparisons-file comparisons.jsonl
    --prompts OUT.parquet --demonstrations OUT.parquet --tokenizer OUT/tokenizer.json
    --record OUT.json
"""

from overopt.jobs.job import Input, Job, Output, Settings, run
from overopt.config.data import FileSettings
from overopt.data.files import prepare_demonstrations


def main(
    job: Job,
    config: Settings,
    demonstrations_file: Input,
    comparisons_file: Input,
    prompts: Output,
    demonstrations: Output,
    tokenizer: Output,
) -> None:
    prepare_demonstrations(
        job,
        FileSettings.model_validate_json(config),
        demonstrations_file,
        comparisons_file,
        prompts,
        demonstrations,
        tokenizer.parent,
    )


if __name__ == "__main__":
    run(main)
