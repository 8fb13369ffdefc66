"""Claims on the size of the policy (C31 to C36; Gao et al. 2022, section 3.4)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from overopt.analysis.group_curves import GroupCurve, score_at_kl
from overopt.claims.curve_values import kl_at_steps, last_common_step
from overopt.claims.evidence import Evidence, NotRun, larger_policy, policy_pairs
from overopt.claims.registry import claim
from overopt.claims.verdicts import Condition, Finding
from overopt.config.methods import METHODS

Array = npt.NDArray[np.float64]
Pairs = Sequence[tuple[int, int]]

PEAK_RATIO = 1.5  # KL of the peaks: within this factor is "almost the same"
GAP_MARGIN = 0.2  # sd
NUM_PLACES = 12


@claim(
    "C31",
    title="A larger policy starts and ends higher",
    says="The larger policy has more gold before optimization, and at its peak.",
    section="3.4, Figure 7",
    paper="starts at 0.37 to 0.38; RL peaks 0.83 against 0.62",
)
def larger_starts_and_ends_higher(evidence: Evidence) -> Finding:
    """Initial gold and highest gold of the larger policy exceed the main policy's."""
    pairs = _pairs_by_method(evidence)
    return Finding(_higher(evidence, pairs), _policies(evidence))


@claim(
    "C32",
    title="A larger policy gains less",
    says="Optimization against the same RM gains the larger policy less gold.",
    section="3.4, Figures 7 and 23",
    paper="RL +0.45 against +0.62; best-of-n at 6 nats +0.39 against +0.70",
)
def larger_gains_less(evidence: Evidence) -> Finding:
    """Highest minus initial gold is smaller for the larger policy, with each method."""
    pairs = _pairs_by_method(evidence)
    return Finding(_gains_less(evidence, pairs), _policies(evidence))


@claim(
    "C33",
    title="Both policies peak at about the same KL",
    says="Gold peaks at almost the same KL for both policies (here: within a factor 1.5).",
    section="3.4, Figure 7b",
    paper="about 18 nats (6B) and 20 nats (1.2B)",
)
def peaks_at_the_same_kl(evidence: Evidence) -> Finding:
    """KL at the highest gold, larger policy's over main policy's: within a factor 1.5."""
    by_method = _pairs_by_method(evidence)
    method = "ppo" if "ppo" in by_method else "best_of_n"
    kl = evidence.statistics.values["kl_at_peak"]
    pairs = [pair for pair in by_method[method] if _has_peak_within(evidence, pair)]
    if not pairs:
        raise NotRun(
            "gold still rises at the end of every curve, so there is no peak to compare: run PPO "
            "with the second policy (policy_size), or to a higher KL"
        )
    main, other = (kl[:, [pair[i] for pair in pairs]].mean(axis=1) for i in (0, 1))
    return Finding(
        [
            Condition(
                f"KL at the peak of gold, larger policy's over main policy's, "
                f"{METHODS[method].label}, means over {_rms(evidence, pairs)}",
                other,
                low=1 / PEAK_RATIO,
                high=PEAK_RATIO,
                denominator=main,
            )
        ],
        f"The peaks lie at {main[0]:.1f} nats (main policy) and {other[0]:.1f} nats (larger).",
    )


@claim(
    "C34",
    title="Both policies have the same proxy-gold gap",
    says="The gap between proxy and gold at equal KL is almost the same for both policies (here: "
    "within 0.2 sd).",
    section="3.4, Figure 24",
    paper="1.21 (1.2B) and 1.14 (6B) at 80 nats",
)
def same_gap_at_equal_kl(evidence: Evidence) -> Finding:
    """Proxy minus gold at equal KL differs by less than GAP_MARGIN."""
    by_method = _pairs_by_method(evidence)
    method = "ppo" if "ppo" in by_method else "best_of_n"
    curves = evidence.statistics.curves
    gaps = [_gaps(curves[main], curves[other]) for main, other in by_method[method]]
    main, other = np.mean(gaps, axis=0)
    return Finding(
        [
            Condition(
                "proxy minus gold at equal KL, larger policy's minus main policy's, "
                f"{METHODS[method].label}, mean over the KL that both reach and over "
                f"{_rms(evidence, by_method[method])} (sd)",
                other - main,
                low=-GAP_MARGIN,
                high=GAP_MARGIN,
            )
        ],
        f"Proxy minus gold is {main[0]:.2f} sd for the main policy and {other[0]:.2f} sd for the "
        "larger.",
    )


@claim(
    "C35",
    title="A larger policy moves less per RL step",
    says="The larger policy has a lower KL after the same number of RL steps.",
    section="footnote 12, Figure 15",
    paper="72 against 96 nats after 1.9 million steps",
)
def larger_has_less_kl_per_step(evidence: Evidence) -> Finding:
    """KL of the larger over KL of the main policy at the same PPO steps is below 1."""
    pairs = policy_pairs(evidence, "ppo")
    ratios = [_log_kl_ratio(evidence, main, other) for main, other in pairs]
    return Finding(
        [
            Condition(
                "KL after the same number of PPO steps, larger policy's over main policy's, "
                f"geometric mean over the later half of the steps and {_rms(evidence, pairs)}",
                np.exp(np.mean(ratios, axis=0)),
                high=1,
            )
        ],
        "It depends on the learning rates of the two, which differ in the paper too.",
    )


@claim(
    "C36",
    title="The same with a larger RM",
    says="With a larger RM the picture of the two policies is the same.",
    section="3.4, Figure 22",
    paper="highest gold 1.25 (6B) and 1.09 (1.2B) with the 3B RM",
)
def same_with_the_largest_rm(evidence: Evidence) -> Finding:
    """With the largest RM too, the larger policy starts and ends higher and gains less."""
    by_method: dict[str, Pairs] = {}
    groups = evidence.statistics.groups
    for method, pairs in _pairs_by_method(evidence).items():
        sizes = [int(groups.loc[main, "num_parameters"]) for main, _ in pairs]  # type: ignore[arg-type]
        if len(set(sizes)) > 1:
            by_method[method] = [p for p, n in zip(pairs, sizes, strict=True) if n == max(sizes)]
    if not by_method:
        raise NotRun(
            "both policies were optimized against one RM size only: give the sweep over policy "
            "sizes (policy_size) a second, larger one"
        )
    return Finding(_higher(evidence, by_method) + _gains_less(evidence, by_method))


def _higher(evidence: Evidence, by_method: dict[str, Pairs]) -> list[Condition]:
    pairs = next(iter(by_method.values()))
    conditions = [
        _exceeds(evidence, pairs, "initial_gold", "gold before optimization"),
    ]
    for method, pairs in by_method.items():
        what = f"highest gold with {METHODS[method].label}"
        conditions.append(_exceeds(evidence, pairs, "peak_gold", what))
    return conditions


def _exceeds(evidence: Evidence, pairs: Pairs, quantity: str, what: str) -> Condition:
    difference = _difference(evidence.statistics.values[quantity], pairs)
    rms = _rms(evidence, pairs)
    return Condition(f"{what}, larger policy minus main, mean over {rms} (sd)", difference, low=0)


def _gains_less(evidence: Evidence, by_method: dict[str, Pairs]) -> list[Condition]:
    statistics = evidence.statistics.values
    gain = statistics["peak_gold"] - statistics["initial_gold"]
    return [
        Condition(
            f"gain of gold from start to peak with {METHODS[method].label}, larger policy minus "
            f"main, mean over {_rms(evidence, pairs)} (sd)",
            _difference(gain, pairs),
            high=0,
        )
        for method, pairs in by_method.items()
    ]


def _pairs_by_method(evidence: Evidence) -> dict[str, Pairs]:
    found: dict[str, Pairs] = {}
    for method in ("best_of_n", "ppo"):
        try:
            found[method] = policy_pairs(evidence, method)
        except NotRun:
            continue
    if not found:
        policy_pairs(evidence, "best_of_n")  # says what is missing
    return found


def _difference(values: Array, pairs: Pairs) -> Array:
    """Other minus main policy, mean over pairs, shape (1 + B,)."""
    return np.mean([values[:, other] - values[:, main] for main, other in pairs], axis=0)


def _has_peak_within(evidence: Evidence, pair: tuple[int, int]) -> bool:
    statistics = evidence.statistics.values
    return all(statistics["kl_at_peak"][0, c] < 0.98 * statistics["final_kl"][0, c] for c in pair)


def _gaps(main: GroupCurve, other: GroupCurve) -> tuple[Array, Array]:
    """Mean of proxy minus gold over the KL that both reach, of both curves, each (1 + B,)."""
    end = min(float(np.nanmax(curve.sqrt_kl, axis=1).min()) for curve in (main, other))
    # Just short of the end, lest rounding puts the last place beyond it.
    kls = (end * np.linspace(0, 0.999, NUM_PLACES + 1)[1:]) ** 2

    def gap(curve: GroupCurve) -> Array:
        at = [score_at_kl(curve, "proxy", kl) - score_at_kl(curve, "gold", kl) for kl in kls]
        return np.mean(at, axis=0)

    return gap(main), gap(other)


def _log_kl_ratio(evidence: Evidence, main: int, other: int) -> Array:
    last = min(last_common_step(evidence, column) for column in (main, other))
    steps = np.linspace(last / 2, last, NUM_PLACES)
    kl_main, kl_other = (kl_at_steps(evidence, column, steps) for column in (main, other))
    return np.log(kl_other / kl_main).mean(axis=1)


def _rms(evidence: Evidence, pairs: Pairs) -> str:
    sizes = evidence.statistics.groups.loc[[main for main, _ in pairs], "proxy_size"]
    return "RM " + ", ".join(dict.fromkeys(sizes))


def _policies(evidence: Evidence) -> str:
    return f"Main policy: {evidence.main_policy}; larger policy: {larger_policy(evidence)}."
