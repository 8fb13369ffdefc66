"""Recalibration of raw scores to common units (Gao et al. 2022, section 2.2)."""

import numpy as np
import pandas as pd

from overopt.config.cells import CELL_KEYS, METHOD_AXES, PROXY_RM_KEYS
from overopt.config.methods import BEST_OF_N
from overopt.errors import UserError


def recalibrate(
    curves: pd.DataFrame,
    temperatures: pd.DataFrame,
    *,
    main_policy: str,
    gold_sd: float,
    human_sd: float | None = None,
) -> pd.DataFrame:
    """Curves with recalibrated scores: in initial-policy standard deviations of gold, from zero.

    Zero is the main policy's initial mean score of the same prompt under the same proxy, for
    every policy; that is the n = 1 row of its best-of-n curve. It is per prompt because a
    Bradley-Terry score has an arbitrary offset per prompt. Gold is divided by `gold_sd`, a proxy
    by its temperature (into logits of gold) and then by `gold_sd`. Gao et al. 2022, section 2.2.

    Parameters
    ----------
    curves
        Curves of all cells, one row per cell, point and evaluation prompt (raw scores).
    temperatures
        One row per proxy RM: proxy_size, labels, num_comparisons, num_epochs, seed,
        temperature.
    main_policy
        The `policy_size` that is the zero point.
    gold_sd
        Within-prompt standard deviation of the main policy's gold scores.
    human_sd
        The same of `human_score`; None leaves the human score out.

    Returns
    -------
    The same rows and columns, and `recalibrated_gold_score`, `recalibrated_proxy_score`, and
    `recalibrated_human_score` where `human_sd` is given; for gold and proxy also
    `initial_gold_score`, `initial_proxy_score`: the recalibrated score of the row's own policy
    before optimization (0 for the main policy), from which its gain counts.

    Raises
    ------
    UserError
        If a proxy has no temperature, or no best-of-n curve with an n = 1 row, of the main policy
        and of the row's own, to count from.

    """
    _check_positive({"gold_sd": gold_sd} | ({} if human_sd is None else {"human_sd": human_sd}))
    result = curves.merge(
        _one_per_proxy(temperatures), on=PROXY_RM_KEYS, how="left", validate="many_to_one"
    )
    _check_found(result, "temperature", "no temperature: train and evaluate this proxy RM")
    _check_positive({"a temperature": float(result["temperature"].min())})
    units = {"gold_score": gold_sd, "proxy_score": result["temperature"] * gold_sd}
    if human_sd is not None:
        units["human_score"] = human_sd
    zero = _initial_scores(curves, result, list(units), main_policy)
    own = _initial_scores(curves, result, ["gold_score", "proxy_score"], None)
    for score, unit in units.items():
        result[f"recalibrated_{score}"] = (result[score] - zero[score]) / unit
        if score in own:
            result[f"initial_{score}"] = (own[score] - zero[score]) / unit
    return result.drop(columns="temperature")


def _initial_scores(
    curves: pd.DataFrame, rows: pd.DataFrame, scores: list[str], policy_size: str | None
) -> pd.DataFrame:
    """Look up mean scores before optimization: of one policy, or of each row's own where None."""
    is_initial = (curves["method"] == BEST_OF_N) & curves["n"].eq(1).fillna(False)
    if policy_size is not None:
        is_initial &= curves["policy_size"] == policy_size
    keys = [*PROXY_RM_KEYS, "prompt_id", *([] if policy_size is not None else ["policy_size"])]
    initial = curves.loc[is_initial, [*keys, *scores]]
    if initial.duplicated(keys).any():
        raise UserError(
            f"the curves hold {_describe(initial[initial.duplicated(keys)])} more than once at "
            "n = 1; pass every cell once"
        )
    found = rows[keys].merge(initial, on=keys, how="left")
    policy = "the same policy" if policy_size is None else f"the main policy {policy_size!r}"
    missing = rows[found[scores].isna().any(axis=1).to_numpy()]
    if len(missing):
        raise UserError(
            f"{_describe(missing)} has no zero point: there is no n = 1 row of a best_of_n curve "
            f"of {policy} against the same proxy RM for prompt {missing['prompt_id'].iloc[0]}; "
            "add this best_of_n cell to the grid"
        )
    return found[scores]


def _one_per_proxy(temperatures: pd.DataFrame) -> pd.DataFrame:
    repeated = temperatures[temperatures.duplicated(PROXY_RM_KEYS)]
    if len(repeated):
        raise UserError(f"the temperatures hold {_describe(repeated)} twice; give one row each")
    return temperatures[[*PROXY_RM_KEYS, "temperature"]]


def _check_found(rows: pd.DataFrame, column: str, problem: str) -> None:
    missing = rows[rows[column].isna()]
    if len(missing):
        raise UserError(f"{_describe(missing)} has {problem}")


def _check_positive(units: dict[str, float]) -> None:
    for name, value in units.items():
        if not (np.isfinite(value) and value > 0):
            raise UserError(f"{name} is {value}; a unit of scores must be a positive number")


def _describe(rows: pd.DataFrame) -> str:
    """First cell of `rows` in words."""
    keys = [
        key
        for key in CELL_KEYS
        if key in rows and key not in METHOD_AXES and key != "num_parameters"
    ]
    return "cell " + ", ".join(f"{key}={rows[key].iloc[0]}" for key in keys)
