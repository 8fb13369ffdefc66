"""Recalibration by hand."""

import numpy as np
import pandas as pd
import pytest

from cell_examples import in_plain_cells
from curve_examples import study_curves, temperatures
from overopt.analysis.recalibration import recalibrate
from overopt.errors import UserError


def cell(method: str, policy: str, gold: list[float], proxy: list[float]) -> pd.DataFrame:
    """Curve of two prompts at two points: gold and proxy as point 1 prompt 1, prompt 2, ..."""
    points = pd.Series([1, 1, 4, 4], dtype="Int64")
    missing = pd.Series([pd.NA] * 4, dtype="Int64")
    table = pd.DataFrame(
        {
            "method": method,
            "policy_size": policy,
            "proxy_size": "s1",
            "num_comparisons": 100,
            "seed": 0,
            "n": points if method == "best_of_n" else missing,
            "step": points if method == "ppo" else missing,
            "prompt_id": [0, 1, 0, 1],
            "gold_score": gold,
            "proxy_score": proxy,
            "human_score": [1.0, 2.0, 3.0, 5.0],
        }
    )
    return in_plain_cells(table)


@pytest.fixture
def curves() -> pd.DataFrame:
    return pd.concat(
        [
            cell("best_of_n", "small", [1, 10, 3, 11], [5, -5, 6, -4]),
            cell("ppo", "small", [1.5, 10, 2, 14], [5, -5, 9, -1]),
            cell("best_of_n", "large", [2, 12, 4, 16], [6, -4, 7, -3]),
        ],
        ignore_index=True,
    )


def test_by_hand(curves: pd.DataFrame) -> None:
    result = recalibrate(
        curves, temperatures(curves, 0.5), main_policy="small", gold_sd=2.0, human_sd=10.0
    )
    gold = result["recalibrated_gold_score"].to_numpy().reshape(3, 4)
    np.testing.assert_allclose(gold[0], [0, 0, 1, 0.5])
    np.testing.assert_allclose(gold[1], [0.25, 0, 0.5, 2])
    np.testing.assert_allclose(gold[2], [0.5, 1, 1.5, 3])  # the main policy is the zero
    proxy = result["recalibrated_proxy_score"].to_numpy().reshape(3, 4)
    np.testing.assert_allclose(proxy[1], [0, 0, 4, 4])  # / (0.5 * 2)
    np.testing.assert_allclose(proxy[2], [1, 1, 2, 2])
    human = result["recalibrated_human_score"].to_numpy().reshape(3, 4)
    np.testing.assert_allclose(human[1], [0, 0, 0.2, 0.3])
    own_zero = result["initial_gold_score"].to_numpy().reshape(3, 4)
    np.testing.assert_allclose(own_zero, [[0, 0, 0, 0], [0, 0, 0, 0], [0.5, 1, 0.5, 1]])
    pd.testing.assert_frame_equal(result[curves.columns.tolist()], curves)
    assert "temperature" not in result


def test_offsets_of_prompts_do_not_matter() -> None:
    curves = study_curves(np.random.default_rng(0), sizes=("s1",), seeds=(0,), num_prompts=5)
    shifted = curves.assign(
        gold_score=curves["gold_score"] + 10 * curves["prompt_id"],
        proxy_score=curves["proxy_score"] - 3 * curves["prompt_id"],
    )
    first, second = (
        recalibrate(c, temperatures(c), main_policy="small", gold_sd=1.0) for c in (curves, shifted)
    )
    for column in ("recalibrated_gold_score", "recalibrated_proxy_score"):
        np.testing.assert_allclose(first[column], second[column], atol=1e-12)
    assert "recalibrated_human_score" not in first


def test_missing_counterpart_is_named(curves: pd.DataFrame) -> None:
    with pytest.raises(UserError, match="method=ppo.*no n = 1 row.*main policy 'small'"):
        rows = curves[curves["method"] == "ppo"]
        recalibrate(rows, temperatures(rows), main_policy="small", gold_sd=1.0)
    other_seed = curves.assign(seed=np.where(curves["method"] == "ppo", 1, 0))
    with pytest.raises(UserError, match="seed=1"):
        recalibrate(other_seed, temperatures(other_seed), main_policy="small", gold_sd=1.0)
    no_own_zero = curves.assign(policy_size=np.where(curves["method"] == "ppo", "tiny", "small"))
    with pytest.raises(UserError, match="tiny.*the same policy"):
        rows = no_own_zero[:8]
        recalibrate(rows, temperatures(rows), main_policy="small", gold_sd=1.0)


def test_wrong_inputs_are_named(curves: pd.DataFrame) -> None:
    with pytest.raises(UserError, match="no temperature"):
        recalibrate(curves, temperatures(curves[:0]), main_policy="small", gold_sd=1.0)
    with pytest.raises(UserError, match="gold_sd is 0"):
        recalibrate(curves, temperatures(curves), main_policy="small", gold_sd=0.0)
    with pytest.raises(UserError, match="a temperature is -1"):
        recalibrate(curves, temperatures(curves, -1.0), main_policy="small", gold_sd=1.0)
    twice = pd.concat([curves, curves[:4]])
    with pytest.raises(UserError, match="more than once"):
        recalibrate(twice, temperatures(curves), main_policy="small", gold_sd=1.0)
    both = pd.concat([temperatures(curves), temperatures(curves)])
    with pytest.raises(UserError, match="twice"):
        recalibrate(curves, both, main_policy="small", gold_sd=1.0)
