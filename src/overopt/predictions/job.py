"""The job that compares all methods in one table, and judges the predictions on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pandas as pd

from overopt.analysis.methods_table import methods_input, methods_table
from overopt.analysis.scored_pool import read_pool
from overopt.analysis.selection_curves import selection_curves
from overopt.analysis.statistics import study_statistics
from overopt.analysis.sweeps import over
from overopt.claims.evidence import Evidence
from overopt.claims.verdicts import Claim, judge, summary
from overopt.config.analysis import ComparisonSettings
from overopt.predictions import ensembles, open_questions, rm_metrics, selection_rules, tails
from overopt.predictions.evidence import PoolEvidence
from overopt.predictions.registry import PREDICTIONS
from overopt.theory.kl import default_ns

TOPICS = (selection_rules, ensembles, tails, rm_metrics, open_questions)
"""Modules whose import registers predictions."""


@dataclass(frozen=True)
class PoolFiles:
    """A scored pool: gold and its unit, and of every proxy its scores and its best-of-n curve.

    `proxy_scores` and `best_of_n_curves` are of the same cells, in one order.
    """

    gold_scores: Path
    gold_scale: Path
    proxy_scores: Sequence[Path]
    best_of_n_curves: Sequence[Path]


@dataclass(frozen=True)
class MethodFiles:
    """Files that `compare_methods` writes."""

    selection: Path
    methods: Path
    predictions: Path


def compare_methods(
    settings: ComparisonSettings,
    files: PoolFiles,
    curves: Path,
    proxy_rms: Path,
    outputs: MethodFiles,
) -> None:
    """Weight the pool by rules and ensembles, table all methods, and judge the predictions.

    `curves` and `proxy_rms` are the tables of the `fits` job. Written are the curves of
    `selection_curves`, the table of `methods_table`, and one row a prediction with the columns of
    `overopt.claims.verdicts.judge`.
    """
    main_policy, excluded = settings.main_policy, settings.excluded_sizes
    pool = read_pool(
        files.gold_scores,
        files.gold_scale,
        files.proxy_scores,
        files.best_of_n_curves,
        main_policy,
        excluded,
    )
    selection = selection_curves(pool, default_ns(settings.max_n))
    selection.to_parquet(outputs.selection, index=False)
    study = pd.read_parquet(curves)
    together = methods_input(selection, study, main_policy, excluded)
    statistics = study_statistics(together, settings.analysis, settings.seed)
    table = methods_table(statistics)
    table.to_csv(outputs.methods, index=False, float_format="%.9g")
    swept = over(study, "variant", main_policy=main_policy, excluded_sizes=excluded)
    own = study_statistics(swept, settings.analysis, settings.seed)
    evidence = PoolEvidence(pool, statistics, own, pd.read_csv(proxy_rms), settings.seed)
    # `judge` reads of the evidence its statistics, and hands it on to the tests.
    verdicts = judge(cast("list[Claim]", list(PREDICTIONS.values())), cast("Evidence", evidence))
    verdicts.to_csv(outputs.predictions, index=False, float_format="%.9g")
    print(f"{len(table)} rows of methods; " + summary(verdicts).replace("claims", "predictions"))
