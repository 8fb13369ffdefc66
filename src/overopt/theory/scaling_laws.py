"""The sweep over reward-model sizes, picked from a table (Gao et al. 2022, section 3.2)."""

from collections.abc import Sequence

import pandas as pd


def size_sweep(
    table: pd.DataFrame, main_policy: str, excluded_sizes: Sequence[str] = ()
) -> pd.DataFrame:
    """Rows of the paper's sweep over reward-model sizes (Gao et al. 2022, section 3.2).

    Those of the main policy, without KL penalty, with deterministic labels, at the largest number
    of comparisons and the fewest epochs there is at that number; method by method. Without
    `excluded_sizes`, those near chance (footnote 3).
    """
    rows = table[(table["policy_size"] == main_policy) & (table["kl_coef"] == 0)]
    rows = rows[(rows["labels"] == "deterministic") & ~rows["proxy_size"].isin(excluded_sizes)]
    largest = rows.groupby("method")["num_comparisons"].transform("max")
    rows = rows[rows["num_comparisons"] == largest]
    return rows[rows["num_epochs"] == rows.groupby("method")["num_epochs"].transform("min")]
