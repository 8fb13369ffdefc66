"""Claims checked exactly, by simulation, and on slopes, temperatures, labels and single prompts."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from cell_examples import of_plain_rms
from form_examples import SEEDS, SIZES, CellLaws, cell_curves, claims_of, evidence_of, verdicts
from overopt.claims import scores_and_labels, theory
from overopt.claims.scores_and_labels import is_unimodal
from overopt.theory.forms import BEST_OF_N, RL

CLAIMS = claims_of(scores_and_labels)
C52, C53 = (claim for claim in CLAIMS if claim.id in ("C52", "C53"))


def _rms(temperature: float, gain: float) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        {
            "proxy_size": size,
            "num_parameters": SIZES[size],
            "num_comparisons": 60_000,
            "seed": seed,
            "temperature": temperature * np.exp(rng.normal(0, 0.01)),
            "soft_label_loss": 0.6,
            "recalibrated_soft_label_loss": 0.6 - gain * np.exp(rng.normal(0, 0.1)),
        }
        for size in SIZES
        for seed in SEEDS
    ]
    return of_plain_rms(pd.DataFrame(rows))


def _cells(proxy_alpha: float, prompt_noise: float = 0.05) -> list[CellLaws]:
    return [
        CellLaws(
            "best_of_n",
            lambda d: BEST_OF_N.score(d, 0.9, 0.2),
            lambda d: BEST_OF_N.score(d, proxy_alpha, 0.1),
            prompt_noise=prompt_noise,
        ),
        CellLaws(
            "ppo", lambda d: RL.score(d, 0.5, 0.2), lambda d: RL.score(d, proxy_alpha - 0.4, 0.1)
        ),
    ]


def _softmax_scores(
    proxy_scores: np.ndarray, scores: dict[str, np.ndarray], ns: list[int]
) -> dict[str, np.ndarray]:
    """A selection that is neither best-of-n nor free of the proxy's units."""
    weights = softmax(proxy_scores, axis=1)
    return {
        name: np.repeat((weights * values).sum(axis=1)[:, None], len(ns), axis=1)
        for name, values in scores.items()
    }


def test_identities_are_supported():
    curves = cell_curves(_cells(1.0), np.random.default_rng(0), ["s1"])
    assert set(verdicts(claims_of(theory), evidence_of(curves)).values()) == {"supported"}


def test_wrong_identities_are_contradicted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(theory, "regressional_slope", lambda gold, noise: gold / (gold + 2 * noise))
    monkeypatch.setattr(theory, "iterated_rl_form", lambda d, a, b, k: RL.score(d, a, b))
    monkeypatch.setattr(theory, "best_of_n_kl", lambda n: 0.5 * np.log(n))
    monkeypatch.setattr(theory, "best_of_n_scores", _softmax_scores)
    curves = cell_curves(_cells(1.0), np.random.default_rng(0), ["s1"])
    found = verdicts(claims_of(theory), evidence_of(curves))
    assert set(found.values()) == {"contradicted"}


def test_slopes_temperatures_and_prompts():
    rng = np.random.default_rng(0)
    found = verdicts(CLAIMS, evidence_of(cell_curves(_cells(1.2), rng), _rms(2.0, 0.05)))
    assert found["C47"] == found["C51"] == "supported"
    found = verdicts(CLAIMS, evidence_of(cell_curves(_cells(0.7), rng), _rms(1.0, 1e-5)))
    assert found["C47"] == found["C51"] == "contradicted"


def test_single_prompts():
    rng = np.random.default_rng(0)
    curves = cell_curves(_cells(1.0)[:1], rng)
    rough = curves.copy()
    rough["recalibrated_gold_score"] += rng.normal(0, 0.3, len(rough)) * np.sqrt(rough["kl"])
    assert verdicts([C53], evidence_of(rough))["C53"] == "supported"
    # all prompts alike, up to noise that they share with the seed
    alike = curves.copy()
    law = BEST_OF_N.score(np.sqrt(alike["kl"]), 0.9, 0.2)
    wiggle = 0.05 * np.sin(7 * np.sqrt(alike["kl"])) * (1 + 0.1 * alike["seed"])
    jitter = 1e-3 * rng.normal(size=len(alike))
    alike["recalibrated_gold_score"] = law + wiggle + jitter
    assert verdicts([C53], evidence_of(alike))["C53"] == "contradicted"


def test_sampled_labels():
    rng = np.random.default_rng(0)
    (cell,) = _cells(1.0)[:1]
    noisy, quiet = cell._replace(seed_noise=1.0), cell._replace(seed_noise=0.01)
    pairs = {
        "supported": (quiet, noisy),
        "inconclusive": (noisy, noisy),
        "contradicted": (noisy, quiet),
    }
    for expected, (deterministic, sampled) in pairs.items():
        cells = [deterministic, sampled._replace(keys={"labels": "sampled"})]
        assert verdicts([C52], evidence_of(cell_curves(cells, rng)))["C52"] == expected
    assert verdicts([C52], evidence_of(cell_curves([cell], rng)))["C52"] == "not run"


def test_unimodal_by_hand():
    curves = np.array([[0, 1, 2, 1], [0, 1, 0, 1], [0, 1, 2, 3], [3, 2, 1, 0], [0, 2, 2, 1.0]])
    assert is_unimodal(curves).tolist() == [1, 0, 0, 0, 1]
