"""The engine of verdicts: significance, conditions, and the decision over all claims."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from overopt.analysis.bootstrap import draw_resamples
from overopt.analysis.intervals import Intervals
from overopt.claims.evidence import Evidence, NotRun
from overopt.claims.significance import significance
from overopt.claims.verdicts import (
    COLUMNS,
    Claim,
    Condition,
    Finding,
    decide,
    interval_text,
    judge,
    number_text,
)

NUM_PROMPTS, SEEDS = 64, (0, 1, 2)


def evidence_with(resamples) -> Evidence:
    intervals = Intervals(resamples, 0.95)
    statistics = SimpleNamespace(intervals=intervals, confidence=0.95)
    return cast("Evidence", SimpleNamespace(statistics=statistics))


def claim(name: str, *conditions: Condition, note: str = "") -> Claim:
    finding = Finding(conditions, note)
    return Claim(name, "title", "The paper's sentence.", "3.2", "0.1", lambda evidence: finding)


def draw_mean(rng, resamples, mean=0.0, prompts=1.0, seeds=0.0, cells=0.5) -> np.ndarray:
    """Mean over prompts and seeds of independent effects of each, in every version."""
    effects = rng.normal(0, prompts, (NUM_PROMPTS, 1)) + rng.normal(0, seeds, (1, len(SEEDS)))
    effects = effects + rng.normal(0, cells, (NUM_PROMPTS, len(SEEDS)))
    per_seed = resamples.prompt_weights @ effects
    return mean + (per_seed * resamples.seed_weights(SEEDS)).sum(axis=1)


def resamples_of(rng, num_bootstrap=300):
    return draw_resamples(NUM_PROMPTS, SEEDS, num_bootstrap, rng)


def _not_run(evidence: Evidence) -> Finding:
    raise NotRun("no study can tell")


def test_equivalence_needs_both_sides_and_is_contradicted_by_one() -> None:
    rng = np.random.default_rng(3)
    resamples = resamples_of(rng)
    values = draw_mean(rng, resamples)
    values -= values[0]  # estimate 0, standard error about 0.13

    def p_values(low: float, high: float) -> tuple[float, float]:
        found = significance(values, low, high, Intervals(resamples, 0.95))
        return found.p_support, found.p_contradict

    wide, narrow, beside = p_values(-1, 1), p_values(-0.02, 0.02), p_values(1, 2)
    assert wide[0] < 5e-3 and wide[1] == 1
    assert narrow[0] > 0.4 and narrow[1] > 0.8
    assert beside[0] > 0.995 and beside[1] < 1e-2


def test_a_ratio_is_judged_by_the_difference_from_its_bound() -> None:
    rng = np.random.default_rng(10)
    resamples = resamples_of(rng)
    top, bottom = draw_mean(rng, resamples, 1.0), draw_mean(rng, resamples, 2.0)
    options = {"intervals": Intervals(resamples, 0.95)}
    ratio = significance(top, -np.inf, 0.8, denominator=bottom, **options)
    difference = significance(top - 0.8 * bottom, -np.inf, 0, **options)
    assert ratio.estimate == top[0] / bottom[0]
    assert ratio.p_support == pytest.approx(difference.p_support)
    assert ratio.low < ratio.estimate < ratio.high
    no_top, no_bottom = top - top[0], bottom - bottom[0] + 1e-6
    assert min(significance(no_top, -1, 1, denominator=no_bottom, **options)[3:5]) > 0.05
    negative = significance(top, -1, 1, denominator=-bottom, **options)
    assert (negative.p_support, negative.p_contradict) == (1, 1)


@pytest.mark.parametrize(
    "values", [np.ones(101), np.append(1.0, np.full(100, np.nan)), np.full(101, np.nan)]
)
def test_nothing_is_said_without_variation_or_values(values) -> None:
    resamples = draw_resamples(5, SEEDS, 100, np.random.default_rng(0))
    found = significance(values, 0, np.inf, Intervals(resamples, 0.95))
    assert found.remark and np.isnan([found.low, found.high]).all()
    p = 1 if np.isnan(values[0]) or np.isfinite(values).all() else np.nan  # as of one seed
    np.testing.assert_array_equal([found.p_support, found.p_contradict], p)


def test_benjamini_hochberg_by_hand() -> None:
    """Twice the smaller p: 0.002, 0.02, 0.036, 0.1; thresholds 0.0125, 0.025, 0.0375, 0.05."""
    pairs = [(0.018, 0.9), (0.9, 0.001), (0.05, 0.6), (0.01, 1.0)]
    assert decide(pairs) == ["supported", "contradicted", "inconclusive", "supported"]
    assert decide(pairs[2:3]) == ["inconclusive"]
    assert decide([(0.018, 1.0), (0.5, 0.5)]) == ["inconclusive", "inconclusive"]
    assert decide([]) == []


def test_support_needs_all_conditions_and_contradiction_one() -> None:
    rng = np.random.default_rng(4)
    resamples = resamples_of(rng)
    good, bad, unclear = (draw_mean(rng, resamples, mean) for mean in (2, -2, 0))
    unclear -= unclear[0]
    table = judge(
        [
            claim("C10", Condition("a", good, low=0), Condition("b", good, low=1), note="Note."),
            claim("C2", Condition("a", good, low=0), Condition("b", bad, low=0)),
            claim("C3", Condition("a", good, low=0), Condition("b", unclear, low=0)),
            claim("C4", Condition("a", np.array([0.5, 0.5]), high=1, is_exact=True)),
            Claim("C1", "t", "s", "1", None, _not_run),
        ],
        evidence_with(resamples),
    ).set_index("id")
    assert list(table.index) == ["C1", "C2", "C3", "C4", "C10"]
    assert list(table["verdict"]) == [
        "not run",
        "contradicted",
        "inconclusive",
        "supported",
        "supported",
    ]
    assert list(table.loc[["C10", "C2", "C3"], "statistic"]) == ["b", "b", "b"]
    assert table.loc["C10", "condition"] == "> 1"
    assert table.loc["C10", "estimate"] == good[0]
    assert table.loc["C1", "sentence"] == "Not run: no study can tell."
    assert table.loc["C10", "sentence"].startswith("A: ")
    assert table.loc["C10", "sentence"].endswith(" Note.")
    assert [*table.reset_index().columns] == COLUMNS


def test_missing_cells_do_not_stop_the_others() -> None:
    def missing(evidence: Evidence) -> Finding:
        raise NotRun("switch on a sweep")

    rng = np.random.default_rng(5)
    resamples = resamples_of(rng)
    claims = [
        Claim("C1", "t", "s", "1", None, missing),
        claim("C2", Condition("a", draw_mean(rng, resamples, 3), low=0)),
    ]
    table = judge(claims, evidence_with(resamples))
    assert list(table["verdict"]) == ["not run", "supported"]


def test_numbers_and_intervals_in_words() -> None:
    assert [number_text(x) for x in (1234.5, 0.01234, -0.5, 0)] == ["1234", "0.0123", "-0.5", "0"]
    assert interval_text(-np.inf, 2) == "< 2"
    assert interval_text(-0.1, 0.1) == "between -0.1 and 0.1"


@pytest.mark.parametrize(
    "sizes",
    [
        {"prompts": 1, "seeds": 0, "cells": 0},
        {"prompts": 1, "seeds": 0.25, "cells": 0.5},
        {"prompts": 0.2, "seeds": 1, "cells": 0.2},
    ],
    ids=["prompts", "both", "seeds"],
)
def test_a_statistic_on_the_bound_is_significant_at_most_as_often_as_stated(sizes) -> None:
    """Prompts and 3 seeds, 500 studies: at p = 0.05 at most 25 expected, 37 is a chance of 1 %."""
    rng = np.random.default_rng(6)
    resamples = resamples_of(rng)
    p = [
        significance(
            draw_mean(rng, resamples, **sizes), 0, np.inf, Intervals(resamples, 0.95)
        ).p_support
        for _ in range(500)
    ]
    assert sum(x <= 0.05 for x in p) <= 37
    assert sum(x >= 0.95 for x in p) <= 37


def test_wrong_verdicts_are_at_most_the_stated_share() -> None:
    """120 studies of 12 claims each: 6 on the bound, 3 true, 3 false, with 3 seeds.

    On the bound any verdict counts as wrong. Expected share of wrong among decided: at most 0.05,
    times the 6 of 12 claims on the bound.
    """
    rng = np.random.default_rng(7)
    truths = [0.0] * 6 + [1.0] * 3 + [-1.0] * 3
    shares, power = [], []
    for _ in range(120):
        resamples = resamples_of(rng, 150)
        claims = []
        for number, truth in enumerate(truths):
            values = draw_mean(rng, resamples, truth, prompts=0.7, seeds=0.08)
            claims.append(claim(f"C{number}", Condition("a", values, low=0)))
        verdicts = judge(claims, evidence_with(resamples))["verdict"].to_numpy()
        expected = np.where(np.array(truths) > 0, "supported", "contradicted")
        is_decided = verdicts != "inconclusive"
        is_wrong = is_decided & ((np.array(truths) == 0) | (verdicts != expected))
        shares.append(is_wrong.sum() / max(is_decided.sum(), 1))
        power.append((is_decided & ~is_wrong).sum() / 6)
    assert np.mean(shares) <= 0.05
    assert np.mean(power) > 0.9


def test_a_claim_on_cells_with_one_seed_needs_seeds() -> None:
    """Whatever its other conditions say; the others are decided without it."""
    rng = np.random.default_rng(8)
    resamples = resamples_of(rng)
    single = np.append(1.0, np.full(300, np.nan))
    several = Condition("b", draw_mean(rng, resamples, 3.0), low=0)
    exact = Condition("c", np.zeros(2), high=1, is_exact=True)
    claims = [claim("C1", several, Condition("a", single, low=0)), claim("C2", several)]
    table = judge([*claims, claim("C3", exact)], evidence_with(resamples))
    assert table["verdict"].tolist() == ["needs seeds", "supported", "supported"]
    assert table["statistic"][0] == "a" and table["estimate"][0] == 1
    assert table.loc[0, ["low", "high", "p_support", "p_contradict"]].isna().all()
    assert (
        "A: 1; expected > 0 (of cells with one RM seed or one ensemble: a second"
        in table["sentence"][0]
    )
    assert table["sentence"][2] == "C: 0; expected < 1 (exact)."


def test_a_sentence_tells_the_deciding_one_of_many_conditions() -> None:
    rng = np.random.default_rng(9)
    resamples = resamples_of(rng)
    means = [3.0, 3.0, 3.0, 3.0, 3.0, -3.0]
    conditions = [
        Condition(f"mean {i}", draw_mean(rng, resamples, mean), low=0)
        for i, mean in enumerate(means)
    ]
    row = judge([claim("C1", *conditions)], evidence_with(resamples)).iloc[0]
    assert row["verdict"] == "contradicted"
    assert row["statistic"] == "mean 5"
    assert row["sentence"].startswith("Mean 5: ")
    assert row["sentence"].endswith("5 of 6 such conditions are met by their estimates.")
