"""Gold that is the hidden utility itself: written down, and measured on human comparisons."""

from pathlib import Path

import numpy as np

from overopt.config.utility_gold import UtilityGoldSettings
from overopt.data.world.utility import utilities
from overopt.jobs.job import Job
from overopt.jobs.provenance import write_json
from overopt.reward_model.validation import held_out_comparisons, validation_metrics


def take_utility_as_gold(
    job: Job, settings: UtilityGoldSettings, comparisons: Path, utility: Path
) -> None:
    """Write the hidden utility's record, and its metrics on held-out human comparisons (text).

    Raises
    ------
    UserError
        There are too few such comparisons, or their texts are not of the embedded world.
    """
    held_out = held_out_comparisons(comparisons, settings.num_validation)
    prompts = held_out["prompt"].tolist()
    gold = settings.utility
    chosen, rejected = (
        gold.inverse_temperature * utilities(prompts, held_out[column].tolist(), gold.world)
        for column in ("chosen", "rejected")
    )
    metrics: dict[str, object] = {
        "num_parameters": 0,
        "num_comparisons": 0,
        "num_validation": len(held_out),
        "training_loss": None,
        **validation_metrics(np.asarray(chosen - rejected)),
    }
    write_json(utility, gold.model_dump(mode="json"))
    write_json(utility.parent / "metrics.json", metrics)
    print(metrics)
