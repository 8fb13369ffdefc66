"""A byte-level BPE tokenizer, trained on the study's own text.

For text without a pretrained tokenizer at hand: no download, no unknown word, and a vocabulary as
small as a small model needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from overopt.errors import UserError
from overopt.models.tokens import BOS_TOKEN, EOS_TOKEN, PAD_TOKEN, SPECIAL_TOKENS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

NUM_BYTES = 256
SMALLEST_VOCABULARY = NUM_BYTES + len(SPECIAL_TOKENS)


def train_bpe_tokenizer(texts: Iterable[str], vocabulary_size: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE tokenizer of at most `vocabulary_size` tokens, learnt from the texts.

    Ids 0, 1, 2 are `<pad>`, `<bos>`, `<eos>`, then the 256 bytes, then the merges, most frequent
    first. Any text decodes to itself. The same texts give the same bytes when saved, whatever
    their order. A text too small for so many merges gives fewer tokens: take the size of the model
    from len(tokenizer).

    Raises
    ------
    UserError: `vocabulary_size` has no room for the bytes, or there is no text.
    """
    smallest = NUM_BYTES + len(SPECIAL_TOKENS)
    if vocabulary_size < smallest:
        raise UserError(
            f"data.vocabulary_size is {vocabulary_size}, expected at least {smallest}:"
            f" {NUM_BYTES} bytes and {', '.join(SPECIAL_TOKENS)}."
        )
    corpus = list(texts)
    if not any(corpus):
        raise UserError("no text to train the tokenizer on. Give prompts and responses.")
    # Imported here because it takes seconds that the jobs without text need not pay.
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    # The default pattern parts letters from signs, so that no merge can spell a special token.
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD_TOKEN,
        bos_token=BOS_TOKEN,
        eos_token=EOS_TOKEN,
        clean_up_tokenization_spaces=False,
    )
