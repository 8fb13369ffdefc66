"""Fetch human data of the hub, and write it in the form of the user's own files.

python workflow/scripts/hub_data.py --config '{...}' [--file FOLDER/data/train.parquet ...]
    --comparisons OUT.jsonl --demonstrations OUT.jsonl --record OUT.json
"""

from overopt.jobs.job import Inputs, Job, Output, Settings, run
from overopt.config.hub import HubSettings
from overopt.data.hub.prepare import prepare_hub_data


def main(
    job: Job, config: Settings, comparisons: Output, demonstrations: Output, file: Inputs = ()
) -> None:
    """`file`: the files of local folders, for the record; settings name the folders."""
    prepare_hub_data(job, HubSettings.model_validate_json(config), comparisons, demonstrations)


if __name__ == "__main__":
    run(main)
