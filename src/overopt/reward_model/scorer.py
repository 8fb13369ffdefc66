"""
Scores of a policy's responses by a reward model, whatever tokens the reward model reads.

Token ids stay token ids where both share a tokenizer. Otherwise text crosses over: the policy's ids
are decoded and encoded again by the reward model's tokenizer. A published reward model reads its
own format, chat template included.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch

from overopt.errors import UserError
from overopt.models.architecture import RewardModel, context_limit
from overopt.models.device import device_of_this_job
from overopt.models.loading import load_reward_model, num_parameters, on_device
from overopt.models.tokens import (
    decode_prompts,
    decode_responses,
    encode_prompts,
    encode_texts,
    join,
    load_tokenizer,
)
from overopt.reward_model.published import is_published, load_published
from overopt.reward_model.scoring import score_sequences

Ids = Sequence[Sequence[int]]
Joined = Callable[[Ids, Ids], list[list[int]]]


class Scorer(Protocol):
    """What reads a policy's responses and scores them: a reward model, several, or a service."""

    @property
    def num_parameters(self) -> int:
        """Parameters without embeddings, of all models together; 0 where they are not known."""
        ...

    def score(self, prompt_ids: Ids, response_ids: Ids) -> np.ndarray:
        """Scores (N,), float32, of N responses to N prompts, in the policy's token ids."""
        ...

    def to(self, device: torch.device) -> None:
        """Move what scores to a device; nothing to do for a service."""
        ...


class SequenceScorer:
    """A reward model of the project's own."""

    def __init__(self, model: RewardModel, joined: Joined) -> None:
        self._model = model
        self._joined = joined

    @property
    def num_parameters(self) -> int:
        """Parameters without embeddings, score head included."""
        return num_parameters(self._model)

    def score(self, prompt_ids: Ids, response_ids: Ids) -> np.ndarray:
        """Scores (N,), float32, of N responses to N prompts, in the policy's token ids."""
        return score_sequences(self._model, self._joined(prompt_ids, response_ids))

    def to(self, device: torch.device) -> None:
        """Move the model to a device."""
        on_device(self._model, device)


class PublishedScorer:
    """A reward model that others made, which reads text in its own format."""

    def __init__(self, folder: Path, policy_tokenizer_dir: Path) -> None:
        self._published = load_published(folder)
        self._policy_tokenizer = load_tokenizer(policy_tokenizer_dir)

    @property
    def num_parameters(self) -> int:
        """Parameters without embeddings, score head included."""
        return num_parameters(self._published.model)

    def score(self, prompt_ids: Ids, response_ids: Ids) -> np.ndarray:
        """Scores (N,), float32, of N responses to N prompts, in the policy's token ids."""
        prompts = decode_prompts(self._policy_tokenizer, prompt_ids)
        responses = decode_responses(self._policy_tokenizer, response_ids)
        return self._published.score(prompts, responses)

    def to(self, device: torch.device) -> None:
        """Move the model to a device."""
        on_device(self._published.model, device)


def load_scorer(
    folder: Path, policy_tokenizer_dir: Path, device: torch.device | None = None
) -> Scorer:
    """The reward model of a folder, for responses in the ids of this tokenizer.

    Without a device it is on the GPU of this job, if it has one.

    Raises
    ------
    UserError
        A folder holds no reward model, or no tokenizer.
    """
    scorer = (
        PublishedScorer(folder, policy_tokenizer_dir)
        if is_published(folder)
        else SequenceScorer(load_reward_model(folder), encoder_for(folder, policy_tokenizer_dir))
    )
    scorer.to(device or device_of_this_job())
    return scorer


def encoder_for(reward_model_dir: Path, policy_tokenizer_dir: Path) -> Joined:
    """How a reward model reads a prompt and a response in a policy's ids, as one sequence."""
    if have_same_tokenizer(reward_model_dir, policy_tokenizer_dir):
        return join
    from overopt.models.transformers_models import read_settings  # it imports transformers

    ours, theirs = load_tokenizer(policy_tokenizer_dir), load_tokenizer(reward_model_dir)
    end, limit = ours.eos_token_id, context_limit(read_settings(reward_model_dir))
    their_end = cast(int, theirs.eos_token_id)

    def joined(prompt_ids: Ids, response_ids: Ids) -> list[list[int]]:
        prompts = encode_prompts(theirs, decode_prompts(ours, prompt_ids), None)
        responses = encode_texts(theirs, decode_responses(ours, response_ids))
        # A response that was cut has no end in either language.
        ended = [[their_end] if row[-1] == end else [] for row in response_ids]
        sequences = [
            [*prompt, *response, *last]
            for prompt, response, last in zip(prompts, responses, ended, strict=True)
        ]
        _require_room(reward_model_dir, sequences, limit)
        return sequences

    return joined


def have_same_tokenizer(first: Path, second: Path) -> bool:
    """Whether two folders hold tokenizers that give the same ids and end texts alike."""
    if _bytes(first, "tokenizer.json") == _bytes(second, "tokenizer.json"):
        return _special_tokens(first) == _special_tokens(second)
    return False


def _bytes(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise UserError(f"{folder}: holds no {name}. Expected a tokenizer there.") from error


def _special_tokens(folder: Path) -> list[object]:
    settings = json.loads(_bytes(folder, "tokenizer_config.json"))
    return [settings.get(name) for name in ("bos_token", "eos_token")]


def _require_room(folder: Path, sequences: list[list[int]], limit: int | None) -> None:
    longest = max(map(len, sequences), default=0)
    if limit is not None and longest > limit:
        raise UserError(
            f"{folder}: a prompt with its response has {longest} tokens of this RM, which "
            f"reads at most {limit}; lower text.max_prompt_tokens or text.max_response_tokens"
        )
