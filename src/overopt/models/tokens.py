"""Text to token ids and back: the one formatter of the policies, reward models and PPO.

A prompt is `<bos>` + tokens. A response is tokens + `<eos>`, cut to `max_response_tokens`: one that
was cut has no `<eos>`. The end of a response is thus a token that can be seen, and prompt and
response are encoded apart, so that no token straddles the border between them.

No text becomes a special token: a text that spells `<eos>` is encoded as its characters, or refused
where the tokenizer has no characters (whole words only).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from overopt.errors import UserError, in_one_line
from overopt.models.checkpoint_files import refuse_own_code

if TYPE_CHECKING:
    import pandas as pd
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    from overopt.models.tokenizer_files import FastTokenizer

TextTokenizer: TypeAlias = "FastTokenizer | PreTrainedTokenizerFast"

PAD_TOKEN, BOS_TOKEN, EOS_TOKEN = "<pad>", "<bos>", "<eos>"
SPECIAL_TOKENS = (PAD_TOKEN, BOS_TOKEN, EOS_TOKEN)
SPECIAL_IDS = (0, 1, 2)
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def encode_texts(tokenizer: TextTokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, no special token among them, neither added nor spelled by the text.

    Raises
    ------
    UserError: a word-level tokenizer does not know a word, or the text spells a special token that
    it cannot encode as characters.
    """
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    before, backend.encode_special_tokens = backend.encode_special_tokens, True
    try:
        encodings = backend.encode_batch_fast(list(texts), add_special_tokens=False)
    except Exception as error:
        # The Rust side has one class for all its errors; a wrong argument has another.
        if type(error) is not Exception:
            raise
        raise UserError(
            f"the tokenizer cannot encode the text {_start(_first_refused(backend, texts))}:"
            f" {error}. Use the words of its vocabulary, or train a byte-level tokenizer."
        ) from error
    finally:
        backend.encode_special_tokens = before
    ids = [encoding.ids for encoding in encodings]
    _refuse_spelled_specials(tokenizer, texts, ids)
    return ids


def encode_prompts(
    tokenizer: TextTokenizer, prompts: Sequence[str], max_prompt_tokens: int | None
) -> list[list[int]]:
    """Each prompt as `<bos>` + tokens, at most `max_prompt_tokens` ids with the `<bos>`.

    A pretrained tokenizer may have no `<bos>`; then a prompt is its tokens. None: no limit.

    Raises
    ------
    UserError: a prompt is longer; it is never cut, since its end is what the response answers.
    """
    start = [] if tokenizer.bos_token is None else [_special_id(tokenizer, "bos")]
    distinct = list(dict.fromkeys(prompts))  # many responses answer one prompt
    encoded = [[*start, *tokens] for tokens in encode_texts(tokenizer, distinct)]
    ids_of = dict(zip(distinct, encoded, strict=True))
    ids = [ids_of[prompt] for prompt in prompts]
    if any(not row for row in ids):
        raise UserError("a prompt is empty, and the tokenizer has no token to begin with")
    if max_prompt_tokens is None:
        return ids
    too_long = [index for index, row in enumerate(ids) if len(row) > max_prompt_tokens]
    if too_long:
        first, longest = too_long[0], max(map(len, ids))
        raise UserError(
            f"text.max_prompt_tokens is {max_prompt_tokens}: the prompt {_start(prompts[first])}"
            f" has {len(ids[first])} tokens, its start included ({len(too_long):,} of"
            f" {len(ids):,} prompts are too long, the longest has {longest}). Raise"
            f" text.max_prompt_tokens to {longest}, or leave the long prompts out of the data"
            " (data.max_prompt_characters does that for data of the hub)."
        )
    return ids


def encode_responses(
    tokenizer: TextTokenizer, responses: Sequence[str], max_response_tokens: int
) -> list[list[int]]:
    """Each response as (tokens + `<eos>`)[:max_response_tokens]: one that is cut has no `<eos>`."""
    eos = _special_id(tokenizer, "eos")
    return [[*tokens, eos][:max_response_tokens] for tokens in encode_texts(tokenizer, responses)]


def join(
    prompt_ids: Sequence[Sequence[int]], response_ids: Sequence[Sequence[int]]
) -> list[list[int]]:
    """Each prompt followed by its response, as the policies and reward models read them."""
    pairs = zip(prompt_ids, response_ids, strict=True)
    return [[*prompt, *response] for prompt, response in pairs]


def pad_right(
    sequences: Sequence[Sequence[int]], pad_id: int, width: int | None = None
) -> npt.NDArray[np.int64]:
    """Sequences as one array (B, T), filled with `pad_id` on the right; T = longest, or `width`.

    Raises
    ------
    ValueError: a sequence is longer than `width`.
    """
    longest = max(map(len, sequences), default=0)
    width = longest if width is None else width
    if longest > width:
        raise ValueError(f"a sequence has {longest} tokens, the width is {width}")
    padded = np.full((len(sequences), width), pad_id, dtype=np.int64)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded


def id_lists(column: pd.Series) -> list[list[int]]:
    """Token ids of a column of a table as lists; Python handles numbers of numpy slowly."""
    return [row.tolist() for row in column]


def decode_prompts(tokenizer: TextTokenizer, ids: Sequence[Sequence[int]]) -> list[str]:
    """Text of each prompt; `<bos>`, which may also be the token that ends responses, is dropped."""
    return _decode(tokenizer, ids)


def decode_responses(
    tokenizer: TextTokenizer, ids: Sequence[Sequence[int]] | npt.NDArray[np.int64]
) -> list[str]:
    """Text of each response up to its `<eos>`, special tokens dropped; ids may be padded.

    Ids that are no valid UTF-8 (a policy may sample them) give U+FFFD: ids stay ids wherever a
    model reads them again.
    """
    eos = _special_id(tokenizer, "eos")
    rows = ids.tolist() if isinstance(ids, np.ndarray) else ids
    return _decode(tokenizer, [row[: row.index(eos)] if eos in row else row for row in rows])


def _decode(tokenizer: TextTokenizer, ids: Sequence[Sequence[int]]) -> list[str]:
    """Texts without special tokens, by the Rust side: "a ." stays as it is, not cleaned up."""
    return tokenizer.backend_tokenizer.decode_batch(ids, skip_special_tokens=True)


def load_tokenizer(folder: Path) -> TextTokenizer:
    """Tokenizer of a checkpoint's folder, never from the network, with usable special tokens.

    Raises
    ------
    UserError: the folder holds no fast tokenizer, or `pad` or `eos` is missing, or `pad` is also
    `bos` or `eos`: the mask would hide the end of every response from the model.
    """
    # Imported here because it takes time that the jobs without text need not pay.
    from overopt.models.tokenizer_files import read_fast_tokenizer

    check_folder(folder)
    tokenizer = read_fast_tokenizer(folder) or read_tokenizer(folder)
    _check_special_tokens(folder, tokenizer)
    return tokenizer


def read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Tokenizer of a folder whatever its special tokens; `UserError` where there is none."""
    # Imported here because it takes seconds that the jobs without text need not pay.
    from transformers import PreTrainedTokenizerFast

    check_folder(folder)
    try:
        # This class and no other that tokenizer_config.json may name.
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    # Whatever a broken folder makes the library raise, the mistake is in the folder.
    except Exception as error:
        raise UserError(
            f"{folder}: holds no tokenizer that can be read ({in_one_line(error)})."
        ) from error
    return tokenizer


def copy_tokenizer(source: Path, target: Path) -> None:
    """Put the tokenizer's files of one folder beside a model in another, byte for byte.

    Saving a loaded tokenizer again would add to its files how it was loaded.
    """
    for name in TOKENIZER_FILES:
        shutil.copyfile(source / name, target / name)


def check_folder(folder: Path) -> None:
    """Raise `UserError` where a folder holds no fast tokenizer, or names code of its own."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder. Expected the folder of a saved tokenizer.")
    if not (folder / "tokenizer.json").is_file():
        raise UserError(f"{folder}: holds no tokenizer. Expected a fast one, with tokenizer.json.")
    refuse_own_code(folder)


def _check_special_tokens(folder: Path, tokenizer: TextTokenizer) -> None:
    pad, bos, eos = tokenizer.pad_token, tokenizer.bos_token, tokenizer.eos_token
    found = f"{folder}: the tokenizer has pad {pad!r}, bos {bos!r}, eos {eos!r}."
    if pad is None or eos is None:
        raise UserError(f"{found} Expected pad and eos: add the missing one and save it again.")
    if pad in (bos, eos):
        raise UserError(
            f"{found} Expected a pad token of its own, or the ends of responses are masked: add one"
            " with tokenizer.add_special_tokens({'pad_token': '<pad>'}), resize the model's"
            " embeddings, and save both again."
        )


def _first_refused(backend: Tokenizer, texts: Sequence[str]) -> str:
    for text in texts:
        try:
            backend.encode(text, add_special_tokens=False)
        except Exception:
            return text
    raise AssertionError("every text alone is encoded, yet all together are not")


def _refuse_spelled_specials(
    tokenizer: TextTokenizer, texts: Sequence[str], ids: list[list[int]]
) -> None:
    specials = set(tokenizer.all_special_ids)
    for text, row in zip(texts, ids, strict=True):
        if not specials.isdisjoint(row):
            raise UserError(
                f"the text {_start(text)} spells a special token of the tokenizer, which has no"
                " other way to encode it. Remove the token from the text."
            )


def _special_id(tokenizer: TextTokenizer, name: str) -> int:
    token_id = getattr(tokenizer, f"{name}_token_id")
    if not isinstance(token_id, int):
        raise UserError(f"the tokenizer has no {name} token. Add one and save it again.")
    return token_id


def _start(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
