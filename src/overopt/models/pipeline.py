"""A published classifier as the text-classification pipeline of transformers reads text with it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from overopt.errors import UserError, in_one_line
from overopt.models.tokens import check_folder

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

PROBES = (
    ("Why does ice float?", "It is lighter than water."),
    ("  two  spaces\n\nand lines\t", " Naïve 漢字 — Ünïcödé, 3.14 and 1,000,000 🙂"),
    ("a", "don't DON'T can't\r\n"),
)


def read_own_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Tokenizer of a folder, in the class that the model's own pipeline reads it in.

    The class matters: some write their own rules over those of tokenizer.json.

    Raises
    ------
    UserError
        The folder holds no tokenizer, or one that transformers reads in Python.
    """
    # Imported here because it takes seconds that the jobs without text need not pay.
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    check_folder(folder)
    try:
        tokenizer = cast(Any, AutoTokenizer).from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, mistral_format=False
        )
    # Whatever a broken folder makes the library raise, the mistake is in the folder.
    except Exception as error:
        raise UserError(
            f"{folder}: holds no tokenizer that can be read ({in_one_line(error)})."
        ) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UserError(
            f"{folder}: transformers reads its text by {type(tokenizer).__name__}, which is "
            "written in Python and not saved in tokenizer.json; choose a reward model with a fast "
            "tokenizer"
        )
    return tokenizer


@torch.no_grad()
def logits_of(model: PreTrainedModel, encodings: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Logits (B, num_labels) of B texts of one length, in fp32: all that their tokenizer made.

    Raises
    ------
    ValueError
        The output of the model has another shape.
    """
    has_cache = "use_cache" in inspect.signature(model.forward).parameters
    without_cache: dict[str, Any] = {"use_cache": False} if has_cache else {}
    logits = cast(torch.Tensor, model(**encodings, **without_cache).logits)
    expected = (len(encodings["input_ids"]), model.config.num_labels)
    if logits.shape != expected:
        raise ValueError(f"an output of the shape {tuple(logits.shape)}, not {expected}")
    return logits.float()


def require_same_encodings(
    tokenizer: PreTrainedTokenizerFast, saved: PreTrainedTokenizerFast, name: str
) -> None:
    """Raise `UserError` where a tokenizer that was saved reads text in another way than before."""
    for prompt, response in PROBES:
        for texts in ((prompt, response), (prompt + response,)):
            first, second = (dict(cast(Any, each)(*texts)) for each in (tokenizer, saved))
            if first != second:
                raise UserError(
                    f"{name}: its tokenizer, a {type(tokenizer).__name__}, reads {texts!r} "
                    "otherwise once it is saved by transformers; choose another reward model"
                )
