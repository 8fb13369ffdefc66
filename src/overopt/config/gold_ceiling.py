"""Settings of best-of-n by the gold RM."""

from pydantic import NonNegativeInt, PositiveInt

from overopt.config.analysis import AnalysisConfig
from overopt.config.strict_model import StrictModel


class GoldCeilingSettings(StrictModel):
    """One job: best-of-n of one policy by the gold RM."""

    max_n: PositiveInt
    analysis: AnalysisConfig
    seed: NonNegativeInt
