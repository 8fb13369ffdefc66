"""
The paper's own numbers, read off its figures, and the trends in them (Gao et al. 2022).

The paper publishes no coefficient as a number. `paper_values.csv` holds what was read off the
pixels of its figures, with the error of the reading, and the few numbers that it prints. They
depend on the paper's gold reward model and task: compare signs, ratios and relative slopes, never
levels.
"""

from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import spearmanr, t

Array = npt.NDArray[np.float64]

TEXT_COLUMNS = ("method", "form", "version", "policy_size", "proxy_size", "condition", "source")
ALL_SIZES = "mean"  # proxy_size of a mean over the paper's proxy sizes
MAIN_POLICY = "1.2B"
MIN_SIZES = 3  # a line through two points fits always


@dataclass(frozen=True)
class Trend:
    """How a quantity moves with a size, in numbers without a unit.

    Attributes
    ----------
    num_sizes, decades
        Number of sizes, and log10 of the largest over the smallest.
    relative_slope, low, high
        Least-squares slope per decade of the size over the quantity's mean, with its interval; NaN
        where the values have both signs, since their mean is then no scale.
    spearman
        Rank correlation with the size.
    ratio
        Value at the smallest size over that at the largest; NaN where values have both signs.

    """

    num_sizes: int
    decades: float
    relative_slope: float
    low: float
    high: float
    spearman: float
    ratio: float

    @property
    def sign(self) -> str:
        """What the interval of the slope says: rising, falling or unclear."""
        return sign_of(self.low, self.high)


def sign_of(low: float, high: float) -> str:
    """Direction of a slope with this interval: rising, falling, or unclear (also for NaN)."""
    if low > 0:
        return "rising"
    return "falling" if high < 0 else "unclear"


def read_paper_values() -> pd.DataFrame:
    """All numbers, one a row.

    Columns: quantity; method (best_of_n, ppo, empty) and form (of a coefficient) as in this
    project's tables; version (icml, arxiv, both: the two versions differ in Figures 3a and 3b);
    policy_size, proxy_size, num_parameters, num_comparisons (used by the proxy RM, of 100,000 of
    which a tenth is held out); condition (where on the curve, what setting); value; error (typical,
    of the reading); source. Scores in the paper's recalibrated unit, KL in nats. Texts that do not
    apply are empty, numbers NaN.
    """
    with (files("overopt.analysis") / "paper_values.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file, dtype=dict.fromkeys(TEXT_COLUMNS, "string"))
    return table.assign(**{name: table[name].fillna("") for name in TEXT_COLUMNS})


def paper_series(
    quantity: str,
    axis: str,
    *,
    method: str = "",
    form: str = "",
    version: str = "both",
    condition: str = "",
) -> tuple[Array, Array]:
    """One quantity of the paper over sizes: sizes ascending, values, each of shape (sizes,).

    With the main policy. `axis` "num_parameters": over proxy sizes at the largest number of
    comparisons. "num_comparisons": over data sizes, averaged over the proxy sizes; only those
    amounts at which the average is given or every proxy size is. Empty where there is nothing.
    """
    values = read_paper_values()
    named = values[(values["quantity"] == quantity) & (values["condition"] == condition)]
    keys = {"method": method, "form": form, "version": version}
    for column, wanted in keys.items():
        named = named[named[column] == wanted]
    named = named[named["policy_size"].isin([MAIN_POLICY, ""])]
    if axis == "num_parameters":
        largest = named["num_comparisons"] == values["num_comparisons"].max()
        rows = named[largest & named["num_parameters"].notna()].sort_values(axis)
        return rows[axis].to_numpy(dtype=np.float64), rows["value"].to_numpy(dtype=np.float64)
    averages = named[named["proxy_size"] == ALL_SIZES].set_index(axis)["value"]
    if averages.empty:
        by_size = named.pivot_table(index=axis, columns="proxy_size", values="value")
        averages = by_size.dropna().mean(axis=1)
    averages = averages.sort_index()
    return averages.index.to_numpy(dtype=np.float64), averages.to_numpy(dtype=np.float64)


def paper_trend(sizes: Array, values: Array, confidence: float = 0.95) -> Trend | None:
    """Trend of `values` over log10 of `sizes`, both of shape (P,); None with fewer than three.

    The interval is that of a regression line, from the scatter about it: the reading error is part
    of that scatter, and mostly the smaller part.
    """
    if len(sizes) < MIN_SIZES:
        return None
    x = np.log10(sizes) - np.log10(sizes).mean()
    slope = float(values @ x / (x @ x))
    residual = values - values.mean() - slope * x
    error = float(np.sqrt(residual @ residual / (len(x) - 2) / (x @ x)))
    half = float(t.ppf((1 + confidence) / 2, len(x) - 2)) * error
    has_scale = bool((values > 0).all() or (values < 0).all())
    scale = abs(float(values.mean())) if has_scale else np.nan
    return Trend(
        num_sizes=len(x),
        decades=float(np.ptp(x)),
        relative_slope=slope / scale,
        low=(slope - half) / scale,
        high=(slope + half) / scale,
        spearman=float(spearmanr(x, values).statistic),
        ratio=float(values[0] / values[-1]) if has_scale else np.nan,
    )
