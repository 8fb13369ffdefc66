"""Synthetic comparisons: two samples of the initial policy, the higher gold score is chosen."""

import numpy as np
import pandas as pd
import pytest
import torch

from library_twins import twin_of
from overopt.config.policy import SamplingSettings
from overopt.config.reward_model import LabelSettings
from overopt.jobs.job import Job
from overopt.models.loading import load_policy, load_reward_model, save_model
from overopt.models.tokens import copy_tokenizer
from overopt.policy.comparison_pairs import sample_pairs
from overopt.reward_model.proxy import with_sampled_labels
from overopt.reward_model.scoring import score_sequences
from overopt.reward_model.synthetic_labels import first_is_chosen, label_pairs, sampled_is_flipped
from overopt.reward_model.training import TokenizedComparisons

EOS = 2
SETTINGS = SamplingSettings.model_validate(
    {
        "num_responses": {"rm": 1500, "rm_validation": 100},
        "text": {"max_prompt_tokens": 6, "max_response_tokens": 6},
        "seed": 0,
    }
)
PROMPTS = {"rm": ["a", "a b", "c d e"], "rm_validation": ["f g", "h"], "sft": ["b b b"]}
IDS = {"a": [1, 3], "a b": [1, 3, 4], "c d e": [1, 5, 6, 7], "f g": [1, 8, 9], "h": [1, 10]}


def labels_of(first, second, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return first_is_chosen(np.array(first), np.array(second), np.random.default_rng(seed))


def test_the_higher_score_is_always_chosen():
    first, second = np.random.default_rng(0).normal(size=(2, 5000)).astype(np.float32)
    is_first, is_tie = labels_of(first, second)
    assert (is_first == (first > second)).all()
    assert not is_tie.any()
    # However small the difference.
    is_first, is_tie = labels_of([1.0, 1.0], [np.nextafter(1, 2), np.nextafter(1, 0)])
    assert is_first.tolist() == [False, True]
    assert not is_tie.any()


def test_a_coin_decides_exact_ties():
    is_first, is_tie = labels_of(np.ones(4000), np.ones(4000))
    assert is_tie.all()
    assert 0.46 < is_first.mean() < 0.54
    assert (labels_of(np.ones(4000), np.ones(4000))[0] == is_first).all()
    assert (labels_of(np.ones(4000), np.ones(4000), seed=1)[0] != is_first).any()


def test_one_tie_more_changes_no_other_label():
    first = np.random.default_rng(0).integers(0, 3, 1000).astype(float)
    second = np.random.default_rng(1).integers(0, 3, 1000).astype(float)
    before, ties = labels_of(first, second)
    index = int(np.flatnonzero(~ties)[0])
    first[index] = second[index]
    after, more_ties = labels_of(first, second)
    others = np.arange(1000) != index
    assert more_ties.sum() == ties.sum() + 1
    assert (before[others] == after[others]).all()


def test_sampled_labels_follow_the_probability_of_the_gold_rm():
    gaps = np.repeat([0.0, 1.0, 3.0], 20_000)
    is_flipped = sampled_is_flipped(gaps, np.random.default_rng(0)).reshape(3, -1)
    expected = 1 / (1 + np.exp([0.0, 1.0, 3.0]))
    np.testing.assert_allclose(is_flipped.mean(1), expected, atol=0.012)


def test_sampled_labels_change_training_comparisons_only():
    table = pd.DataFrame(
        {
            "split": ["train", "train", "validation", "validation"],
            "sampled_is_flipped": [True, False, True, False],
        }
    )
    comparisons = TokenizedComparisons([[1], [2], [3], [4]], [[5], [6], [7], [8]])
    sampled = with_sampled_labels(comparisons, table)
    assert sampled.chosen == [[5], [2], [3], [4]]
    assert sampled.rejected == [[1], [6], [7], [8]]
    assert comparisons.chosen == [[1], [2], [3], [4]]


@pytest.fixture
def policy_dir(tmp_path, build_tiny_policy, tokenizer_dir):
    save_model(build_tiny_policy(), tmp_path / "policy")
    copy_tokenizer(tokenizer_dir, tmp_path / "policy")
    return tmp_path / "policy"


@pytest.fixture
def pairs(tmp_path, policy_dir):
    rows = [(prompt, part) for part, prompts in PROMPTS.items() for prompt in prompts]
    pd.DataFrame(rows, columns=["prompt", "split"]).to_parquet(tmp_path / "prompts.parquet")
    sample_pairs(Job("x"), SETTINGS, tmp_path / "prompts.parquet", policy_dir, tmp_path / "pairs")
    return tmp_path / "pairs"


def test_pairs_are_independent_responses_to_prompts_of_their_part(pairs, policy_dir):
    table = pd.read_parquet(pairs)
    assert table["split"].value_counts().to_dict() == {"rm": 1500, "rm_validation": 100}
    for part in ("rm", "rm_validation"):
        asked = {tuple(ids) for ids in table.loc[table["split"] == part, "prompt_ids"]}
        assert asked == {tuple(IDS[prompt]) for prompt in PROMPTS[part]}
    responses = {name: [*map(tuple, table[name])] for name in ("first_ids", "second_ids")}
    for rows in responses.values():
        assert all(1 <= len(row) <= 6 and EOS not in row[:-1] for row in rows)
    first_tokens = [np.array([row[0] for row in rows]) for rows in responses.values()]
    assert 0.02 < (first_tokens[0] == first_tokens[1]).mean() < 0.6
    # The two samples come from one distribution.
    policy, prompt = load_policy(policy_dir), tuple(IDS["a"])
    with torch.no_grad():
        expected = twin_of(policy)(torch.tensor([prompt])).logits[0, -1].softmax(-1).numpy()
    of_prompt = np.array([tuple(ids) == prompt for ids in table["prompt_ids"]])
    for tokens in first_tokens:
        observed = np.bincount(tokens[of_prompt], minlength=11) / of_prompt.sum()
        assert np.abs(observed - expected).max() < 4 * np.sqrt(0.25 / of_prompt.sum())


def test_labels_are_those_of_the_gold_rm(tmp_path, pairs, build_tiny_reward_model, tokenizer_dir):
    save_model(build_tiny_reward_model(hidden_size=48), tmp_path / "gold")
    copy_tokenizer(tokenizer_dir, tmp_path / "gold")
    table = pd.read_parquet(pairs)
    # Some exact ties: the same response twice. Rounding must not decide them.
    repeated = table.index % 10 == 0
    table.loc[repeated, "second_ids"] = table.loc[repeated, "first_ids"]
    table.to_parquet(pairs)
    paths = (pairs, tokenizer_dir, tmp_path / "gold", tmp_path / "labelled")
    label_pairs(Job("x"), LabelSettings(seed=0), *paths)
    labelled = pd.read_parquet(tmp_path / "labelled")
    assert len(labelled) == len(table)
    assert labelled["split"].value_counts().to_dict() == {"train": 1500, "validation": 100}
    assert (labelled["chosen_gold_score"] >= labelled["rejected_gold_score"]).all()
    gold_rm = load_reward_model(tmp_path / "gold")
    for role in ("chosen", "rejected"):
        joined = zip(labelled["prompt_ids"], labelled[f"{role}_ids"], strict=True)
        scores = score_sequences(gold_rm, [[*prompt, *response] for prompt, response in joined])
        np.testing.assert_allclose(labelled[f"{role}_gold_score"], scores, atol=1e-5)
    same = (table["first_ids"].map(tuple) == table["second_ids"].map(tuple)).to_numpy()
    assert 160 <= same.sum() < 800
    assert (labelled["is_tie"] == same).all()
    for before, after in zip(table.itertuples(), labelled.itertuples(), strict=True):
        assert tuple(before.prompt_ids) == tuple(after.prompt_ids)
        found = sorted([tuple(after.chosen_ids), tuple(after.rejected_ids)])
        assert found == sorted([tuple(before.first_ids), tuple(before.second_ids)])
