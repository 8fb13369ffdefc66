"""The claims job: every claim of the paper has a row, from files to claims.csv."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from claim_examples import example_evidence
from overopt.claims.evidence import larger_policy, policy_pairs, validation_losses
from overopt.claims.job import judge_study
from overopt.claims.registry import claim
from overopt.claims.topics import all_claims
from overopt.claims.verdicts import COLUMNS, Finding
from overopt.config.analysis import AnalysisConfig, AnalysisSettings
from overopt.errors import UserError

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "claims.csv"


@pytest.fixture(scope="module")
def evidence():
    return example_evidence(
        np.random.default_rng(0), num_prompts=8, num_bootstrap=40, sweeps=("size", "policy")
    )


def test_every_claim_of_the_paper_is_there_once() -> None:
    reference = pd.read_csv(REFERENCE)
    assert [claim.id for claim in all_claims()] == reference["id"].tolist()
    assert [claim.title for claim in all_claims()] == reference["title"].tolist()
    for one in all_claims():
        assert one.title and one.sentence.endswith((".", ".)")) and one.section


def test_a_claim_needs_a_number_of_its_own() -> None:
    words = {"title": "t", "says": "s", "section": "1"}
    with pytest.raises(UserError, match="'claim 7': the id must be C and a number"):
        claim("claim 7", **words)
    with pytest.raises(UserError, match="C1 has two tests, .*best_of_n_rises_then_falls and"):
        claim("C1", **words)(lambda evidence: Finding(()))
    assert all_claims()[0].test.__name__ == "best_of_n_rises_then_falls"


def test_the_job_writes_a_row_for_every_claim(evidence, tmp_path: Path, capsys) -> None:
    curves = evidence.curves.assign(
        kl_k1=np.nan, kl_estimate=evidence.curves["kl"], gold_score=0.0, proxy_score=0.0
    )
    rms = evidence.proxy_rms.assign(
        temperature=1.5, soft_label_loss=0.6, recalibrated_soft_label_loss=0.5
    )
    curves.to_parquet(tmp_path / "curves.parquet")
    curves.iloc[:0].to_parquet(tmp_path / "none.parquet")
    rms.to_csv(tmp_path / "rms.csv", index=False)
    settings = AnalysisSettings(
        main_policy="small", analysis=AnalysisConfig(num_bootstrap=40), seed=3
    )
    paths = [tmp_path / name for name in ("curves.parquet", "none.parquet", "none.parquet")]
    judge_study(settings, *paths, tmp_path / "rms.csv", tmp_path / "claims.csv")
    table = pd.read_csv(tmp_path / "claims.csv")
    assert list(table.columns) == COLUMNS
    assert list(table["id"]) == [claim.id for claim in all_claims()]
    assert set(table["verdict"]) <= {"supported", "contradicted", "inconclusive", "not run"}
    is_not_run = table["verdict"] == "not run"
    assert table.loc[is_not_run, "sentence"].str.startswith("Not run: ").all()
    assert table.loc[~is_not_run, ["p_support", "p_contradict", "condition"]].notna().all(axis=None)
    assert {"C7", "C22", "C43"} <= set(table.loc[is_not_run, "id"])
    assert capsys.readouterr().out.startswith(f"{len(all_claims())} claims: ")


def test_policies_are_paired_cell_by_cell(evidence) -> None:
    groups = evidence.statistics.groups
    assert larger_policy(evidence) == "large"
    for method in ("best_of_n", "ppo"):
        pairs = policy_pairs(evidence, method)
        assert [groups.loc[main, "proxy_size"] for main, _ in pairs] == ["s2", "s4"]
        for main, other in pairs:
            both = groups.loc[[main, other]]
            assert list(both["policy_size"]) == ["small", "large"]
            same = both.nunique().drop(["policy_size", "num_points"])
            assert (same == 1).all()


def test_validation_losses_are_averaged_over_the_seeds_of_each_replicate(evidence) -> None:
    groups = evidence.statistics.groups
    cells = groups[groups["proxy_size"] == "s3"]
    losses = validation_losses(evidence, cells)[:, 0]
    rms = evidence.proxy_rms
    by_seed = rms[rms["proxy_size"] == "s3"].set_index("seed")["validation_loss"]
    assert losses[0] == pytest.approx(by_seed.mean())
    draws = evidence.statistics.resamples.seed_draws("s3")[:, :2]
    expected = by_seed.loc[draws.ravel()].to_numpy().reshape(draws.shape).mean(axis=1)
    np.testing.assert_allclose(losses[1:], expected)
