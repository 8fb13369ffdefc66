"""Make a published checkpoint usable, from a local folder or from the hub.

python workflow/scripts/published_checkpoint.py --config '{"checkpoint": "owner/name",
    "revision": "...", "role": "language_model"}' --model OUT/model.safetensors
    --source OUT/source.json --record OUT/run_record.json
"""

from pathlib import Path

from overopt.jobs.job import Inputs, Job, Output, Settings, run
from overopt.config.model import CheckpointSettings
from overopt.models.published_checkpoint import prepare_checkpoint

NONE: list[Path] = []


def main(job: Job, config: Settings, model: Output, source: Output, file: Inputs = NONE) -> None:
    # `file`: those of a local folder, for the record.
    prepare_checkpoint(job, CheckpointSettings.model_validate_json(config), model.parent)


if __name__ == "__main__":
    run(main)
