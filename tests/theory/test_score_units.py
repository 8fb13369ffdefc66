"""Spread of gold scores, temperature of proxies."""

import logging

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit

from overopt.reward_model.temperature import soft_label_temperature
from overopt.theory.score_units import within_prompt_sd


def test_within_prompt_sd_ignores_offsets_and_corrects_for_the_mean() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 100, (4000, 1)) + rng.normal(0, 1.5, (4000, 3))
    assert within_prompt_sd(scores) == pytest.approx(1.5, rel=0.02)  # ddof 0 would give 1.22
    assert within_prompt_sd(np.array([[0.0, 2.0], [5.0, 5.0]])) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="at least 2"):
        within_prompt_sd(np.zeros((3, 1)))


def test_temperature_is_recovered() -> None:
    logits = np.random.default_rng(0).normal(0, 2, 500)
    assert soft_label_temperature(3.7 * logits, expit(logits)) == pytest.approx(3.7, rel=1e-9)


def test_temperature_minimizes_cross_entropy_of_noisy_labels() -> None:
    rng = np.random.default_rng(1)
    differences = rng.normal(0, 2, 300)
    labels = expit(0.4 * differences + rng.normal(0, 1, 300))

    def cross_entropy(log_t: float) -> float:
        logits = differences / np.exp(log_t)
        loss = np.logaddexp(0, -logits) * labels + np.logaddexp(0, logits) * (1 - labels)
        return float(loss.mean())

    best = minimize_scalar(cross_entropy, bounds=(-5, 5), options={"xatol": 1e-10})
    temperature = soft_label_temperature(differences, labels)
    assert temperature == pytest.approx(np.exp(best.x), rel=1e-5)
    assert soft_label_temperature(10 * differences, labels) == pytest.approx(10 * temperature)


def test_proxy_that_contradicts_its_labels_gets_the_bound(caplog: pytest.LogCaptureFixture) -> None:
    logits = np.array([-1.0, 1.0, 2.0])
    with caplog.at_level(logging.WARNING):
        temperature = soft_label_temperature(-logits, expit(logits))
    assert temperature == pytest.approx(1000 * np.sqrt(2))
    assert "at chance" in caplog.text


def test_hard_labels_that_agree_everywhere_get_the_lower_bound() -> None:
    logits = np.array([-1.0, 1.0, 2.0])
    assert soft_label_temperature(logits, (logits > 0) * 1.0) < 0.1


def test_impossible_labels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        soft_label_temperature(np.ones(2), np.array([0.5, 1.5]))
    with pytest.raises(ValueError, match="soft labels"):
        soft_label_temperature(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="tells nothing apart"):
        soft_label_temperature(np.zeros(2), np.ones(2))
