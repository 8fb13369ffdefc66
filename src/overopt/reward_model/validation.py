"""How well a reward model predicts held-out comparisons."""

from pathlib import Path

import numpy as np
import pandas as pd

from overopt.errors import UserError


def accuracy(score_differences: np.ndarray) -> float:
    """Share of comparisons whose chosen response has the higher score; a tie counts half."""
    wins = (score_differences > 0) + 0.5 * (score_differences == 0)
    return float(wins.mean())


def validation_metrics(differences: np.ndarray) -> dict[str, float]:
    """Loss (nats per comparison; chance: log 2) and accuracy on held-out comparisons."""
    return {
        "validation_loss": float(np.logaddexp(0, -differences.astype(np.float64)).mean()),
        "validation_accuracy": accuracy(differences),
    }


def held_out_comparisons(comparisons: Path, num_validation: int) -> pd.DataFrame:
    """Read the first of the held-out human comparisons: prompt, chosen, rejected (text).

    Raises
    ------
    UserError
        There are fewer than `num_validation`.
    """
    table = pd.read_parquet(comparisons)
    held_out = table[table["split"] == "validation"].iloc[:num_validation]
    if len(held_out) < num_validation:
        raise UserError(
            f"gold_rm.num_validation: {num_validation}, but there are {len(held_out)} "
            "such comparisons; lower it or give more comparisons"
        )
    return held_out


def require_distinctions(differences: np.ndarray, key: str) -> None:
    """Refuse a reward model that tells no two responses apart.

    Parameters
    ----------
    differences
        Score of the chosen less that of the rejected response of held-out comparisons, (N,).
    key
        The key of the config that names the reward model.

    Raises
    ------
    UserError
        All differences are zero, or a score is not a finite number.
    """
    if not np.isfinite(differences).all():
        raise UserError(f"{key}: a score of this reward model is not a finite number")
    if len(differences) and not differences.any():
        raise UserError(
            f"{key}: this reward model gives both responses of each of {len(differences)} held-out "
            "comparisons the same score, so nothing could be learnt from it or measured by it; "
            "check its score head, or choose another"
        )
