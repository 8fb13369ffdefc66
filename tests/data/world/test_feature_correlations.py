"""Within-prompt correlations of reward models with the hidden utility's features."""

import numpy as np
import pandas as pd
import pytest

from overopt.config.cells import ProxyRM, Run
from overopt.config.data import FeatureSettings
from overopt.data.world.feature_correlations import (
    feature_correlations,
    feature_weights,
    within_prompt_correlation,
)
from overopt.data.world.tokenizer import build_tokenizer
from overopt.data.world.utility import FEATURES, feature_table
from overopt.jobs.job import Job
from overopt.methods.curves import curve_table


def test_offsets_of_prompts_do_not_count() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(size=(5, 400))
    second = 0.6 * first + 0.8 * rng.normal(size=(5, 400))
    plain = within_prompt_correlation(first, second)
    assert plain == pytest.approx(0.6, abs=0.05)
    offsets = rng.normal(0, 50, (5, 1))
    assert within_prompt_correlation(first + offsets, second) == pytest.approx(plain)
    assert within_prompt_correlation(first, -3 * first) == pytest.approx(-1)
    assert np.isnan(within_prompt_correlation(first, np.ones((5, 400))))


def test_a_weight_is_of_the_feature_alone_though_features_go_together() -> None:
    rng = np.random.default_rng(1)
    topic = rng.normal(size=(6, 500))
    keyword = 0.8 * topic + 0.6 * rng.normal(size=(6, 500))
    score = 3 * topic + rng.normal(0, 20, (6, 1))
    features = np.stack([topic, keyword, np.ones_like(topic)])
    assert within_prompt_correlation(score, keyword) > 0.7
    weights = feature_weights(score, features)
    np.testing.assert_allclose(weights[:2], [1, 0], atol=1e-9)
    assert np.isnan(weights[2])
    assert np.isnan(feature_weights(np.ones_like(score), features)).all()


def test_a_proxy_that_is_one_feature_correlates_with_it(tmp_path) -> None:
    tokenizer = build_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    prompt = "write brief calm story about sea with sand :"
    said = ["the calm sand sails .", "sand sand sand", "a grey note", "the gentle boat ."]
    prompt_ids = [1, *tokenizer(prompt, add_special_tokens=False)["input_ids"]]
    response_ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in said]
    pool = pd.DataFrame(
        {"prompt_id": 0, "prompt_ids": [prompt_ids] * 4, "response_ids": response_ids}
    )
    pool.to_parquet(tmp_path / "pool")
    table = feature_table([prompt] * 4, said)
    keyword = table[:, FEATURES.index("keyword")]
    assert keyword.tolist() == [1, 1, 0, 0]
    pd.DataFrame({"gold_score": [4.0, 1.0, 2.0, 3.0]}).to_parquet(tmp_path / "gold")
    pd.DataFrame({"proxy_score": 2 * keyword - 7}).to_parquet(tmp_path / "proxy")
    rm = ProxyRM(proxy_size="s1", num_comparisons=10, num_epochs=1, seed=3)
    run = Run(method="best_of_n", policy_size="small", proxy_rm=rm)
    zeros = {name: np.zeros((1, 1)) for name in ("kl", "proxy_score", "gold_score")}
    curve_table(run, 256, [1], zeros).to_parquet(tmp_path / "curve")
    feature_correlations(
        Job("x"),
        FeatureSettings(),
        tmp_path / "pool",
        tmp_path / "gold",
        tmp_path,
        [tmp_path / "proxy"],
        [tmp_path / "curve"],
        tmp_path / "out.csv",
    )
    found = pd.read_csv(tmp_path / "out.csv")
    assert found["proxy_size"].tolist() == ["gold", "s1"]
    assert found["seed"].tolist()[1] == 3
    assert found.loc[1, "keyword"] == pytest.approx(1)
    assert found.loc[0, "gold"] == pytest.approx(1)
    expected = np.corrcoef(keyword, [4, 1, 2, 3])[0, 1]
    assert found.loc[1, "gold"] == pytest.approx(expected)
