"""
How many responses are drawn at once: as many as fit into a stated amount of memory.

The number follows from the policy's shape, the length of the texts and the kind of device alone,
never from the memory that happens to be free: batches of another size round differently, so the
same job has to make the same batches wherever it runs.
"""

from overopt.models.architecture import Policy, vocabulary_size
from overopt.models.gpt2 import GPT2Policy

LARGEST_BATCH, LARGEST_BATCH_ON_GPU = 1024, 8192
"""Of small policies. A larger one falls out of a processor's cache; on a GPU not measured."""
SAMPLING_BYTES, SAMPLING_BYTES_ON_GPU = 4 * 2**30, 16 * 2**30
"""For the keys and values of a batch, and its distributions over the vocabulary."""

_BYTES_PER_WORD = 28
"""Logits, log-probabilities, probabilities, and sums of these (of 8-byte integers on a GPU)."""


def sampling_batch_size(policy: Policy, num_tokens: int) -> int:
    """Rows to draw at once, at least 1; `num_tokens` are the longest prompt and response."""
    row = num_tokens * cache_bytes_per_token(policy) + _BYTES_PER_WORD * vocabulary_size(policy)
    if policy.device.type == "cpu":
        return max(1, min(LARGEST_BATCH, SAMPLING_BYTES // row))
    return max(1, min(LARGEST_BATCH_ON_GPU, SAMPLING_BYTES_ON_GPU // row))


def cache_bytes_per_token(policy: Policy) -> int:
    """Bytes of the keys and values of one token, in all layers.

    Of layers with a sliding window too, which in truth keep fewer tokens.
    """
    if isinstance(policy, GPT2Policy):
        return 2 * policy.config.n_layer * policy.config.n_embd * policy.dtype.itemsize
    settings = policy.config.get_text_config(decoder=True)
    num_heads = settings.num_attention_heads
    head_size = getattr(settings, "head_dim", None) or settings.hidden_size // num_heads
    num_key_heads = getattr(settings, "num_key_value_heads", None) or num_heads
    return 2 * settings.num_hidden_layers * num_key_heads * head_size * policy.dtype.itemsize
