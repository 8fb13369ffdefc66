"""
Verdicts on claims: p-values from bootstrap replicates, and one decision over all claims.

A claim places one or several statistics in open intervals ("the mean of beta lies above 0";
equivalence: "the difference lies between -0.1 and 0.1"), its conditions. Each condition gets two
p-values: of the data if the statistic's true value were outside the interval (a small one supports
the claim) and if it were inside (a small one contradicts it). See `significance` for how.

- Support needs every condition, so its p-value is the largest over the conditions
  (intersection-union test, no correction needed).
- One failing condition contradicts, so that p-value is the smallest times their number
  (Bonferroni).
- All claims of a study that ran are decided together: the p-value of a claim is twice the smaller
  of its two, Benjamini-Hochberg at q = 0.05 over the claims says which are decided, and the smaller
  of the two says how. Of two opposite hypotheses at most one is true, so among the verdicts
  "supported" and "contradicted" the expected share of wrong ones is at most q, for p-values that
  are independent or positively dependent; those of claims on the same curves are dependent, as a
  rule positively. Everything else is "inconclusive": neither shown nor refuted.

Measured in simulation, 400 studies of 12 claims each with 64 prompts and 3 seeds, claims on their
bound counted as wrong whatever the verdict: share of wrong verdicts among the decided 0.006 and
0.016 with half of the claims on the bound, 0.000 and 0.030 with all (small and large variance
between seeds). 300 whole synthetic studies in which nothing depends on RM size: 1.7 % decide any of
four claims that say it does.

Intervals beside the verdicts are each statistic's own, not adjusted for the number of claims.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.intervals import Intervals
from overopt.claims.evidence import Evidence, NotRun
from overopt.claims.significance import Significance, significance

Array = npt.NDArray[np.float64]
Verdict = Literal["supported", "contradicted", "inconclusive", "needs seeds", "not run"]

FALSE_DISCOVERY_RATE = 0.05
MAX_LISTED = 5  # conditions that a sentence tells one by one
COLUMNS = [
    *("id", "title", "verdict", "statistic", "estimate", "low", "high", "condition"),
    *("p_support", "p_contradict", "paper_value", "section", "sentence"),
]


@dataclass(frozen=True)
class Condition:
    """One statistic and the open interval in which a claim places its true value.

    Attributes
    ----------
    statistic
        In words, with its unit: "mean beta of best-of-n over 7 RM sizes (sd per nat)".
    values
        Shape (1 + B,): estimate, then bootstrap replicates. NaN where a replicate has no value.
    low, high
        The claim's interval; infinite where it is one-sided.
    denominator
        Makes the statistic the ratio values / denominator, of which `low` and `high` are the bounds
        (for denominators that are above 0 if the claim makes sense; see `significance`).
    is_exact
        The statistic has no sampling error (an identity): it is inside or it is not.
    resamples
        Where not those of `Evidence.statistics` (large-n best-of-n): what made the replicates.
    is_simulated
        The replicates are independent simulations of the estimator, not resampled seeds.

    """

    statistic: str
    values: Array
    low: float = -np.inf
    high: float = np.inf
    denominator: Array | None = None
    is_exact: bool = False
    intervals: Intervals | None = None
    is_simulated: bool = False


@dataclass(frozen=True)
class Finding:
    """What the study shows on a claim. `note` is context for the reader, a full sentence."""

    conditions: Sequence[Condition]
    note: str = ""


@dataclass(frozen=True)
class Claim:
    """One claim of the paper.

    `sentence` is what the paper claims; `section` where; `paper_value` the paper's number in words,
    or None; `test` computes the finding, or raises NotRun.
    """

    id: str
    title: str
    sentence: str
    section: str
    paper_value: str | None
    test: Callable[[Evidence], Finding]


@dataclass(frozen=True)
class _Judged:
    """A claim with the significance of each condition, or the reason why it was not run."""

    claim: Claim
    finding: Finding | None
    parts: Sequence[Significance] = ()
    reason: str = ""

    @property
    def needs_seeds(self) -> bool:
        """Whether a condition is of cells with one RM seed, so that nothing can be tested."""
        return any(np.isnan(part.p_support) for part in self.parts)

    @property
    def p_support(self) -> float:
        return float(np.max([part.p_support for part in self.parts]))

    @property
    def p_contradict(self) -> float:
        smallest = float(np.min([part.p_contradict for part in self.parts]))
        return float(np.minimum(1.0, smallest * len(self.parts)))


def judge(claims: Sequence[Claim], evidence: Evidence) -> pd.DataFrame:
    """Test every claim and decide all verdicts together, one row a claim, by number.

    Columns: id, title, verdict; of the condition that decided: statistic, estimate, low, high (its
    interval), condition (where the claim places it); p_support, p_contradict (of the claim);
    paper_value, section; sentence (what was found; all conditions).
    """
    judged = [_test(claim, evidence) for claim in claims]
    ran = [one for one in judged if one.finding is not None and not one.needs_seeds]
    pairs = [(one.p_support, one.p_contradict) for one in ran]
    verdicts = dict(zip((one.claim.id for one in ran), decide(pairs), strict=True))
    confidence = evidence.statistics.confidence
    undecided: dict[bool, Verdict] = {True: "needs seeds", False: "not run"}
    rows = [
        _row(one, verdicts.get(one.claim.id, undecided[one.needs_seeds]), confidence)
        for one in judged
    ]
    rows.sort(key=lambda row: int(str(row["id"])[1:]))
    return pd.DataFrame(rows, columns=COLUMNS)


def decide(
    p_values: Sequence[tuple[float, float]], rate: float = FALSE_DISCOVERY_RATE
) -> list[Verdict]:
    """Verdicts of claims with these (p_support, p_contradict), by Benjamini-Hochberg at `rate`."""
    smaller = np.array([min(pair) for pair in p_values], dtype=np.float64)
    p = np.minimum(1, 2 * smaller)
    order = np.argsort(p)
    is_below = p[order] <= rate * np.arange(1, len(p) + 1) / max(len(p), 1)
    is_decided = np.zeros(len(p), dtype=bool)
    if is_below.any():
        is_decided[order[: np.flatnonzero(is_below)[-1] + 1]] = True
    return [
        "inconclusive" if not decided else "supported" if support < contradict else "contradicted"
        for (support, contradict), decided in zip(p_values, is_decided, strict=True)
    ]


def summary(table: pd.DataFrame) -> str:
    """Number of claims per verdict, in words."""
    counts: dict[str, int] = table["verdict"].value_counts().to_dict()
    return f"{len(table)} claims: " + ", ".join(f"{n} {name}" for name, n in counts.items())


def _test(claim: Claim, evidence: Evidence) -> _Judged:
    try:
        finding = claim.test(evidence)
    except NotRun as reason:
        return _Judged(claim, None, reason=str(reason))
    parts = [
        significance(
            condition.values,
            condition.low,
            condition.high,
            condition.intervals or evidence.statistics.intervals,
            denominator=condition.denominator,
            is_exact=condition.is_exact,
            is_simulated=condition.is_simulated,
        )
        for condition in finding.conditions
    ]
    return _Judged(claim, finding, parts)


def _row(judged: _Judged, verdict: Verdict, confidence: float) -> dict[str, object]:
    claim = judged.claim
    row: dict[str, object] = {
        "id": claim.id,
        "title": claim.title,
        "verdict": verdict,
        "paper_value": claim.paper_value,
        "section": claim.section,
    }
    if judged.finding is None:
        return row | {"sentence": f"Not run: {judged.reason}."}
    supports = [part.p_support for part in judged.parts]
    contradicts = [part.p_contradict for part in judged.parts]
    if judged.needs_seeds:  # what cannot be tested decides
        supports = [float(np.isnan(p)) for p in supports]
    deciding = int(np.argmin(contradicts) if verdict == "contradicted" else np.argmax(supports))
    part, condition = judged.parts[deciding], judged.finding.conditions[deciding]
    return row | {
        "statistic": condition.statistic,
        "estimate": part.estimate,
        "low": part.low,
        "high": part.high,
        "condition": interval_text(condition.low, condition.high),
        "p_support": judged.p_support,
        "p_contradict": judged.p_contradict,
        "sentence": _sentence(judged, deciding, confidence),
    }


def _sentence(judged: _Judged, deciding: int, confidence: float) -> str:
    assert judged.finding is not None
    pairs = list(zip(judged.finding.conditions, judged.parts, strict=True))
    listed = pairs if len(pairs) <= MAX_LISTED else [pairs[deciding]]
    texts = [_condition_text(condition, part, confidence) for condition, part in listed]
    if len(listed) < len(pairs):
        inside = sum(c.low < part.estimate < c.high for c, part in pairs)
        texts.append(f"{inside} of {len(pairs)} such conditions are met by their estimates.")
    return " ".join([*texts, judged.finding.note]).strip()


def _condition_text(condition: Condition, part: Significance, confidence: float) -> str:
    number = number_text(part.estimate)
    if np.isfinite(part.low):
        interval = f"{number_text(part.low)} to {number_text(part.high)}"
        number += f" ({confidence:.0%} interval {interval})"
    statistic = condition.statistic[0].upper() + condition.statistic[1:]
    expected = interval_text(condition.low, condition.high)
    return f"{statistic}: {number}; expected {expected}{part.remark}."


def interval_text(low: float, high: float) -> str:
    """An open interval in words: "> 0", "< 1", "between -0.1 and 0.1"."""
    if np.isfinite(low) and np.isfinite(high):
        return f"between {number_text(low)} and {number_text(high)}"
    return f"> {number_text(low)}" if np.isfinite(low) else f"< {number_text(high)}"


def number_text(value: float) -> str:
    """Three significant digits, without an exponent where there are few digits."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
