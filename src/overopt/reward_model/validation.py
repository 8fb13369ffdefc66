"""How well a reward model predicts held-out comparisons."""

import numpy as np


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
