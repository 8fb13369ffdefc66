"""Settings of the figures and tables."""

from pydantic import Field, NonNegativeInt, PositiveInt

from overopt.config.analysis import AnalysisConfig
from overopt.config.strict_model import StrictModel

FIGURE_TABLES = (
    "analysis/curves.parquet",
    "analysis/deep_curves.parquet",
    "analysis/binned_curves.csv",
    "coefficients.csv",
    "peaks.csv",
    "analysis/trend_lines.csv",
    "analysis/proxy_rms.csv",
    "forms.csv",
    "extrapolation.csv",
    "kl_estimate.csv",
    "gold_ceiling.csv",
    "paper_comparison.csv",
)
"""Tables that the figures read, below the results; the names are fields of `FigureTables`."""


class FigureSettings(StrictModel):
    """One job: draw the figures."""

    main_policy: str
    excluded_sizes: list[str] = Field(
        default=[], description="Proxy sizes that only figures 11 and 12 show."
    )
    analysis: AnalysisConfig
    bootstrap_seed: NonNegativeInt = Field(
        description="The seed of the fits: bands are of the same replicates."
    )


class Table01Settings(StrictModel):
    """One job: table 1, the hyperparameters beside the paper's."""

    hyperparameters: dict[str, float] = Field(description="By their key in the config.")


class Table02Settings(StrictModel):
    """One job: table 2, the best of the first n responses to one prompt."""

    max_n: PositiveInt
    prompt_id: NonNegativeInt = Field(default=0, description="Which evaluation prompt.")
