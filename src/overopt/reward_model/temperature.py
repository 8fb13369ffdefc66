"""The temperature that calibrates a proxy RM to the gold RM's soft labels (section 2.2)."""

import logging

import numpy as np
import numpy.typing as npt
from scipy.optimize import root_scalar
from scipy.special import expit

logger = logging.getLogger(__name__)

LARGEST_TEMPERATURE_RATIO = 1e3


def soft_label_temperature(
    score_differences: npt.NDArray[np.floating], soft_labels: npt.NDArray[np.floating]
) -> float:
    """Temperature T at which sigmoid(score difference / T) predicts soft labels best.

    Minimizes the mean cross-entropy against the soft labels (Gao et al. 2022, section 2.2): hard
    labels leave a proxy miscalibrated. Score differences divided by T are in the logits of gold.

    Parameters
    ----------
    score_differences
        Proxy score of the first response minus that of the second, shape (pairs,).
    soft_labels
        Probability, by the gold RM, that the first is better, shape (pairs,), in [0, 1].

    Returns
    -------
    T > 0, within a factor of 1,000 of the root mean square of the score differences. At the upper
    bound, which is logged, the proxy says nothing about the labels or contradicts them.

    Raises
    ------
    ValueError
        If shapes differ, labels are no probabilities, or all score differences are 0.

    """
    differences = np.asarray(score_differences, dtype=np.float64)
    labels = np.asarray(soft_labels, dtype=np.float64)
    if differences.shape != labels.shape:
        raise ValueError(f"{differences.shape} score differences, but {labels.shape} soft labels")
    if not ((labels >= 0) & (labels <= 1)).all():
        raise ValueError("soft labels must lie in [0, 1]")
    scale = float(np.sqrt(np.mean(differences**2)))
    if not scale > 0:
        raise ValueError("all score differences are 0 or NaN; the proxy RM tells nothing apart")
    units = differences / scale

    def slope(log_temperature: float) -> float:
        """Differentiate the cross-entropy with respect to 1 / T; increasing in 1 / T."""
        return float(np.mean(units * (expit(units * np.exp(-log_temperature)) - labels)))

    bound = float(np.log(LARGEST_TEMPERATURE_RATIO))
    if slope(bound) >= 0:
        logger.warning("soft-label temperature is at its upper bound: the proxy RM is at chance")
        return scale * LARGEST_TEMPERATURE_RATIO
    if slope(-bound) <= 0:
        logger.warning("soft-label temperature is at its lower bound: every margin is too small")
        return scale / LARGEST_TEMPERATURE_RATIO
    log_temperature = root_scalar(slope, bracket=(-bound, bound), method="brentq", xtol=1e-12).root
    return scale * float(np.exp(log_temperature))
