"""Large-n best-of-n: the plain estimator, with gold scored only where it is read."""

import numpy as np
import pandas as pd
import pytest
import torch

from library_twins import twin_of
from overopt.config.cells import ProxyRM, Run
from overopt.config.deep_best_of_n import DeepBestOfNSettings, DeepPoolSettings
from overopt.jobs.job import Job
from overopt.methods.best_of_n.deep_curve import (
    NEGLIGIBLE,
    deep_best_of_n_curve,
    deep_scores,
    num_read,
)
from overopt.methods.best_of_n.deep_pool import read_deep_pool, sample_deep_pool
from overopt.methods.curves import evaluation_prompts
from overopt.models.loading import load_policy, load_reward_model, save_model
from overopt.models.tokens import copy_tokenizer, join
from overopt.reward_model.scoring import score_sequences
from overopt.theory.best_of_n import best_of_n_scores, best_of_n_weights
from overopt.theory.kl import best_of_n_kl, default_ns

TEXT = {"max_prompt_tokens": 6, "max_response_tokens": 6}


def test_what_is_not_read_has_a_negligible_weight() -> None:
    for n in (4, 60, 900):
        weights = best_of_n_weights(1000, [n])[:, 0]
        count = num_read(1000, n)
        assert weights[: 1000 - count].sum() <= NEGLIGIBLE
        if count > 1:
            assert weights[: 1000 - count + 1].sum() > NEGLIGIBLE * 0.5
    assert num_read(65_536, 768) < 3000


def test_equals_the_plain_estimator_on_what_each_part_uses() -> None:
    rng = np.random.default_rng(0)
    proxy = np.round(rng.normal(size=4000), 2).astype(np.float32)  # with ties
    gold = proxy + rng.normal(size=4000)
    asked: list[np.ndarray] = []

    def score(positions: np.ndarray) -> dict[str, np.ndarray]:
        asked.append(positions)
        return {"gold_score": gold[positions]}

    ns = default_ns(3000)
    found = deep_scores(proxy, score, ns, 400)
    low = [n for n in ns if n <= 100]
    head = best_of_n_scores(proxy[None, :400], {"gold": gold[None, :400]}, low)["gold"][0]
    whole = best_of_n_scores(proxy[None], {"gold": gold[None]}, ns)["gold"][0]
    np.testing.assert_allclose(found["gold_score"][: len(low)], head)
    np.testing.assert_allclose(found["gold_score"][len(low) :], whole[len(low) :], atol=1e-6)
    assert len(asked) == 2 and len(asked[1]) < 1000
    assert (np.diff(found["proxy_score"][len(low) :]) > 0).all()


def test_a_pool_that_is_scored_whole_needs_no_second_part() -> None:
    proxy = np.random.default_rng(0).normal(size=64)
    found = deep_scores(proxy, lambda rows: {"gold_score": proxy[rows]}, [1, 2, 16], 64)
    np.testing.assert_allclose(found["gold_score"], found["proxy_score"])


@pytest.fixture
def study(tmp_path, build_tiny_policy, build_tiny_reward_model, tokenizer_dir):
    """Folder with prompts, a policy, two reward models and a large pool."""
    save_model(build_tiny_policy(0, 1.0), tmp_path / "policy")
    save_model(build_tiny_reward_model(1, hidden_size=4, num_layers=1), tmp_path / "proxy")
    save_model(build_tiny_reward_model(2), tmp_path / "gold")
    for name in ("policy", "proxy", "gold"):
        copy_tokenizer(tokenizer_dir, tmp_path / name)
    prompts = [("a b", "evaluation"), ("c", "evaluation"), ("d e f", "evaluation")]
    pd.DataFrame(prompts, columns=["prompt", "split"]).to_parquet(tmp_path / "prompts.parquet")
    settings = {"num_prompts": 2, "num_responses": 300, "text": TEXT, "seed": 0}
    sample_deep_pool(
        Job("x"),
        DeepPoolSettings.model_validate(settings),
        tmp_path / "prompts.parquet",
        tmp_path / "policy",
        tmp_path / "pool.safetensors",
    )
    return tmp_path


def test_the_pool_holds_what_the_policy_said(study) -> None:
    pool = list(read_deep_pool(study / "pool.safetensors"))
    assert [len(prompt.prompt_ids) for prompt in pool] == [3, 2]
    assert len(evaluation_prompts(study / "prompts.parquet", 2)) == len(pool)
    policy = twin_of(load_policy(study / "policy"))
    for prompt in pool:
        assert len(prompt.response_ids) == 300
        for response, logprob in zip(prompt.response_ids[:5], prompt.logprobs, strict=False):
            ids = torch.tensor([prompt.prompt_ids + response])
            with torch.no_grad():
                logits = policy(ids).logits[0, len(prompt.prompt_ids) - 1 : -1].log_softmax(-1)
            expected = logits[range(len(response)), response].sum().item()
            assert logprob == pytest.approx(expected, abs=1e-4)


def test_the_curve_is_the_estimate_over_the_pool(study) -> None:
    rm = ProxyRM(proxy_size="s1", num_comparisons=10, num_epochs=1, seed=0)
    settings = DeepBestOfNSettings(
        run=Run(method="best_of_n", policy_size="small", proxy_rm=rm),
        max_n=250,
        num_scored_responses=80,
        has_hidden_utility=False,
    )
    paths = [
        study / name for name in ("pool.safetensors", "policy", "gold", "proxy", "curve.parquet")
    ]
    deep_best_of_n_curve(Job("x"), settings, *paths)
    table = pd.read_parquet(paths[-1])
    ns = default_ns(250)
    assert table["n"].tolist() == np.repeat(ns, 2).tolist()
    np.testing.assert_allclose(table["kl"], np.repeat(best_of_n_kl(ns), 2))
    assert (table["kl_estimate"] <= table["kl"] + 1e-9).all()
    gold_rm, proxy_rm = (load_reward_model(study / name) for name in ("gold", "proxy"))
    for prompt_id, prompt in enumerate(read_deep_pool(paths[0])):
        rows = table[table["prompt_id"] == prompt_id]
        sequences = join(prompt.repeated_prompt_ids, prompt.response_ids)
        proxy, gold = (score_sequences(rm, sequences)[None] for rm in (proxy_rm, gold_rm))
        expected = best_of_n_scores(proxy, {"gold": gold, "proxy": proxy}, ns)
        deep = rows["n"].to_numpy() > 20
        np.testing.assert_allclose(rows["gold_score"][deep], expected["gold"][0][deep], atol=1e-5)
        assert rows["gold_score"].iloc[0] == pytest.approx(gold[0, :80].mean(), abs=1e-5)
