"""How the scores of a pool are laid out."""

import numpy as np
import pandas as pd


def by_prompt(scored: pd.DataFrame, column: str) -> np.ndarray:
    """Scores as (prompts, responses); the pool has as many responses to every prompt."""
    num_prompts = int(scored["prompt_id"].max()) + 1
    return scored[column].to_numpy(np.float64).reshape(num_prompts, -1)
