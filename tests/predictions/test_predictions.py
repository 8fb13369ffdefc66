"""Predictions on pools of known truth: each is supported where it holds, and not where it fails."""

import re

import numpy as np
import pandas as pd
import pytest

from overopt.analysis.selection_curves import selection_curves
from overopt.analysis.statistics import study_statistics
from overopt.claims.evidence import NotRun
from overopt.claims.verdicts import judge
from overopt.config.analysis import AnalysisConfig
from overopt.predictions.evidence import PoolEvidence
from overopt.predictions.job import TOPICS
from overopt.predictions.registry import PREDICTIONS
from overopt.theory.kl import default_ns
from pool_examples import SIZES, pool_of

RISING = dict(zip(SIZES, (0.3, 0.5, 0.65, 0.8, 0.9), strict=True))


def evidence_of(pool, *, max_n: int = 200, rms: pd.DataFrame | None = None) -> PoolEvidence:
    curves = selection_curves(pool, default_ns(max_n))
    statistics = study_statistics(curves, AnalysisConfig(num_bootstrap=200), 0)
    plain = curves[(curves["variant"] == "plain") & (curves["method"] == "best_of_n")]
    study = study_statistics(plain, AnalysisConfig(num_bootstrap=200), 0)
    return PoolEvidence(pool, statistics, study, rms if rms is not None else losses(pool), 0)


def losses(pool) -> pd.DataFrame:
    """Losses that fall with the size, as the correlations rise."""
    rows = [
        proxy.cell | {"validation_loss": 1 - RISING[str(proxy.cell["proxy_size"])]}
        for proxy in pool.proxies
    ]
    return pd.DataFrame(rows)


def verdict(id: str, evidence: PoolEvidence) -> str:
    return str(judge([PREDICTIONS[id]], evidence)["verdict"][0])


@pytest.fixture(scope="module")
def evidence() -> PoolEvidence:
    return evidence_of(pool_of(RISING, num_prompts=40))


def test_there_are_twenty_five_with_their_sources() -> None:
    assert len(TOPICS) == 5
    assert sorted(PREDICTIONS, key=lambda id: int(id[1:])) == [f"B{k}" for k in range(1, 26)]
    for one in PREDICTIONS.values():
        assert one.section and one.sentence.endswith(".") and one.title
        assert re.fullmatch(r"[^.]+", one.title)


def test_best_of_poisson_buys_no_gold() -> None:
    pool = pool_of({"s1": 0.4, "s2": 0.8}, num_responses=1536, num_prompts=16)
    assert verdict("B2", evidence_of(pool)) == "supported"


def test_alpha_is_near_its_slope_where_scores_are_normal(evidence) -> None:
    finding = PREDICTIONS["B1"].test(evidence)
    ratios = [one.values[0] / one.denominator[0] for one in finding.conditions]
    np.testing.assert_allclose(ratios, 1, atol=0.1)


def test_hedging_finds_every_peak(evidence) -> None:
    assert verdict("B4", evidence) == "supported"


def test_independent_errors_of_large_and_small_proxies(evidence) -> None:
    """The smallest proxy here gains most: its error is not shared."""
    finding = PREDICTIONS["B7"].test(evidence)
    assert finding.conditions[1].values[0] > 0.1
    assert verdict("B7", evidence) != "supported"


def test_a_shared_error_is_not_averaged_away() -> None:
    independent = evidence_of(pool_of({"s1": 0.5}, shared_error=0.0))
    shared = evidence_of(pool_of({"s1": 0.5}, shared_error=1.0))
    gains = [
        float(
            one.values("final_gold", "best_of_n", "s1", "mean_of_seeds")[0]
            - one.values("final_gold", "best_of_n", "s1")[0]
        )
        for one in (independent, shared)
    ]
    assert gains[0] > 0.2 and abs(gains[1]) < 1e-9


def test_ensembles_need_two_seeds() -> None:
    with pytest.raises(NotRun, match="1 RM seed a size, an ensemble needs 2"):
        PREDICTIONS["B7"].test(evidence_of(pool_of({"s1": 0.5}, seeds=(0,))))


def test_tails_need_a_large_pool_and_decide(evidence) -> None:
    with pytest.raises(NotRun, match="a pool of 400 responses; 1000 are needed"):
        PREDICTIONS["B23"].test(evidence)
    pool = pool_of({"s1": 0.5}, num_responses=1536, num_prompts=16)
    assert verdict("B23", evidence_of(pool)) == "supported"


def test_the_agreement_orders_the_peaks(evidence) -> None:
    finding = PREDICTIONS["B24"].test(evidence)
    assert finding.conditions[0].values[0] == pytest.approx(1)
    # The losses order them as well, so neither is better.
    assert finding.conditions[1].values[0] == pytest.approx(0)
    few = evidence_of(pool_of({"s1": 0.5, "s2": 0.6}))
    with pytest.raises(NotRun, match="2 RM sizes, 5 are needed"):
        PREDICTIONS["B24"].test(few)


def test_what_needs_other_methods_says_so(evidence) -> None:
    table = judge([PREDICTIONS[id] for id in ("B8", "B11", "B15", "B20", "B25")], evidence)
    assert set(table["verdict"]) == {"not run"}
    assert "no size with the variants ensemble_mean" in table["sentence"][0]
    assert "it needs reward transforms in RL" in table["sentence"][1]
    assert "no PPO at size s1" in table["sentence"][3]


def test_pessimism_on_a_heavy_tail() -> None:
    """Weights at a fixed penalty depend little on the size of the pool."""
    finding = PREDICTIONS["B5"].test(evidence_of(pool_of({"s1": 0.4}, num_prompts=60)))
    assert abs(finding.conditions[0].values[0]) < 0.1
