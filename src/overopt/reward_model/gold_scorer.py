"""Gold as the jobs that ask it read it: a reward model or the hidden utility, behind one door."""

from pathlib import Path

import numpy as np
import torch

from overopt.config.utility_gold import UTILITY_FILE, UtilityGold
from overopt.data.hidden_utility import hidden_utilities
from overopt.reward_model.scorer import Ids, Scorer, load_scorer


class UtilityScorer:
    """The hidden utility, in logits of an annotator of mean weights; nothing is learnt."""

    num_parameters = 0

    def __init__(self, gold: UtilityGold, policy_tokenizer_dir: Path) -> None:
        self._gold = gold
        self._utilities = hidden_utilities(policy_tokenizer_dir, gold.world)

    def score(self, prompt_ids: Ids, response_ids: Ids) -> np.ndarray:
        """Scores (N,), float32, of N responses to N prompts, in the policy's token ids."""
        utilities = self._utilities(prompt_ids, response_ids)
        return (self._gold.inverse_temperature * utilities).astype(np.float32)

    def to(self, device: torch.device) -> None:
        """Stay on the processor, whatever the device."""


def load_gold_rm(
    folder: Path, policy_tokenizer_dir: Path, device: torch.device | None = None
) -> Scorer:
    """Load the gold RM of a study, for responses in the ids of this tokenizer.

    Without a device a model is on the GPU of this job, if it has one.

    Raises
    ------
    UserError
        The folder holds neither a reward model nor a hidden utility, or no tokenizer.
    """
    written = folder / UTILITY_FILE
    if not written.is_file():
        return load_scorer(folder, policy_tokenizer_dir, device)
    gold = UtilityGold.model_validate_json(written.read_bytes())
    return UtilityScorer(gold, policy_tokenizer_dir)
