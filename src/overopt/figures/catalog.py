"""
Every figure and table: its name, its number in the paper, its place in the report.

Data only, without matplotlib or torch, so that Snakemake reads it in no time. Numbers are those of
the arXiv version of Gao et al. 2022; what the paper does not have has no number.
"""

from typing import NamedTuple

OVERVIEW = "1 Overview"
RM_SIZE = "2 RM size (3.2)"
RM_DATA = "3 RM data (3.3)"
POLICY_SIZE = "4 Policy size (3.4)"
METHODS = "5 RL and best-of-n (3.5)"
KL_PENALTY = "6 KL penalty (3.6)"
FITS = "7 Fits and proxies"
TABLE = "8 Tables"


class Entry(NamedTuple):
    """One figure or table. `name` is that of its file and of its caption, without a suffix."""

    name: str
    category: str
    subcategory: str
    title: str

    @property
    def number(self) -> str:
        """The paper's number as a person writes it ("1a"), or "new" where the paper has none."""
        number = self.name.partition("_")[2]
        return number.lstrip("0") if number[0].isdigit() else "new"

    @property
    def labels(self) -> dict[str, str]:
        """Columns of the report's list, one only.

        Snakemake 9 makes a switch of a second column that has two values, and its page fails where
        the entries do not pair up.
        """
        return {"figure": f"{self.name.partition('_')[2].replace('_', ' ')}: {self.title}"}


FIGURES = (
    Entry("figure_01a", OVERVIEW, "Gold and proxy against KL", "Best-of-n, by RM size"),
    Entry("figure_01b", OVERVIEW, "Gold and proxy against KL", "PPO, by RM size"),
    Entry("figure_02", OVERVIEW, "Setup", "The real and the synthetic setup, with the rules"),
    Entry("figure_03a", RM_SIZE, "Coefficients", "Best-of-n: alpha against RM size"),
    Entry("figure_03b", RM_SIZE, "Coefficients", "Best-of-n: beta against RM size"),
    Entry("figure_03c", RM_SIZE, "Coefficients", "PPO: beta against RM size, one alpha"),
    Entry("figure_04a", RM_DATA, "Gold and proxy against KL", "Best-of-n, by amount of data"),
    Entry("figure_04b", RM_DATA, "Gold and proxy against KL", "PPO, by amount of data"),
    Entry("figure_05", RM_DATA, "Validation loss", "Gold score against the RM's loss"),
    Entry("figure_06", RM_DATA, "Validation loss", "Loss against amount of data, by RM size"),
    Entry("figure_07a", POLICY_SIZE, "Small RM", "Best-of-n, by policy"),
    Entry("figure_07b", POLICY_SIZE, "Small RM", "PPO, by policy"),
    Entry("figure_08", METHODS, "Both methods", "Gold against proxy score, by RM size"),
    Entry("figure_09", KL_PENALTY, "Gold and proxy against KL", "PPO, by KL penalty"),
    Entry("figure_10", RM_DATA, "Gold by size and data", "Highest gold score, RM size x data"),
    Entry("figure_11", RM_SIZE, "Validation loss", "Loss against RM size, near-chance RMs too"),
    Entry("figure_12", RM_SIZE, "Peak", "Predicted and observed peak of gold, by RM size"),
    Entry("figure_13", RM_DATA, "Epochs or data", "Four epochs against four times the data"),
    Entry("figure_14", KL_PENALTY, "Training", "KL against PPO iteration, by KL penalty"),
    Entry("figure_15", POLICY_SIZE, "Training", "KL against PPO iteration, by policy"),
    Entry("figure_16", METHODS, "Training", "KL against PPO iteration, by RM size"),
    Entry("figure_17", RM_DATA, "Coefficients", "Best-of-n: alpha against amount of data"),
    Entry("figure_18", RM_DATA, "Coefficients", "Best-of-n: beta against amount of data"),
    Entry("figure_19", RM_DATA, "Gold and proxy against KL", "Best-of-n with the largest RM"),
    Entry("figure_20", FITS, "Proxy score", "Proxy of best-of-n with linear fits"),
    Entry("figure_21", RM_DATA, "Gold by size and data", "Gold of the best of n against data"),
    Entry("figure_22", POLICY_SIZE, "Large RM", "PPO, by policy"),
    Entry("figure_23", POLICY_SIZE, "Small RM", "PPO, gain by policy"),
    Entry("figure_24", POLICY_SIZE, "Small RM", "PPO, proxy minus gold by policy"),
    Entry("figure_25", METHODS, "Training", "Share of clipped ratios in PPO's updates"),
    Entry("figure_26a", FITS, "Extrapolation", "Best-of-n beyond the KL of its fit"),
    Entry("figure_26b", FITS, "Extrapolation", "PPO beyond the KL of its fit"),
    Entry("figure_kl_estimate", FITS, "KL of best-of-n", "Coefficients with KL estimated"),
    Entry("figure_gold_ceiling", FITS, "Ceiling of gold", "Coefficients beside gold's own"),
    Entry("figure_paper_trends", FITS, "Beside the paper", "Slopes per decade, the paper's too"),
)
TABLES = (
    Entry("table_01", TABLE, "Settings", "Hyperparameters beside the paper's"),
    Entry("table_02", TABLE, "Responses", "The best of the first n to one prompt"),
)
