"""
Batches that policies sample: jobs take these sizes, the plan counts them.

Imports no torch. The sizes follow from the config and the kind of device alone, never from the
memory that happens to be free: batches of another size round differently, so the same job has to
make the same batches wherever it runs.
"""

LARGEST_BATCH, LARGEST_BATCH_ON_GPU = 1024, 8192
"""Responses of small policies drawn at once. More fall out of a processor's cache; on a GPU not
measured."""
SAMPLING_BYTES, SAMPLING_BYTES_ON_GPU = 4 * 2**30, 16 * 2**30
"""Memory for the keys and values of the responses drawn at once, and their distributions."""
_BYTES_PER_WORD = 28
"""Logits, log-probabilities, probabilities, and sums of these (of 8-byte integers on a GPU)."""


def sampling_rows(cache_bytes: int, num_tokens: int, vocabulary_size: int, is_gpu: bool) -> int:
    """Responses that a policy draws at once, at least 1.

    `cache_bytes` are those of the keys and values of one token, in all layers; `num_tokens` the
    longest prompt and response.
    """
    row = num_tokens * cache_bytes + _BYTES_PER_WORD * vocabulary_size
    if is_gpu:
        return max(1, min(LARGEST_BATCH_ON_GPU, SAMPLING_BYTES_ON_GPU // row))
    return max(1, min(LARGEST_BATCH, SAMPLING_BYTES // row))
