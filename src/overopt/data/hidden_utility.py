"""What people truly like, where a study's data source knows it: the world's hidden utility."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from overopt.config.world import WorldConfig
from overopt.models.tokens import decode_prompts, decode_responses, load_tokenizer

Utilities = Callable[[Sequence[Sequence[int]], Sequence[Sequence[int]]], np.ndarray]
"""Maps token ids of n prompts and n responses (special tokens allowed) to shape (n,)."""


def hidden_utilities(tokenizer_dir: Path, world: WorldConfig) -> Utilities:
    """Build the function that every job writes as `human_score`, beside the gold score.

    Its ids are those of the tokenizer in `tokenizer_dir`, its dials those of `world`. It raises
    UserError for a text that is not of the embedded world.
    """
    # Imported here: only studies of the embedded world run, and depend on, the code of the world.
    from overopt.data.world.utility import utilities

    tokenizer = load_tokenizer(tokenizer_dir)

    def of_ids(prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]]) -> np.ndarray:
        texts = decode_prompts(tokenizer, prompts), decode_responses(tokenizer, responses)
        return utilities(*texts, world)

    return of_ids
