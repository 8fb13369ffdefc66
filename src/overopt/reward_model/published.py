"""
Reward models that others published: sequence classifiers with one label, read in their own format.

The score of a text is the logit that the text-classification pipeline of transformers gives for
that text alone, with `function_to_apply="none"` and `dtype=torch.float32`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from overopt.config.chat_format import ChatFormat
from overopt.errors import UserError
from overopt.jobs.provenance import write_json
from overopt.models.architecture import context_limit
from overopt.models.pipeline import logits_of, read_own_tokenizer
from overopt.reward_model.own_format import Encoding, OwnFormat

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MARK = "published"
"""Key of config.json that says that a reward model reads its own format, and how."""
TOKENS_PER_BATCH_ON_GPU = 16_384
"""Tokens of one forward pass on a GPU; on a CPU each text is read alone (1.0 to 1.5 times as long
from half a million parameters on), and the score does not depend on any other text."""


class PublishedRewardModel:
    """A published reward model, and how it reads prompts and responses."""

    def __init__(self, model: PreTrainedModel, own_format: OwnFormat) -> None:
        self.model, self.own_format = model, own_format

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """Scores (N,), float32, of N responses to N prompts.

        What reads alike is scored once, so that it ties.

        Raises
        ------
        UserError
            A text is longer than the model can read, or cannot be read in its format.
        """
        pairs = list(zip(prompts, responses, strict=True))
        distinct = list(dict.fromkeys(pairs))
        encodings = self.own_format.encode(*map(list, zip(*distinct, strict=True))) if pairs else []
        scores = dict(zip(distinct, self._score_encodings(encodings), strict=True))
        return np.array([scores[pair] for pair in pairs], dtype=np.float32)

    def _score_encodings(self, encodings: Sequence[Encoding]) -> list[float]:
        self._require_room(encodings)
        keys = [_key(encoding) for encoding in encodings]
        by_key = dict(zip(keys, encodings, strict=True))
        ordered = sorted(by_key, key=lambda key: (len(by_key[key]["input_ids"]), key))
        scores: dict[bytes, float] = {}
        for batch in self._batches([by_key[key] for key in ordered]):
            logits = logits_of(self.model, self._tensors(batch))
            scores.update(zip(map(_key, batch), logits[:, 0].tolist(), strict=True))
        return [scores[key] for key in keys]

    def _batches(self, encodings: Sequence[Encoding]) -> Iterator[Sequence[Encoding]]:
        """Texts of one length, so that none is padded; a CPU reads each alone."""
        on_cpu = self.model.device.type == "cpu"
        # Some of these want as many ends in each text of a batch.
        limit = 0 if on_cpu or self.model.config.is_encoder_decoder else TOKENS_PER_BATCH_ON_GPU
        start = 0
        while start < len(encodings):
            length, end = len(encodings[start]["input_ids"]), start + 1
            most = start + max(1, limit // max(1, length))
            while end < min(most, len(encodings)) and len(encodings[end]["input_ids"]) == length:
                end += 1
            yield encodings[start:end]
            start = end

    def _tensors(self, batch: Sequence[Encoding]) -> dict[str, torch.Tensor]:
        return {
            name: torch.tensor([encoding[name] for encoding in batch], device=self.model.device)
            for name in batch[0]
        }

    def _require_room(self, encodings: Sequence[Encoding]) -> None:
        limit = _readable_tokens(self.model)
        longest = max((len(encoding["input_ids"]) for encoding in encodings), default=0)
        if limit is not None and longest > limit:
            raise UserError(
                f"gold_rm.checkpoint: a prompt with its response has {longest} tokens of the gold "
                f"RM, which reads at most {limit}; lower text.max_prompt_tokens or "
                "text.max_response_tokens"
            )


def mark_as_published(folder: Path, chat: ChatFormat) -> None:
    """Write into a checkpoint's settings that it reads its own format."""
    path = folder / "config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, {**settings, MARK: chat.model_dump(mode="json")})


def is_published(folder: Path) -> bool:
    """Whether the reward model of a folder is one that others made."""
    try:
        return MARK in json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False  # loading it tells what is wrong


def load_published(folder: Path) -> PublishedRewardModel:
    """A published reward model, in fp32 and evaluation mode."""
    # Imported here because it takes seconds that jobs with own models need not pay.
    from transformers import AutoModelForSequenceClassification

    from overopt.models.transformers_models import load_checkpoint

    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model = load_checkpoint(AutoModelForSequenceClassification, folder)
    if model.config.get_text_config().pad_token_id is None:
        # No id of any text: the score is read at the last token, as of a text alone.
        model.config.get_text_config().pad_token_id = -1
    chat = ChatFormat.model_validate(settings[MARK])
    return PublishedRewardModel(model, OwnFormat(read_own_tokenizer(folder), chat))


def _readable_tokens(model: PreTrainedModel) -> int | None:
    """The longest text a model can read; None where nothing names a limit."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            # RoBERTa's count begins behind the id of its padding.
            skipped = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - skipped
    return context_limit(model.config)


def _key(encoding: Encoding) -> bytes:
    return json.dumps(encoding, sort_keys=True).encode()
