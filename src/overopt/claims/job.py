"""The job that judges every claim of the paper on a study's tables."""

from pathlib import Path

from overopt.claims.evidence import read_evidence
from overopt.claims.topics import all_claims
from overopt.claims.verdicts import judge, summary
from overopt.config.analysis import AnalysisSettings


def judge_study(
    settings: AnalysisSettings,
    curves: Path,
    deep_curves: Path,
    tilted_curves: Path,
    proxy_rms: Path,
    claims: Path,
) -> None:
    """Judge all claims on the tables of the `fits` job; write `claims`, one row a claim.

    For its columns see `overopt.claims.verdicts.judge`.
    """
    evidence = read_evidence(settings, curves, deep_curves, tilted_curves, proxy_rms)
    table = judge(all_claims(), evidence)
    table.to_csv(claims, index=False, float_format="%.9g")
    print(summary(table))
