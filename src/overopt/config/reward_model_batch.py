"""
Batches that reward models score and are trained on: jobs take these sizes, the plan counts them.

Imports no torch. The sizes follow from the config and the kind of device alone, never from the
memory that happens to be free: batches of another size round differently, so the same job has to
make the same batches wherever it runs.
"""

SCORING_BATCH, SCORING_BATCH_ON_GPU = 128, 256
"""Sequences per forward pass of a reward model. On a processor, 512 fall out of its cache and take
half as long again."""


def comparisons_per_batch(batch_size: int, num_comparisons: int) -> int:
    """Comparisons in one step of a reward model's training, given the config's `batch_size`.

    Small data sets take smaller batches (a sixteenth of the data, at least 8), so that there are
    steps enough to leave chance level.
    """
    return min(batch_size, max(8, num_comparisons // 16))
