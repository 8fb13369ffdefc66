"""
Reward models that others published: sequence classifiers with one label, read in their own format.

With a chat template, the prompt and the response are its messages. Without one, they are the two
texts that the tokenizer joins as it was made to. The score is the logit, as the text-classification
pipeline of transformers gives it with `function_to_apply="none"`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from overopt.data.dialogue import conversation_of
from overopt.errors import UserError
from overopt.jobs.provenance import write_json
from overopt.models.architecture import context_limit
from overopt.models.tokens import read_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

MARK = "published"
"""Key of config.json that says that a reward model reads its own format."""
TOKENS_PER_BATCH = 16_384
"""Of one forward pass, padding included."""


def mark_as_published(folder: Path) -> None:
    """Write into a checkpoint's settings that it reads its own format."""
    path = folder / "config.json"
    write_json(path, {**json.loads(path.read_text(encoding="utf-8")), MARK: True})


def is_published(folder: Path) -> bool:
    """Whether the reward model of a folder is one that others made."""
    try:
        return bool(json.loads((folder / "config.json").read_text(encoding="utf-8")).get(MARK))
    except (OSError, ValueError):
        return False  # loading it tells what is wrong


def load_published(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A published reward model and its tokenizer, in fp32 and evaluation mode."""
    # Imported here because it takes seconds that jobs with own models need not pay.
    from transformers import AutoModelForSequenceClassification

    from overopt.models.transformers_models import load_checkpoint

    return load_checkpoint(AutoModelForSequenceClassification, folder), read_tokenizer(folder)


def own_format(
    tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str], responses: Sequence[str]
) -> list[list[int]]:
    """Token ids of each prompt and response as the model's makers meant them to be read."""
    if not tokenizer.chat_template:
        pairs = cast(Any, tokenizer(list(prompts), list(responses)))
        return pairs["input_ids"]
    texts = [
        cast(
            str,
            tokenizer.apply_chat_template(conversation_of(prompt, response), tokenize=False),
        )
        for prompt, response in zip(prompts, responses, strict=True)
    ]
    # The template has written all special tokens.
    return cast(Any, tokenizer(texts, add_special_tokens=False))["input_ids"]


@torch.no_grad()
def score_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
    responses: Sequence[str],
) -> np.ndarray:
    """Scores (N,), float32, of N responses to N prompts.

    Equal texts are scored once, so that they tie, and texts of like length share a batch.

    Raises
    ------
    UserError
        A text is longer than the model can read.
    """
    rows_of = {
        pair: row for row, pair in enumerate(dict.fromkeys(zip(prompts, responses, strict=True)))
    }
    sequences = own_format(tokenizer, *map(list, zip(*rows_of, strict=True))) if rows_of else []
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    _require_room(model, lengths)
    scores = np.empty(len(sequences), dtype=np.float32)
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and (end + 1 - start) * lengths[order[end]] <= TOKENS_PER_BATCH:
            end += 1
        rows = order[start:end]
        batch = tokenizer.pad({"input_ids": [sequences[row] for row in rows]}, return_tensors="pt")
        logits = model(
            input_ids=batch["input_ids"].to(model.device),
            attention_mask=batch["attention_mask"].to(model.device),
        ).logits
        scores[rows] = logits[:, 0].float().cpu().numpy()
        start = end
    return scores[[rows_of[pair] for pair in zip(prompts, responses, strict=True)]]


def _require_room(model: PreTrainedModel, lengths: np.ndarray) -> None:
    limit = context_limit(model.config)
    if limit is not None and len(lengths) and lengths.max() > limit:
        raise UserError(
            f"gold_rm.checkpoint: a prompt with its response has {lengths.max()} tokens of the "
            f"gold RM, which reads at most {limit}; lower text.max_prompt_tokens or "
            "text.max_response_tokens"
        )
