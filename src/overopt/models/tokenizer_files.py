"""
A tokenizer as studies save theirs, read without transformers: importing it takes half a second.

It has what `overopt.models.tokens` reads of a `PreTrainedTokenizerFast`, under the same names.
"""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

_CLASSES = ("TokenizersBackend", "PreTrainedTokenizerFast")
_SPECIAL = ("pad_token", "bos_token", "eos_token")
_WITHOUT_EFFECT = {
    *("backend", "clean_up_tokenization_spaces", "is_local", "model_input_names"),
    *("model_max_length", "tokenizer_class"),
}
"""Keys of tokenizer_config.json on which no token id and no decoded text depends here."""


class FastTokenizer:
    """The Rust tokenizer of a tokenizer.json, and its three special tokens.

    Attributes
    ----------
    backend_tokenizer : the Rust tokenizer.
    pad_token, bos_token, eos_token : None where the tokenizer has none.
    """

    def __init__(
        self,
        backend: Tokenizer,
        pad_token: str | None,
        bos_token: str | None,
        eos_token: str | None,
    ) -> None:
        self.backend_tokenizer = backend
        self.pad_token, self.bos_token, self.eos_token = pad_token, bos_token, eos_token

    def __len__(self) -> int:
        """Number of tokens, special ones included."""
        return self.backend_tokenizer.get_vocab_size(with_added_tokens=True)

    @property
    def pad_token_id(self) -> int | None:
        """Id of the pad token."""
        return self._id(self.pad_token)

    @property
    def bos_token_id(self) -> int | None:
        """Id of the token that begins a prompt."""
        return self._id(self.bos_token)

    @property
    def eos_token_id(self) -> int | None:
        """Id of the token that ends a response."""
        return self._id(self.eos_token)

    @property
    def all_special_ids(self) -> list[int]:
        """Ids of the special tokens it has."""
        ids = (self.pad_token_id, self.bos_token_id, self.eos_token_id)
        return [token_id for token_id in ids if token_id is not None]

    def _id(self, token: str | None) -> int | None:
        return None if token is None else self.backend_tokenizer.token_to_id(token)


def read_fast_tokenizer(folder: Path) -> FastTokenizer | None:
    """The tokenizer of a folder; None where its settings say more than this class knows.

    transformers then reads it, or tells what is wrong.
    """
    try:
        text = (folder / "tokenizer_config.json").read_text(encoding="utf-8")
        settings: dict[str, Any] = json.loads(text)
        unknown = set(settings) - _WITHOUT_EFFECT - set(_SPECIAL)
        if unknown or settings.get("tokenizer_class") not in _CLASSES:
            return None
        named = {name: settings.get(name) for name in _SPECIAL}
        backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
    # The Rust side has one class for all its errors.
    except Exception:
        return None
    added = backend.get_added_tokens_decoder().values()
    special = sorted(token.content for token in added if token.special)
    if any(not isinstance(token, str | None) for token in named.values()):
        return None
    if special != sorted({token for token in named.values() if token is not None}):
        return None
    return FastTokenizer(backend, **named)
