"""The engine of verdicts: significance, conditions, and the decision over all claims."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from overopt.analysis.bootstrap import draw_resamples
from overopt.claims.evidence import Evidence, NotRun
from overopt.claims.significance import (
    Draws,
    Reference,
    critical_value,
    reference_of,
    significance,
    tail_probability,
)
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


def evidence_with(resamples, num_seeds=None) -> Evidence:
    """Evidence of cells with so many seeds; by default all have those of the resamples."""
    groups = pd.DataFrame({"num_seeds": num_seeds or [len(resamples.seeds)]})
    statistics = SimpleNamespace(resamples=resamples, confidence=0.95, groups=groups)
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


def test_with_one_seed_the_test_is_the_t_test_of_prompts() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(0.3, 1, NUM_PROMPTS)
    resamples = draw_resamples(NUM_PROMPTS, [0], 40_000, rng)
    found = significance(resamples.prompt_weights @ y, 0, np.inf, resamples, confidence=0.95)
    test = stats.ttest_1samp(y, 0, alternative="greater")
    assert found.p_support == pytest.approx(float(test.pvalue), rel=0.1)
    interval = stats.ttest_1samp(y, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx(tuple(interval), abs=0.01)


def test_where_only_seeds_vary_the_test_is_the_t_test_of_seeds() -> None:
    rng = np.random.default_rng(1)
    y = np.array([1.0, 1.2, 1.7])
    resamples = resamples_of(rng, 40_000)
    found = significance(resamples.seed_weights(SEEDS) @ y, 0, 9, resamples, confidence=0.95)
    assert found.p_support == pytest.approx(
        float(stats.ttest_1samp(y, 0, alternative="greater").pvalue), rel=0.05
    )


def test_the_share_of_seeds_is_found() -> None:
    rng = np.random.default_rng(2)
    resamples = resamples_of(rng, 2000)
    prompts = resamples.prompt_weights @ rng.normal(0, 1, NUM_PROMPTS)
    seeds = resamples.seed_weights(SEEDS) @ rng.normal(0, 1, 3)
    mixed = prompts / prompts[1:].std() + 0.5 * seeds / seeds[1:].std()
    draws = Draws.of(resamples, np.ones(2000, dtype=bool))
    assert reference_of(mixed, draws).share_of_seeds == pytest.approx(0.2, abs=0.05)
    assert reference_of(prompts, draws).share_of_seeds < 0.02
    assert reference_of(prompts, None) == Reference(0, np.inf, np.inf)


def test_a_mean_over_sizes_has_the_degrees_of_freedom_of_all_their_seeds() -> None:
    rng = np.random.default_rng(5)
    sizes = [f"s{i}" for i in range(7)]
    resamples = draw_resamples(NUM_PROMPTS, SEEDS, 4000, rng, sizes)
    effects = {size: stats.zscore(rng.normal(size=3)) for size in sizes}
    by_size = np.stack([resamples.seed_weights(SEEDS, s) @ effects[s] for s in sizes])
    draws = Draws.of(resamples, np.ones(4000, dtype=bool))
    mean = reference_of(by_size.mean(axis=0), draws)
    assert mean.share_of_seeds == pytest.approx(1, abs=0.01)
    assert mean.df_seeds == pytest.approx(14, rel=0.05)
    assert reference_of(by_size[3], draws).df_seeds == pytest.approx(2, rel=0.02)
    unequal = reference_of(by_size[0] + 3 * by_size[1], draws)  # variances 1 and 9
    assert unequal.df_seeds == pytest.approx(2 * 10**2 / (1 + 81), rel=0.05)


@pytest.mark.parametrize("share", [0, 0.3, 1])
def test_tail_probability_inverts_the_critical_value(share) -> None:
    reference = Reference(share, 2, 63)
    for p in (0.4, 0.025, 1e-4):
        ratio = float(critical_value(p, reference))
        assert tail_probability(ratio, reference) == pytest.approx(p, rel=0.01)
        assert tail_probability(-ratio, reference) == pytest.approx(1 - p, rel=0.01)


def test_equivalence_needs_both_sides_and_is_contradicted_by_one() -> None:
    rng = np.random.default_rng(3)
    resamples = resamples_of(rng)
    values = draw_mean(rng, resamples)
    values -= values[0]  # estimate 0, standard error about 0.13

    def p_values(low: float, high: float) -> tuple[float, float]:
        found = significance(values, low, high, resamples, confidence=0.95)
        return found.p_support, found.p_contradict

    wide, narrow, beside = p_values(-1, 1), p_values(-0.02, 0.02), p_values(1, 2)
    assert wide[0] < 5e-3 and wide[1] == 1
    assert narrow[0] > 0.4 and narrow[1] > 0.8
    assert beside[0] > 0.995 and beside[1] < 1e-2


def test_a_ratio_is_judged_by_the_difference_from_its_bound() -> None:
    rng = np.random.default_rng(10)
    resamples = resamples_of(rng)
    top, bottom = draw_mean(rng, resamples, 1.0), draw_mean(rng, resamples, 2.0)
    options = {"resamples": resamples, "confidence": 0.95}
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
    found = significance(values, 0, np.inf, resamples, confidence=0.95)
    assert (found.p_support, found.p_contradict) == (1, 1) and found.remark


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
            draw_mean(rng, resamples, **sizes), 0, np.inf, resamples, confidence=0.95
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


def test_a_study_with_one_seed_says_so() -> None:
    rng = np.random.default_rng(8)
    resamples = draw_resamples(NUM_PROMPTS, [0], 100, rng)
    values = resamples.prompt_weights @ rng.normal(1, 1, NUM_PROMPTS)
    exact = Condition("b", np.zeros(2), high=1, is_exact=True)
    claims = [claim("C1", Condition("a", values, low=0)), claim("C2", exact)]
    table = judge(claims, evidence_with(resamples))
    assert list(table["sentence"].str.endswith("over prompts only.")) == [True, False]
    assert table["sentence"][1] == "B: 0; expected < 1 (exact)."
    more = draw_resamples(NUM_PROMPTS, [0, 1, 2], 100, rng)
    mixed = judge(claims, evidence_with(more, num_seeds=[3, 1]))["sentence"]
    assert mixed[0].endswith(
        "Some cells have one RM seed: their part of an interval is over prompts only."
    )
    assert mixed[1] == table["sentence"][1]
    several = judge(claims, evidence_with(more, num_seeds=[3, 2]))["sentence"]
    assert "seed" not in several[0]


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
