"""The sweep over sizes, row by row."""

import pandas as pd

from overopt.analysis.sweeps import over


def test_size_sweep_is_the_unpenalized_main_policy_at_most_data() -> None:
    columns = ["method", "policy_size", "proxy_size", "labels", "kl_coef"]
    columns += ["num_comparisons", "num_epochs", "is_in"]
    rows = [
        ("best_of_n", "small", "s1", "deterministic", 0.0, 100, 1, True),
        ("best_of_n", "small", "s1", "deterministic", 0.0, 100, 4, False),
        ("best_of_n", "small", "s1", "deterministic", 0.0, 10, 1, False),
        ("best_of_n", "small", "s1", "sampled", 0.0, 100, 1, False),
        ("best_of_n", "small", "x1", "deterministic", 0.0, 100, 1, False),
        ("best_of_n", "large", "s1", "deterministic", 0.0, 100, 1, False),
        ("ppo", "small", "s1", "deterministic", 0.0, 50, 1, True),
        ("ppo", "small", "s1", "deterministic", 0.1, 50, 1, False),
    ]
    table = pd.DataFrame(rows, columns=columns)
    expected = table.index[table["is_in"]].tolist()
    assert over(table, main_policy="small", excluded_sizes=["x1"]).index.tolist() == expected
