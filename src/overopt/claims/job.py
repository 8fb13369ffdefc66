"""The job that judges every claim of the paper on a study's tables."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from overopt.claims.evidence import read_evidence
from overopt.claims.topics import all_claims
from overopt.claims.verdicts import judge
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


def summary(table: pd.DataFrame) -> str:
    """Number of claims per verdict, in words."""
    counts: Mapping[str, int] = table["verdict"].value_counts().to_dict()
    return f"{len(table)} claims: " + ", ".join(f"{n} {name}" for name, n in counts.items())
