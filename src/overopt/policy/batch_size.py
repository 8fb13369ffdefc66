"""How many responses are drawn at once: as many as fit into a stated amount of memory."""

from overopt.config.sampling_batch import sampling_rows
from overopt.models.architecture import Policy, vocabulary_size
from overopt.models.gpt2 import GPT2Policy


def sampling_batch_size(policy: Policy, num_tokens: int) -> int:
    """Rows to draw at once, at least 1; `num_tokens` are the longest prompt and response."""
    is_gpu = policy.device.type != "cpu"
    return sampling_rows(cache_bytes_per_token(policy), num_tokens, vocabulary_size(policy), is_gpu)


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
