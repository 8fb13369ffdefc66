"""
Is a run overoptimizing? One check a line, each with its evidence, and what to do.

What can be said without gold, a second reward model or labels is little: from proxy and KL alone,
two proxies with one curve can have opposite gold. So each check has a level of evidence, and only
gold (labels, a verifier) or a held-out reward model can say "stop" or "go on".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from overopt.errors import UserError
from overopt.runs.curves import MIN_RESPONSES, curve_of_samples
from overopt.runs.fit import FittedRun, fit_run
from overopt.runs.fit_text import describe_peak
from overopt.runs.record import Array, RunCurve, RunRecord, ScoredSamples

Verdict = Literal["stop", "go on", "watch", "fine", "cannot tell"]
Level = Literal["theorem", "labels", "held-out reward model", "experience of other runs"]

LONGER = 1.5  # mean length, last third over first third
TRUNCATED = 0.05
LOW_ENTROPY = 0.25  # of the entropy at the start
NO_VARIANCE = 0.5  # share of groups
TIES = 0.2
HEAVY_TAIL = 0.25  # extreme-value index: 0 for a normal score, 1/k for a t with k degrees
EXTREME = 0.99


@dataclass(frozen=True)
class Check:
    """One check: `verdict`, the `evidence` in numbers, the `advice`, and its level of evidence."""

    name: str
    verdict: Verdict
    evidence: str
    advice: str = ""
    level: Level = "experience of other runs"


@dataclass(frozen=True)
class Diagnosis:
    """All checks of a run, and what follows: stop, go on, or cannot tell."""

    name: str
    checks: list[Check]
    verdict: Verdict
    level: Level
    why: str


def diagnose(record: RunRecord) -> Diagnosis:
    """Check a run; `fit_run`'s faults become checks that cannot tell."""
    if isinstance(record, ScoredSamples):
        checks = sample_checks(record)
        try:
            curve = curve_of_samples(record)
        except UserError as error:
            return _concluded(record.name, [*checks, Check("curve", "cannot tell", str(error))])
        return _concluded(record.name, [*curve_checks(curve), *checks])
    return _concluded(record.name, curve_checks(record))


def curve_checks(curve: RunCurve) -> list[Check]:
    """Checks of a curve over steps or n."""
    checks = [_kl_is_known(curve), _proxy_rises(curve)]
    checks += [check for find in SERIES_CHECKS if (check := find(curve)) is not None]
    if curve.gold is not None:
        checks += _gold_checks(curve)
        checks.append(_gap(curve))
    else:
        checks.append(
            Check(
                "gold",
                "cannot tell",
                "no score that was not optimized is in this file",
                "log a held-out reward at weight 0 (docs/your-runs.md has the recipe for TRL), or "
                "judge some responses: overopt label-plan",
            )
        )
    return checks


def _kl_is_known(curve: RunCurve) -> Check:
    if curve.kl is None or curve.kl_source is None:
        reason = next((m for m in curve.missing if m.startswith("KL")), "KL: none in the file")
        return Check("KL", "cannot tell", reason.removeprefix("KL: "))
    source = curve.kl_source
    doubts = "; ".join(source.doubts)
    evidence = f"{curve.kl.max():.3g} nats per sequence at most, from {source.key}"
    if not source.is_exact_conversion:
        return Check("KL", "watch", f"{evidence}, converted from means per token", doubts)
    return Check("KL", "fine", evidence, doubts)


def _proxy_rises(curve: RunCurve) -> Check:
    """The proxy's slope over the last third of the run, by rank correlation with the step."""
    last = curve.proxy[-max(len(curve.proxy) // 3, 5) :]
    if len(last) < 5:
        return Check("proxy", "cannot tell", f"{len(curve.proxy)} points are too few")
    tau = stats.kendalltau(np.arange(len(last)), last)
    correlation, p = float(tau.statistic), float(tau.pvalue)
    evidence = f"rank correlation with the step {correlation:+.2f} over the last third (p {p:.2g})"
    if p < 0.05 and correlation > 0:
        return Check("proxy", "fine", f"still rising: {evidence}", "says nothing of gold by itself")
    if p < 0.05:
        return Check("proxy", "watch", f"falling: {evidence}", "the optimizer is failing")
    advice = "more steps buy KL and no proxy score" if curve.point == "step" else ""
    return Check("proxy", "watch", f"flat: {evidence}", advice)


def _length(curve: RunCurve) -> Check | None:
    first, last = _ends(curve, "response_length")
    if first is None or last is None or first <= 0:
        return None
    evidence = f"{first:.4g} tokens at the start, {last:.4g} in the last third"
    if last / first > LONGER or first / last > LONGER:
        return Check(
            *("length", "watch", evidence),
            "read some responses; compare the proxy at equal length, or penalize length",
        )
    return Check("length", "fine", evidence)


def _truncation(curve: RunCurve) -> Check | None:
    _, last = _ends(curve, "truncated")
    if last is None:
        return None
    evidence = f"{last:.1%} of the responses are cut off in the last third"
    advice = "raise the limit or penalize a missing end" if last > TRUNCATED else ""
    return Check("truncation", "watch" if advice else "fine", evidence, advice)


def _entropy(curve: RunCurve) -> Check | None:
    first, last = _ends(curve, "entropy")
    if first is None or last is None or first <= 0:
        return None
    evidence = f"{first:.3g} nats a token at the start, {last:.3g} in the last third"
    is_low = last < LOW_ENTROPY * first
    advice = "the policy collapses onto few responses; look at them" if is_low else ""
    return Check("entropy", "watch" if is_low else "fine", evidence, advice)


def _groups(curve: RunCurve) -> Check | None:
    _, last = _ends(curve, "zero_variance_groups")
    if last is None:
        return None
    evidence = f"{last:.1%} of the groups have one reward throughout, in the last third"
    is_flat = last > NO_VARIANCE
    advice = "these groups give no gradient; the proxy is saturated there" if is_flat else ""
    return Check("groups", "watch" if is_flat else "fine", evidence, advice)


SERIES_CHECKS: tuple[Callable[[RunCurve], Check | None], ...] = (
    *(_length, _truncation, _entropy, _groups),
)


def _ends(curve: RunCurve, name: str) -> tuple[float | None, float | None]:
    """Means of a series over the first and the last third of the run; None where it is absent."""
    values = curve.others.get(name)
    if values is None or not np.isfinite(values).any():
        return None, None
    third = max(len(values) // 3, 1)
    first, last = values[:third], values[-third:]
    known = [part[np.isfinite(part)] for part in (first, last)]
    means = [float(part.mean()) if len(part) else None for part in known]
    return means[0], means[1]


def _level_of_gold(curve: RunCurve) -> Level:
    is_held_out = any(name.startswith("heldout:") for name in curve.others)
    return "held-out reward model" if is_held_out else "labels"


def _gold_checks(curve: RunCurve) -> list[Check]:
    """Whether gold has fallen, and where its law peaks."""
    level = _level_of_gold(curve)
    try:
        fit = fit_run(curve)[0]
    except UserError as error:
        return [_gold_without_kl(curve, level, str(error))]
    drop = fit.drop
    evidence = (
        f"highest at {fit.observed_peak_kl:.3g} nats; {drop.estimate:.3g} "
        f"[{drop.low:.3g}, {drop.high:.3g}] lost since; law's peak {describe_peak(fit)}"
    )
    if drop.low > 0:
        return [Check("gold", "stop", evidence, f"go back to {_where(fit)}", level)]
    if _is_rising(fit.values) and not fit.is_peak_reached:
        return [Check("gold", "go on", evidence, "", level)]
    return [Check("gold", "cannot tell", evidence, "near its peak, or too noisy to say", level)]


def _where(fit: FittedRun) -> str:
    return f"the checkpoint at about {fit.observed_peak_kl:.3g} nats"


def _gold_without_kl(curve: RunCurve, level: Level, error: str) -> Check:
    gold = curve.gold
    assert gold is not None
    half = gold[len(gold) // 2 :]
    if len(half) < 8:
        return Check("gold", "cannot tell", error, level=level)
    tau = stats.kendalltau(np.arange(len(half)), half)
    correlation, p = float(tau.statistic), float(tau.pvalue)
    evidence = f"rank correlation with the step {correlation:+.2f} over the second half (p {p:.2g})"
    if p < 0.01:
        return Check("gold", "go on" if correlation > 0 else "stop", evidence, "", level)
    return Check("gold", "cannot tell", evidence, "no KL, so no law can be fitted", level)


def _is_rising(values: Array) -> bool:
    last = values[-max(len(values) // 2, 4) :]
    tau = stats.kendalltau(np.arange(len(last)), last)
    return bool(tau.statistic > 0 and tau.pvalue < 0.05)


def _gap(curve: RunCurve) -> Check:
    """Growth of proxy and gold since the start, in units of the proxy's growth."""
    gold = curve.gold
    assert gold is not None
    third = max(len(gold) // 3, 1)
    gains = [float(x[-third:].mean() - x[0]) for x in (curve.proxy, gold)]
    if gains[0] <= 0:
        return Check("gap", "watch", f"proxy gained {gains[0]:.3g}", level=_level_of_gold(curve))
    evidence = f"proxy gained {gains[0]:.3g}, gold {gains[1]:.3g} (last third, in the log's units)"
    verdict: Verdict = "watch" if gains[1] <= 0 else "fine"
    advice = "the proxy's gain is not real" if gains[1] <= 0 else ""
    return Check("gap", verdict, evidence, advice, _level_of_gold(curve))


def sample_checks(samples: ScoredSamples) -> list[Check]:
    """Checks of scored responses: ties, tails, agreement with gold, repeats."""
    table = samples.table
    first = table[table["step"] == table["step"].min()] if "step" in table else table
    groups = [rows for _, rows in first.groupby("prompt_id") if len(rows) >= MIN_RESPONSES]
    checks = [_ties(table)]
    if groups:
        centered = np.concatenate(
            [rows["proxy"].to_numpy(float) - rows["proxy"].mean() for rows in groups]
        )
        checks.append(_tail(centered))
        if "gold" in first:
            checks.append(_correlation(groups))
    if "step" in table and table["step"].nunique() > 1:
        checks.append(_position(samples))
    return checks


def _ties(table: pd.DataFrame) -> Check:
    distinct = table.drop_duplicates(["prompt_id", "response_id"])
    scores = distinct.groupby("prompt_id")["proxy"]
    share = 1 - float(scores.nunique().sum()) / len(distinct)
    evidence = f"{share:.1%} of distinct responses share their proxy score with another"
    advice = "the proxy cannot order what it is asked to order" if share > TIES else ""
    return Check("ties", "watch" if advice else "fine", evidence, advice)


def _tail(scores: Array) -> Check:
    """Moment estimator of the extreme-value index of the upper tail (Dekkers et al. 1989).

    On scores centered within prompts and shifted to be positive; the top 5%.
    """
    ordered = np.sort(scores)[::-1]
    k = max(len(ordered) // 20, 10)
    if len(ordered) < 200:
        return Check("tail", "cannot tell", f"{len(ordered)} responses are too few for a tail")
    shifted = ordered - np.median(ordered)
    logs = np.log(shifted[:k]) - np.log(shifted[k])
    first, second = float(logs.mean()), float((logs**2).mean())
    index = first + 1 - 0.5 / (1 - first**2 / second) if second > first**2 else first
    evidence = f"extreme-value index of the proxy's upper tail {index:+.2f} (normal 0, t5 .2)"
    advice = (
        "scores far above the rest may be errors; cap or read them" if index > HEAVY_TAIL else ""
    )
    return Check("tail", "watch" if advice else "fine", evidence, advice)


def _correlation(groups: list[pd.DataFrame]) -> Check:
    correlations = [
        float(np.corrcoef(group["proxy"], group["gold"])[0, 1])
        for group in groups
        if group["gold"].notna().all() and group["gold"].nunique() > 1 < group["proxy"].nunique()
    ]
    if len(correlations) < 2:
        return Check("agreement", "cannot tell", "fewer than two prompts have judged responses")
    mean = float(np.mean(correlations))
    error = 1.96 * float(np.std(correlations, ddof=1)) / np.sqrt(len(correlations))
    evidence = (
        f"correlation of proxy and gold within prompts, before optimization, {mean:.3f} +- "
        f"{error:.3f}; times sqrt 2 it is the first slope of gold in sqrt(KL), in its sd"
    )
    verdict: Verdict = "watch" if mean - error <= 0 else "fine"
    return Check("agreement", verdict, evidence, level="theorem")


def _position(samples: ScoredSamples) -> Check:
    """Where the last step's proxy scores lie among those of the first step, prompt by prompt."""
    table = samples.table
    steps = np.sort(table["step"].unique())
    base = {
        p: np.sort(g["proxy"]) for p, g in table[table["step"] == steps[0]].groupby("prompt_id")
    }
    last = table[table["step"] == steps[-1]]
    known = last[last["prompt_id"].isin(list(base))]
    if known.empty:
        return Check("position", "cannot tell", "first and last step share no prompt")
    quantiles = [
        np.searchsorted(base[p], score) / len(base[p])
        for p, score in zip(known["prompt_id"], known["proxy"], strict=True)
    ]
    mean = float(np.mean(quantiles))
    evidence = f"the last step's scores lie at quantile {mean:.3f} of the first step's, on average"
    advice = "beyond what base samples can vouch for" if mean > EXTREME else ""
    return Check("position", "watch" if advice else "fine", evidence, advice)


def _concluded(name: str, checks: list[Check]) -> Diagnosis:
    deciding = [check for check in checks if check.verdict in ("stop", "go on")]
    for verdict in ("stop", "go on"):
        for check in deciding:
            if check.verdict == verdict:
                return Diagnosis(
                    name, checks, verdict, check.level, f"{check.name}: {check.evidence}"
                )
    watched = [check.name for check in checks if check.verdict == "watch"]
    why = "nothing in this file measures what the proxy is meant to stand for"
    if any(check.name == "gold" and check.level != "experience of other runs" for check in checks):
        why = "gold neither falls nor rises beyond its noise"
    if watched:
        why += f"; worth a look: {', '.join(watched)}"
    return Diagnosis(name, checks, "cannot tell", "experience of other runs", why)
