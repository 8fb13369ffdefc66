"""The tokenizer of the embedded world: one token a word, ids as in `VOCABULARY`."""

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from overopt.data.world.vocabulary import (
    MAX_PROMPT_TOKENS,
    MAX_RESPONSE_TOKENS,
    SPECIAL_TOKENS,
    VOCABULARY,
)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer: words split at spaces, `<pad>`, `<bos>`, `<eos>` with ids 0, 1, 2.

    It adds no special tokens by itself: a prompt is `<bos>` and its words, a response is its words
    and `<eos>`. Decoding joins the words with single spaces. There is no unknown token: encoding a
    word outside the vocabulary raises an exception.
    """
    ids = {word: i for i, word in enumerate(VOCABULARY)}
    backend = Tokenizer(models.WordLevel(ids))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    pad_token, bos_token, eos_token = SPECIAL_TOKENS
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=pad_token,
        bos_token=bos_token,
        eos_token=eos_token,
        model_max_length=MAX_PROMPT_TOKENS + MAX_RESPONSE_TOKENS,
        model_input_names=["input_ids", "attention_mask"],  # no segments: GPT models embed them
        clean_up_tokenization_spaces=False,  # "a ball ." must not become "a ball."
    )
