"""
Several reward models that score together: their mean, the worst, or the mean less their spread.

The conservative combinations are those of Coste et al. 2023, "Reward model ensembles help mitigate
overoptimization": the worst case, and uncertainty-weighted optimization with the sd in place of the
variance. Members are combined as they score; nothing standardizes them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from overopt.reward_model.scorer import Ids, Scorer, load_scorer

Combine = Callable[[np.ndarray], np.ndarray]
"""Function from scores (K, N) of K members to scores (N,)."""


def mean(scores: np.ndarray) -> np.ndarray:
    """Mean over the members: (K, N) to (N,)."""
    return scores.mean(0)


def worst(scores: np.ndarray) -> np.ndarray:
    """Lowest score of any member: (K, N) to (N,)."""
    return scores.min(0)


def mean_less_sd(num_sd: float) -> Combine:
    """Mean less `num_sd` standard deviations over the members (population sd)."""

    def combine(scores: np.ndarray) -> np.ndarray:
        return scores.mean(0) - num_sd * scores.std(0)

    return combine


class EnsembleScorer:
    """Scores that several scorers give together."""

    def __init__(self, members: Sequence[Scorer], combine: Combine) -> None:
        """Combine one scorer or more by a function from scores (K, N) to (N,)."""
        if not members:
            raise ValueError("an ensemble needs a member")
        self._members = list(members)
        self._combine = combine

    @property
    def num_parameters(self) -> int:
        """Parameters of the first member, without embeddings."""
        return self._members[0].num_parameters

    def score(self, prompt_ids: Ids, response_ids: Ids) -> np.ndarray:
        """Scores (N,), float32, of N responses to N prompts, in the policy's token ids."""
        scores = [member.score(prompt_ids, response_ids) for member in self._members]
        combined = self._combine(np.stack(scores).astype(np.float64))
        return combined.astype(np.float32)

    def to(self, device: torch.device) -> None:
        """Move every member to a device."""
        for member in self._members:
            member.to(device)


def member_folders(folder: Path) -> list[Path]:
    """Folders of the members of an ensemble: the first is the proxy's own folder."""
    others = sorted(folder.glob("member-*"), key=lambda path: int(path.name.split("-")[1]))
    return [folder, *others]


def load_ensemble(
    folder: Path, tokenizer_dir: Path, device: torch.device | None, combine: Combine
) -> EnsembleScorer:
    """Load all members that `train_ensemble` wrote, for responses in the ids of a tokenizer."""
    members = [load_scorer(member, tokenizer_dir, device) for member in member_folders(folder)]
    return EnsembleScorer(members, combine)
