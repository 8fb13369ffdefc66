"""Curves: one schema for both methods, and the jobs that measure them."""

import json

import numpy as np
import pandas as pd
import pytest

from overopt.config.best_of_n import BestOfNSettings, PoolScoreSettings, PoolSettings
from overopt.config.cells import ProxyRM, Run
from overopt.config.ppo import PPOSettings
from overopt.errors import UserError
from overopt.jobs.job import Job
from overopt.methods.best_of_n.curve import best_of_n_curve
from overopt.methods.best_of_n.gold_scores import score_pool_by_gold
from overopt.methods.best_of_n.pool import sample_pool
from overopt.methods.curves import curve_table, evaluation_prompts
from overopt.methods.method_files import MethodFiles
from overopt.methods.ppo.job import optimize_by_ppo
from overopt.models.loading import load_policy, load_reward_model, num_parameters, save_model
from overopt.models.tokens import copy_tokenizer
from overopt.policy.sampling import sample_responses
from overopt.randomness import torch_generator
from overopt.reward_model.scoring import score_sequences

PROXY_RM = ProxyRM(proxy_size="s1", num_comparisons=1000, num_epochs=2, seed=3)
TEXT = {"max_prompt_tokens": 6, "max_response_tokens": 6}
SCHEMA = {
    "method": "str",
    "policy_size": "str",
    "proxy_size": "str",
    "num_parameters": "int64",
    "labels": "str",
    "num_comparisons": "int64",
    "num_epochs": "int64",
    "variant": "str",
    "kl_coef": "float64",
    "seed": "int64",
    "n": "Int64",
    "step": "Int64",
    "prompt_id": "int64",
    "kl": "float64",
    "kl_k1": "float64",
    "kl_estimate": "float64",
    "proxy_score": "float64",
    "gold_score": "float64",
    "human_score": "float64",
    "response_length": "float64",
    "gold_proxy_covariance": "float64",
    "proxy_variance": "float64",
}


def measurements(*names: str) -> dict[str, np.ndarray]:
    """Two points of three prompts each; the tens are the point, the ones the prompt."""
    values = np.array([[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]])
    return {name: values + 100 * index for index, name in enumerate(names)}


def assert_schema(table: pd.DataFrame) -> None:
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == SCHEMA


def test_a_best_of_n_curve_by_hand(tmp_path):
    run = Run(method="best_of_n", policy_size="small", proxy_rm=PROXY_RM)
    table = curve_table(run, 256, [1, 4], measurements("kl", "proxy_score", "gold_score"))
    table.to_parquet(tmp_path / "curve.parquet", index=False)
    for found in (table, pd.read_parquet(tmp_path / "curve.parquet")):
        assert_schema(found)
        cell = ("best_of_n", "small", "s1", 256, "deterministic", 1000, 2, "plain", 0.0, 3)
        assert set(found.iloc[:, : len(cell)].itertuples(index=False, name=None)) == {cell}
        assert found["n"].tolist() == [1, 1, 1, 4, 4, 4]
        assert found["step"].isna().all()
        assert found["prompt_id"].tolist() == [0, 1, 2, 0, 1, 2]
        assert found["kl"].tolist() == [0, 1, 2, 10, 11, 12]
        assert found["gold_score"].tolist() == [200, 201, 202, 210, 211, 212]
        unmeasured = ["kl_k1", "kl_estimate", "human_score", "response_length"]
        unmeasured += ["gold_proxy_covariance", "proxy_variance"]
        assert found[unmeasured].isna().all(axis=None)


def test_a_ppo_curve_by_hand():
    run = Run(method="ppo", policy_size="large", kl_coef=0.25, proxy_rm=PROXY_RM)
    names = ("kl", "kl_k1", "proxy_score", "gold_score", "human_score", "response_length")
    table = curve_table(run, 256, [0, 3], measurements(*names))
    assert_schema(table)
    assert set(table["method"]) == {"ppo"}
    assert set(table["kl_coef"]) == {0.25}
    assert table["step"].tolist() == [0, 0, 0, 3, 3, 3]
    assert table["n"].isna().all()
    assert table["human_score"].tolist() == [400, 401, 402, 410, 411, 412]
    assert table["response_length"].tolist() == [500, 501, 502, 510, 511, 512]


def test_a_measurement_without_a_column_is_refused():
    run = Run(method="ppo", policy_size="large", kl_coef=0.25, proxy_rm=PROXY_RM)
    with pytest.raises(UserError, match="no column for entropy; expected some of kl, kl_k1"):
        curve_table(run, 256, [0, 3], measurements("kl", "entropy"))


def test_evaluation_prompts_are_the_first_of_their_part(tmp_path):
    path = tmp_path / "prompts.parquet"
    splits = ["sft", "evaluation", "ppo", "evaluation", "evaluation"]
    pd.DataFrame({"prompt": list("abcde"), "split": splits}).to_parquet(path)
    assert evaluation_prompts(path, 2) == ["b", "d"]
    assert evaluation_prompts(path, 3) == ["b", "d", "e"]
    with pytest.raises(UserError, match="4, but the evaluation part has 3 prompts; lower it or"):
        evaluation_prompts(path, 4)


@pytest.fixture
def study(tmp_path, build_tiny_policy, build_tiny_reward_model, tokenizer_dir):
    """Folder with the prompts, a policy and two reward models."""
    save_model(build_tiny_policy(0, 1.0), tmp_path / "policy")
    save_model(build_tiny_reward_model(1, hidden_size=4, num_layers=1), tmp_path / "proxy")
    save_model(build_tiny_reward_model(2), tmp_path / "gold")
    for name in ("policy", "proxy", "gold"):
        copy_tokenizer(tokenizer_dir, tmp_path / name)
    prompts = [("a b", "evaluation"), ("c", "evaluation"), ("d e f", "evaluation"), ("g", "ppo")]
    pd.DataFrame(prompts, columns=["prompt", "split"]).to_parquet(tmp_path / "prompts.parquet")
    return tmp_path


def make_pool(study) -> None:
    settings = {"num_prompts": 3, "num_responses": 40, "text": TEXT, "seed": 0}
    sample_pool(
        Job("x"),
        PoolSettings.model_validate(settings),
        study / "prompts.parquet",
        study / "policy",
        study / "pool.parquet",
    )
    score_pool_by_gold(
        Job("x"),
        PoolScoreSettings(has_hidden_utility=False),
        study / "pool.parquet",
        study / "policy",
        study / "gold",
        study / "scores.parquet",
        study / "scale.json",
    )


def make_best_of_n_curve(study) -> pd.DataFrame:
    make_pool(study)
    run = Run(method="best_of_n", policy_size="small", proxy_rm=PROXY_RM)
    best_of_n_curve(
        Job("x"),
        BestOfNSettings(run=run, max_n=16),
        study / "pool.parquet",
        study / "policy",
        study / "scores.parquet",
        study / "proxy",
        study / "proxy_scores.parquet",
        study / "best_of_n.parquet",
    )
    return pd.read_parquet(study / "best_of_n.parquet")


def make_ppo_curve(study) -> pd.DataFrame:
    settings = {
        "run": {"method": "ppo", "policy_size": "small", "kl_coef": 0.1, "proxy_rm": PROXY_RM},
        "ppo": {
            "num_iterations": 2,
            "batch_size": 8,
            "num_value_warmup_iterations": 0,
            "evaluate_every": 2,
            "num_normalization_responses": 16,
        },
        "learning_rate": 1e-3,
        "num_evaluation_prompts": 3,
        "has_hidden_utility": False,
        "text": TEXT,
        "seed": 5,
    }
    files = MethodFiles(
        prompts=study / "prompts.parquet",
        policy_dir=study / "policy",
        proxy_rm_dir=study / "proxy",
        gold_rm_dir=study / "gold",
        curve=study / "ppo.parquet",
        iterations=study / "iterations.csv",
        model_dir=study / "optimized",
    )
    optimize_by_ppo(Job("x"), PPOSettings.model_validate(settings), files)
    return pd.read_parquet(study / "ppo.parquet")


def test_the_pool_holds_samples_with_their_logprobs_and_gold_scores(study):
    make_pool(study)
    pool = pd.read_parquet(study / "pool.parquet")
    assert pool["prompt_id"].tolist() == [0] * 40 + [1] * 40 + [2] * 40
    prompts = [[*map(int, ids)] for ids in pool["prompt_ids"]]
    assert prompts == [[1, 3, 4]] * 40 + [[1, 5]] * 40 + [[1, 6, 7, 8]] * 40
    responses = sample_responses(
        load_policy(study / "policy"), prompts, 6, torch_generator(0, "responses")
    )
    assert [[*map(int, ids)] for ids in pool["response_ids"]] == responses.as_lists()
    np.testing.assert_allclose(pool["logprob"], responses.logprobs.sum(1))
    gold_scores = pd.read_parquet(study / "scores.parquet")["gold_score"]
    sequences = [[*p, *r] for p, r in zip(prompts, responses.as_lists(), strict=True)]
    expected = score_sequences(load_reward_model(study / "gold"), sequences)
    np.testing.assert_array_equal(gold_scores, expected)
    scale = json.loads((study / "scale.json").read_text())
    by_prompt = gold_scores.to_numpy(float).reshape(3, 40)
    assert scale["gold_sd_total"] == pytest.approx(by_prompt.std())
    assert scale["gold_mean"] == pytest.approx(by_prompt.mean())
    assert 0 < scale["gold_sd_within_prompt"] < scale["gold_sd_total"]
    assert "human_mean" not in scale


def test_best_of_one_is_the_mean_of_the_pool_and_more_is_better(study):
    table = make_best_of_n_curve(study)
    assert_schema(table)
    assert set(table["num_parameters"]) == {num_parameters(load_reward_model(study / "proxy"))}
    assert table["n"].unique().tolist() == [1, 2, 3, 4, 6, 8, 12, 16]
    for name, path in (("gold_score", "scores"), ("proxy_score", "proxy_scores")):
        scores = pd.read_parquet(study / f"{path}.parquet").groupby("prompt_id")[name].mean()
        first = table[table["n"] == 1].set_index("prompt_id")
        np.testing.assert_allclose(first[name], scores, rtol=1e-5)
    assert (table[table["n"] == 1]["kl"] == 0).all()
    assert table[table["n"] == 4]["kl"].to_numpy() == pytest.approx(np.log(4) - 3 / 4)
    assert (table.groupby("prompt_id")["proxy_score"].diff().dropna() > 0).all()


def test_both_methods_share_one_schema_and_the_prompts(study):
    tables = [make_best_of_n_curve(study), make_ppo_curve(study)]
    for table in tables:
        assert_schema(table)
    best_of_n, ppo = tables
    assert set(ppo["prompt_id"]) == set(best_of_n["prompt_id"]) == {0, 1, 2}
    assert ppo["step"].unique().tolist() == [0, 2]
    assert ppo[ppo["step"] == 0]["kl"].abs().max() < 1e-6
    assert ppo[ppo["step"] == 2]["kl"].min() > 1e-6
    assert ppo["kl_k1"].notna().all()
    iterations = pd.read_csv(study / "iterations.csv")
    assert iterations["step"].tolist() == [0, 1]
    assert {"score", "kl_k1", "policy_loss", "value_loss"} < set(iterations.columns)
    # The optimized policy is a checkpoint of its own, and the job's state is gone.
    before, after = (load_policy(study / name) for name in ("policy", "optimized"))
    assert (before.transformer.wte.weight != after.transformer.wte.weight).any()
    files = {path.name for path in (study / "optimized").iterdir()}
    assert "tokenizer.json" in files
    assert not any(name.startswith("training_state") for name in files)
    # The same job again gives the same bytes.
    first = [(study / name).read_bytes() for name in ("ppo.parquet", "iterations.csv")]
    make_ppo_curve(study)
    assert [(study / name).read_bytes() for name in ("ppo.parquet", "iterations.csv")] == first
