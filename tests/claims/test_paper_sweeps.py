"""Verdicts on whole synthetic studies: shape of curves, RM size, RM data, policy size."""

from dataclasses import replace

import numpy as np
import pytest

from claim_examples import Noise, Truth, example_evidence
from form_examples import claims_of
from overopt.claims import curve_shape, data_threshold, policy_size, rm_data, rm_size
from overopt.claims.verdicts import judge

TOPICS = (curve_shape, rm_size, rm_data, data_threshold, policy_size)
CLAIMS = [claim for topic in TOPICS for claim in claims_of(topic)]


def verdicts(evidence) -> dict[str, str]:
    table = judge(CLAIMS, evidence)
    return dict(zip(table["id"], table["verdict"], strict=True))


def test_a_study_as_the_paper_tells_it_supports_every_claim() -> None:
    found = verdicts(example_evidence(np.random.default_rng(0)))
    assert len(found) == len(CLAIMS) == 25
    assert {name: verdict for name, verdict in found.items() if verdict != "supported"} == {}


@pytest.mark.parametrize(
    ("truth", "sweeps", "contradicted"),
    [
        (Truth(overoptimization=0), ("size",), {"C1", "C2", "C4"}),
        (Truth(proxy_end=-0.5), ("size",), {"C3"}),
        (Truth(gain_per_decade=-0.08), ("size", "data"), {"C16", "C17", "C20", "C21", "C27"}),
        (Truth(rl_alpha_per_decade=0.2), ("size",), {"C18"}),
        (Truth(sharp_peak=True), ("size",), {"C19"}),
        (Truth(smallest_gain=0.25), ("size", "small"), {"C22"}),
        (Truth(reversed_data=True), ("size", "data"), {"C23", "C25", "C26"}),
        (
            Truth(gain_per_decade=0, scatter=0.1, threshold_width=1.5),
            ("size", "data"),
            {"C24", "C25"},
        ),
        (Truth(threshold_shift=-0.4), ("size", "data"), {"C28"}),
        (Truth(epoch_gold=0.6), ("size", "epochs"), {"C29"}),
        (Truth(gold_per_decade=0.3), ("size", "data"), {"C30"}),
        (Truth(other_start=-0.5), ("policy",), {"C31", "C36"}),
        (Truth(other_gain=1.5), ("policy",), {"C32"}),
        (Truth(other_peak=2), ("policy",), {"C33"}),
        (Truth(other_proxy=0.5), ("policy",), {"C34"}),
        (Truth(other_speed=1.2), ("policy",), {"C35"}),
    ],
    ids=lambda value: "-".join(sorted(value)) if isinstance(value, set) else "",
)
def test_a_study_that_breaks_a_claim_contradicts_it(truth, sweeps, contradicted) -> None:
    found = verdicts(example_evidence(np.random.default_rng(1), truth, sweeps=sweeps))
    assert {found[name] for name in contradicted} == {"contradicted"}, found


def test_steps_are_compared_up_to_where_the_first_run_ends() -> None:
    """A run that reaches the KL limit early has no KL after that."""
    evidence = example_evidence(np.random.default_rng(6), sweeps=("policy",))
    curves = evidence.curves
    early = (curves["method"] == "ppo") & (curves["seed"] == 0) & (curves["step"] > 30)
    assert early.any()
    table = judge(CLAIMS, replace(evidence, curves=curves[~early])).set_index("id")
    whole = judge(CLAIMS, evidence).set_index("id")
    found = table.loc["C35", "estimate"]
    assert found == pytest.approx(whole.loc["C35", "estimate"], rel=0.1)


def test_noise_decides_almost_nothing_and_nothing_wrongly() -> None:
    noise = Noise(prompts=3, cells=3, seeds=1, loss=0.3)
    found = list(verdicts(example_evidence(np.random.default_rng(2), noise=noise)).values())
    assert found.count("inconclusive") >= 22
    assert "contradicted" not in found


def test_directional_claims_are_rarely_decided_where_nothing_depends_on_size() -> None:
    """Slopes are 0, the bound of these claims: at most 5 % of studies may decide any of them."""
    directional = {"C16", "C17", "C20", "C21"}
    rng, truth = np.random.default_rng(3), Truth(gain_per_decade=0)
    claims = [claim for claim in CLAIMS if claim.id in directional]
    noise = Noise(seeds=0.03, loss=0.02)
    decided = 0
    for _ in range(20):
        evidence = example_evidence(
            rng, truth, noise, sweeps=("size",), num_bootstrap=60, num_prompts=12
        )
        decided += (judge(claims, evidence)["verdict"] != "inconclusive").any()
    assert decided <= 3  # of 20: 1 expected at 5 %, more than 3 have a chance of 2 %


def test_a_study_without_the_sweeps_is_not_run() -> None:
    rng = np.random.default_rng(4)
    table = judge(CLAIMS, example_evidence(rng, sweeps=("small",), seeds=1)).set_index("id")
    assert set(table["verdict"]) == {"not run"}
    assert table.loc["C29", "sentence"].endswith("switch on the sweep epochs.")
    assert table.loc["C35", "sentence"].count("policy_size") == 1


def test_one_seed_leaves_losses_inconclusive_and_gold_in_need_of_seeds() -> None:
    evidence = example_evidence(np.random.default_rng(5), sweeps=("size",), seeds=1)
    table = judge(CLAIMS, evidence).set_index("id")
    assert table.loc["C1", "verdict"] == "needs seeds"
    assert table.loc["C21", "verdict"] == "inconclusive"
    assert "no test" in table.loc["C21", "sentence"]
