"""Claims on functional forms: supported where the law holds, contradicted where it does not."""

import numpy as np
import pytest

from form_examples import CellLaws, cell_curves, claims_of, evidence_of, verdicts
from overopt.analysis.form_comparison import compare_forms
from overopt.claims import fitted_forms, functional_form
from overopt.theory.forms import BEST_OF_N, RL


def _quadratic(d: np.ndarray) -> np.ndarray:
    return BEST_OF_N.score(d, 0.9, 0.2)


def _log(d: np.ndarray) -> np.ndarray:
    return RL.score(d, 0.45, 0.25)


def _log1p(d: np.ndarray) -> np.ndarray:
    return d * (0.9 - 0.45 * np.log1p(d))


def _wide_quadratic(d: np.ndarray) -> np.ndarray:
    return BEST_OF_N.score(d, 0.5, 0.07)


def _below_log_at_first(d: np.ndarray) -> np.ndarray:
    """The paper's law but for a slow start."""
    return _log(d) * (1 - np.exp(-6 * d))


def _keeps_rising(d: np.ndarray) -> np.ndarray:
    return _quadratic(np.minimum(d, 2.43)) + 0.3 * np.maximum(d - 2.43, 0)


def _verdicts(best_of_n, rl, deep=None) -> dict[str, str]:
    rng = np.random.default_rng(0)
    laws = [CellLaws("best_of_n", best_of_n, _quadratic), CellLaws("ppo", rl, _log)]
    tables = {}
    if deep is not None:
        cell = CellLaws("best_of_n", deep, _quadratic, max_n=60_000)
        tables["deep_curves"] = cell_curves([cell], rng, num_prompts=12)
    return verdicts(claims_of(functional_form), evidence_of(cell_curves(laws, rng), **tables))


def test_the_papers_laws_support_the_claims():
    found = _verdicts(_quadratic, _below_log_at_first, _quadratic)
    assert found == {
        "C5": "supported",
        "C6": "supported",
        "C7": "supported",
        "C8": "supported",
        "C9": "supported",
        "C10": "supported",
        "C11": "supported",
    }


def test_claims_on_the_same_curves_share_one_comparison(monkeypatch: pytest.MonkeyPatch):
    compared: list[tuple[object, ...]] = []

    def counting(statistics, score, initial, config):
        compared.append((score, *statistics.groups["method"]))
        return compare_forms(statistics, score, initial, config)

    monkeypatch.setattr(fitted_forms, "compare_forms", counting)
    _verdicts(_quadratic, _log, _quadratic)
    assert len(compared) > 2
    assert len(compared) == len(set(compared)) + 1  # best-of-n again, of the large-n curves


def test_other_laws_contradict_them():
    found = _verdicts(_log, _wide_quadratic, _keeps_rising)
    assert [found[claim] for claim in ("C5", "C6", "C7", "C8", "C10")] == ["contradicted"] * 5
    found = _verdicts(_quadratic, _log1p)
    assert [found[claim] for claim in ("C6", "C9")] == ["contradicted"] * 2
    found = _verdicts(_quadratic, lambda d: _log(d) + 0.3 * (d > 0) * np.exp(-4 * d))
    assert found["C11"] == "contradicted"


@pytest.mark.parametrize("method", ["best_of_n", "ppo"])
def test_a_study_without_the_sweep_says_not_run(method: str):
    curves = cell_curves([CellLaws(method, _log, _log)], np.random.default_rng(0))
    found = verdicts(claims_of(functional_form), evidence_of(curves))
    missing = {"C5"} if method == "ppo" else {"C6", "C8", "C9", "C10", "C11"}
    assert {claim for claim, verdict in found.items() if verdict == "not run"} == missing | {"C7"}
