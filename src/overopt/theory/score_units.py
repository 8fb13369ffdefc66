"""
The unit of gold scores (Gao et al. 2022, section 2.2): their spread on the initial policy.

Apart from `overopt.analysis.recalibration`, since the job that scores a pool needs only this.
"""

import numpy as np
import numpy.typing as npt


def within_prompt_sd(scores: npt.NDArray[np.floating]) -> float:
    """Compute the standard deviation of scores around the mean of their prompt.

    `sqrt(sum (s - mean of prompt)^2 / (Q (N - 1)))` for scores of shape (Q, N), N responses to
    each of Q prompts. It ignores offsets between prompts, which a Bradley-Terry score leaves
    arbitrary. Raises ValueError unless N >= 2.
    """
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise ValueError(f"scores has shape {scores.shape}; expected (prompts, at least 2)")
    return float(np.sqrt(scores.var(axis=1, ddof=1, dtype=np.float64).mean()))
