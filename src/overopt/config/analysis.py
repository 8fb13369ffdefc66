"""Settings of the fits and their intervals."""

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from overopt.config.strict_model import StrictModel


class AnalysisConfig(StrictModel):
    """How curves become coefficients with intervals."""

    num_bootstrap: PositiveInt = Field(
        default=1000, description="Bootstrap replicates; each resamples prompts and seeds."
    )
    bin_width: PositiveFloat = Field(
        default=0.2,
        description="PPO evaluations are averaged in bins of this width in sqrt(KL), KL in nats.",
    )
    max_fit_kl: PositiveFloat = Field(
        default=40.0,
        description="PPO evaluations above this KL (nats per sequence) do not enter the fits.",
    )
    confidence: float = Field(default=0.95, gt=0, lt=1, description="Coverage of the intervals.")


class AnalysisSettings(StrictModel):
    """One job: recalibrate all curves, fit them, and tabulate."""

    main_policy: str
    excluded_sizes: list[str] = Field(
        default=[], description="Proxy sizes that trends over sizes leave out."
    )
    analysis: AnalysisConfig
    seed: NonNegativeInt


class ComparisonSettings(AnalysisSettings):
    """One job: compare all methods, and judge predictions on them."""

    max_n: PositiveInt = Field(description="Largest n of best-of-n.")
