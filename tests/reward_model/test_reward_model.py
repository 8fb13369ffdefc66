"""Reward models: scores as transformers computes them, the loss by hand, training on a toy."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from library_twins import twin_of
from overopt.config.reward_model import RewardModelSettings
from overopt.errors import UserError
from overopt.jobs.job import Job
from overopt.models.loading import build_reward_model, load_reward_model, save_model
from overopt.models.tokens import copy_tokenizer, pad_right
from overopt.models.training.state import TrainingState
from overopt.reward_model import training
from overopt.reward_model.gold import train_gold_rm
from overopt.reward_model.proxy import ProxyFiles, train_proxy_rm
from overopt.reward_model.scoring import score_batch, score_sequences
from overopt.reward_model.training import (
    TokenizedComparisons,
    pairwise_loss,
    score_differences,
    train_on_comparisons,
)
from overopt.reward_model.validation import accuracy, validation_metrics

EOS = 2


def settings(**changes: object) -> RewardModelSettings:
    number = changes.get("num_comparisons", 64)
    defaults = {
        "proxy_rm": {"proxy_size": "s1", "num_comparisons": number, "num_epochs": 1, "seed": 0},
        "num_comparisons": number,
        "num_validation": 16,
        "optimization": {"learning_rate": 1e-2, "batch_size": 8},
        "text": {"max_prompt_tokens": 8, "max_response_tokens": 8},
        "seed": 0,
        "subset_seed": 0,
    }
    return RewardModelSettings.model_validate(defaults | changes)


def random_sequences(rng: np.random.Generator, number: int) -> list[list[int]]:
    """Sequences of 2 to 20 tokens in which every id occurs anywhere, the last place too."""
    return [[1, *rng.integers(0, 11, rng.integers(1, 20)).tolist()] for _ in range(number)]


def toy_comparisons(number: int, seed: int = 0) -> TokenizedComparisons:
    """Responses of 2 to 7 letters; more of letter 5 is better."""
    rng = np.random.default_rng(seed)
    chosen, rejected = [], []
    while len(chosen) < number:
        pair = [[1, 3, *rng.integers(3, 7, rng.integers(2, 8)).tolist(), EOS] for _ in range(2)]
        pair.sort(key=lambda sequence: sequence.count(5))
        if pair[0].count(5) < pair[1].count(5):
            rejected.append(pair[0])
            chosen.append(pair[1])
    return TokenizedComparisons(chosen, rejected)


@torch.no_grad()
def score_by_transformers(reward_model, sequence: list[int]) -> float:
    """One unpadded forward pass. From embeddings the library reads the last position, whatever
    its id; from ids it would search the last one that is not padding.
    """
    twin = twin_of(reward_model)
    embeddings = twin.transformer.wte(torch.tensor([sequence]))
    return twin(inputs_embeds=embeddings).logits.item()


def test_scores_equal_those_of_transformers(build_tiny_reward_model):
    reward_model = build_tiny_reward_model()
    sequences = random_sequences(np.random.default_rng(0), 60)
    assert {0, 1, 2} < {sequence[-1] for sequence in sequences}
    expected = [score_by_transformers(reward_model, sequence) for sequence in sequences]
    assert np.std(expected) > 0.1
    for batch_size in (1, 7, 1024):
        scores = score_sequences(reward_model, sequences, batch_size)
        assert scores.dtype == np.float32
        assert scores.shape == (60,)
        np.testing.assert_allclose(scores, expected, atol=1e-5)


@torch.no_grad()
def test_scores_equal_those_of_transformers_on_padded_batches(build_tiny_reward_model):
    reward_model = build_tiny_reward_model()
    rng = np.random.default_rng(1)
    sequences = [[*row, EOS] for row in random_sequences(rng, 30)]
    ids = torch.as_tensor(pad_right(sequences, 0))
    lengths = torch.tensor([len(row) for row in sequences])
    is_token = torch.arange(ids.shape[1]) < lengths[:, None]
    expected = twin_of(reward_model)(ids, attention_mask=is_token.long()).logits.squeeze(1)
    scores = score_batch(reward_model, ids, lengths)
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=0)
    garbage = torch.where(is_token, ids, torch.as_tensor(rng.integers(0, 11, ids.shape)))
    assert torch.equal(score_batch(reward_model, garbage, lengths), scores)


def test_the_order_of_sequences_is_kept(build_tiny_reward_model):
    reward_model = build_tiny_reward_model()
    sequences = random_sequences(np.random.default_rng(2), 50)
    scores = score_sequences(reward_model, sequences, batch_size=8)
    order = np.random.default_rng(3).permutation(50)
    shuffled = score_sequences(reward_model, [sequences[i] for i in order], batch_size=8)
    np.testing.assert_allclose(shuffled, scores[order], atol=1e-6)


def test_equal_sequences_get_equal_scores(build_tiny_reward_model):
    """Bit for bit, though sums are rounded differently in batches of different shape."""
    rng = np.random.default_rng(4)
    sequences = random_sequences(rng, 300)
    rows = rng.integers(0, 300, 1000)
    reward_model = build_tiny_reward_model(hidden_size=48)
    scores = score_sequences(reward_model, [sequences[row] for row in rows], batch_size=64)
    for row in range(300):
        assert len(set(scores[rows == row].tolist())) <= 1
    comparisons = TokenizedComparisons(sequences, [list(sequence) for sequence in sequences])
    assert accuracy(score_differences(reward_model, comparisons)) == 0.5


def test_the_score_depends_on_the_prompt(build_tiny_reward_model):
    response = [5, 6, 7, EOS]
    prompts = [[1, 3, 4], [1, 4, 3], [1, 3, 3]]
    scores = score_sequences(build_tiny_reward_model(), [[*p, *response] for p in prompts])
    assert len(set(scores.tolist())) == 3


def test_the_score_head_computes_in_full_precision(build_tiny_reward_model):
    reward_model = build_tiny_reward_model().to(torch.bfloat16)
    scores = torch.as_tensor(
        score_sequences(reward_model, random_sequences(np.random.default_rng(0), 100))
    )
    assert scores.dtype == torch.float32
    assert (scores != scores.bfloat16().float()).float().mean() > 0.9


def test_pairwise_loss_by_hand():
    chosen, rejected = torch.tensor([1.0, 0.0, -2.0]), torch.tensor([0.0, 0.0, 1.0])
    by_hand = (np.log(1 + np.exp(-1)) + np.log(2) + np.log(1 + np.exp(3))) / 3
    assert pairwise_loss(chosen, rejected).item() == pytest.approx(by_hand, rel=1e-6)
    # Offsets cancel, and far apart scores do not overflow.
    assert pairwise_loss(chosen + 5, rejected + 5).item() == pytest.approx(by_hand, rel=1e-6)
    assert pairwise_loss(torch.tensor([-500.0]), torch.tensor([500.0])).item() == 1000


def test_a_tie_is_half_right():
    assert accuracy(np.array([1.0, 0.0, -1.0, 1e-8])) == 2.5 / 4
    assert accuracy(np.zeros(3)) == 0.5
    metrics = validation_metrics(np.array([1.0, -3.0], dtype=np.float32))
    by_hand = (np.log(1 + np.exp(-1)) + np.log(1 + np.exp(3))) / 2
    assert metrics["validation_loss"] == pytest.approx(by_hand)
    assert metrics["validation_accuracy"] == 0.5


def test_training_learns_a_toy_preference(build_tiny_policy):
    reward_model = build_reward_model(build_tiny_policy(1, 1.0))
    held_out = toy_comparisons(200, seed=1)
    assert accuracy(score_differences(reward_model, held_out)) == 0.5
    losses = train_on_comparisons(
        reward_model, toy_comparisons(800), settings(), TrainingState(None)
    )
    assert losses[0] == pytest.approx(np.log(2))  # the head starts at zero
    assert len(losses) == 100
    assert losses[-20:].mean() < 0.35
    assert accuracy(score_differences(reward_model, held_out)) > 0.85


def test_small_data_takes_smaller_batches(build_tiny_policy):
    def num_steps(number: int, batch_size: int) -> int:
        optimization = {"learning_rate": 1e-3, "batch_size": batch_size, "num_epochs": 2}
        reward_model = build_reward_model(build_tiny_policy())
        comparisons = toy_comparisons(number)
        state = TrainingState(None)
        chosen = settings(optimization=optimization)
        return len(train_on_comparisons(reward_model, comparisons, chosen, state))

    assert num_steps(64, 32) == 2 * 64 // 8
    assert num_steps(256, 32) == 2 * 256 // 16
    assert num_steps(64, 4) == 2 * 64 // 4
    with pytest.raises(UserError, match="7 comparisons do not fill one batch of 8"):
        num_steps(7, 32)


def test_the_losses_are_those_of_the_reference(build_tiny_policy, compare_reference):
    reward_model = build_reward_model(build_tiny_policy(1, 1.0))
    losses = train_on_comparisons(
        reward_model, toy_comparisons(80), settings(), TrainingState(None)
    )
    compare_reference("reward_model", {"losses": losses.tolist()})
    assert len(losses) == 10


@pytest.fixture
def backbone(tmp_path, build_tiny_policy, tokenizer_dir):
    folder = tmp_path / "backbone"
    save_model(build_tiny_policy(1, 1.0), folder)
    copy_tokenizer(tokenizer_dir, folder)
    return folder


@pytest.fixture
def synthetic_comparisons(tmp_path):
    """File of 100 training and 20 validation comparisons of token ids, with gold scores."""
    comparisons = toy_comparisons(120)
    table = pd.DataFrame(
        {
            "split": ["train"] * 100 + ["validation"] * 20,
            "prompt_ids": [row[:2] for row in comparisons.chosen],
            "chosen_ids": [row[2:] for row in comparisons.chosen],
            "rejected_ids": [row[2:] for row in comparisons.rejected],
            "chosen_gold_score": [float(row.count(5)) for row in comparisons.chosen],
            "rejected_gold_score": [float(row.count(5)) for row in comparisons.rejected],
        }
    ).sample(frac=1, random_state=0)
    table.to_parquet(tmp_path / "comparisons.parquet")
    return tmp_path / "comparisons.parquet"


def test_a_proxy_rm_is_written_with_its_metrics(tmp_path, backbone, synthetic_comparisons):
    folder = tmp_path / "proxy"
    chosen = settings(num_comparisons=96)
    files = ProxyFiles(synthetic_comparisons, backbone, backbone, folder)
    train_proxy_rm(Job("x"), chosen, files)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["num_comparisons"], metrics["num_validation"]) == (96, 16)
    assert (metrics["proxy_size"], metrics["num_epochs"], metrics["seed"]) == ("s1", 1, 0)
    assert not list(folder.glob("training_state*"))
    table = pd.read_parquet(synthetic_comparisons)
    held_out = table[table["split"] == "validation"].iloc[:16]
    scores = [
        score_sequences(
            load_reward_model(folder),
            [[*p, *r] for p, r in zip(held_out["prompt_ids"], held_out[column], strict=True)],
        )
        for column in ("chosen_ids", "rejected_ids")
    ]
    differences = np.float64(scores[0]) - scores[1]
    assert metrics["validation_accuracy"] == pytest.approx(accuracy(differences))
    assert metrics["validation_loss"] == pytest.approx(np.log1p(np.exp(-differences)).mean())
    gold = held_out["chosen_gold_score"] - held_out["rejected_gold_score"]
    soft = 1 / (1 + np.exp(-gold.to_numpy()))
    likelihoods = 1 / (1 + np.exp(-differences))
    by_hand = -(soft * np.log(likelihoods) + (1 - soft) * np.log(1 - likelihoods)).mean()
    assert metrics["soft_label_loss"] == pytest.approx(by_hand, rel=1e-5)
    assert metrics["recalibrated_soft_label_loss"] <= metrics["soft_label_loss"] + 1e-9
    assert metrics["temperature"] > 0


def test_subsets_are_nested_and_shared_by_the_sizes(
    tmp_path, backbone, synthetic_comparisons, monkeypatch
):
    subsets = []

    def record(reward_model, comparisons, settings, state):
        subsets.append(list(map(tuple, comparisons.chosen)))
        torch.nn.init.ones_(reward_model.score.weight)
        return np.zeros(1)

    monkeypatch.setattr(training, "train_on_comparisons", record)
    for number, seed, subset_seed in ((80, 0, 5), (40, 1, 5), (40, 1, 6)):
        chosen = settings(num_comparisons=number, seed=seed, subset_seed=subset_seed)
        files = ProxyFiles(synthetic_comparisons, backbone, backbone, tmp_path / "proxy")
        train_proxy_rm(Job("x"), chosen, files)
    many, few, others = subsets
    assert (len(many), len(few)) == (80, 40)
    assert few == many[:40]
    assert others != few
    table = pd.read_parquet(synthetic_comparisons).query("split == 'train'")
    known = {(*p, *c) for p, c in zip(table["prompt_ids"], table["chosen_ids"], strict=True)}
    assert set(many) <= known


def test_a_gold_rm_reads_texts_with_their_prompt(tmp_path, backbone, monkeypatch):
    """The human table is encoded as the policies encode it: `<bos>` prompt, response `<eos>`."""
    seen = {}

    def record(reward_model, comparisons, settings, state):
        seen.update(chosen=comparisons.chosen, rejected=comparisons.rejected)
        torch.nn.init.ones_(reward_model.score.weight)
        return np.zeros(1)

    monkeypatch.setattr(training, "train_on_comparisons", record)
    rows = {"prompt": ["a b", "b"], "chosen": ["c", "d e"], "rejected": ["c " * 8, "h"]}
    table = pd.DataFrame({**rows, "split": ["train", "validation"]})
    table.to_parquet(tmp_path / "human.parquet")
    chosen = settings(proxy_rm=None, num_comparisons=1, num_validation=1)
    train_gold_rm(Job("x"), chosen, tmp_path / "human.parquet", backbone, tmp_path / "gold")
    assert seen == {"chosen": [[1, 3, 4, 5, 2]], "rejected": [[1, 3, 4, *[5] * 8]]}
    assert json.loads((tmp_path / "gold" / "metrics.json").read_text())["num_validation"] == 1
    with pytest.raises(UserError, match="gold RM: num_comparisons is 64, but there are 1"):
        train_gold_rm(
            Job("x"),
            settings(proxy_rm=None),
            tmp_path / "human.parquet",
            backbone,
            tmp_path / "gold",
        )
