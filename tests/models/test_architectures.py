"""Policies and reward models of any architecture: read, sampled and scored as transformers does."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, CLIPTextConfig, CLIPTextModel

from architectures import SETTINGS, random_model
from overopt.errors import UserError
from overopt.models import transformers_models
from overopt.models.architecture import backbone_of, vocabulary_logits
from overopt.models.loading import (
    build_reward_model,
    load_policy,
    load_reward_model,
    num_parameters,
    save_model,
)
from overopt.policy.sampling import sample_responses
from overopt.reward_model.scoring import score_sequences

NAMES = list(SETTINGS)
EOS = 2


@pytest.fixture(scope="module", params=NAMES)
def saved(request, tmp_path_factory):
    """A policy of each architecture, saved, and read again by the project."""
    folder = tmp_path_factory.mktemp("policy")
    save_model(random_model(request.param), folder)
    return load_policy(folder)


def test_states_and_output_layer_give_the_logits(saved):
    ids = torch.randint(11, (3, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        states = backbone_of(saved)(input_ids=ids, use_cache=False).last_hidden_state
        torch.testing.assert_close(vocabulary_logits(saved, states), saved(input_ids=ids).logits)


def test_logprobs_of_samples_equal_an_unpadded_forward_pass(saved, ragged_prompts):
    prompts = ragged_prompts * 4
    responses = sample_responses(saved, prompts, 12, torch.Generator().manual_seed(0))
    lengths = set(responses.lengths.tolist())
    assert len(lengths) > 2  # rows ended at different times, and left the cache
    for row, (prompt, response) in enumerate(zip(prompts, responses.as_lists(), strict=True)):
        with torch.no_grad():
            logprobs = saved(torch.tensor([[*prompt, *response]])).logits[0].log_softmax(-1)
        steps = torch.arange(len(response)) + len(prompt) - 1
        expected = logprobs[steps, torch.tensor(response)]
        sampled = responses.logprobs[row, : len(response)]
        torch.testing.assert_close(sampled, expected, atol=1e-5, rtol=1e-5)
        assert bool(responses.is_cut[row]) == (response[-1] != EOS)


def test_nothing_is_dropped_in_training_mode(saved):
    ids = torch.randint(11, (3, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        evaluated, trained = saved.eval()(ids).logits, saved.train()(ids).logits
    saved.eval()
    assert torch.equal(evaluated, trained)


def test_padding_on_the_right_changes_no_state_before_it(saved):
    ids = torch.randint(11, (1, 9), generator=torch.Generator().manual_seed(0))
    padded = torch.cat([ids, ids.new_zeros(1, 5)], dim=1)
    with torch.no_grad():
        plain, longer = (
            backbone_of(saved)(input_ids=x, use_cache=False).last_hidden_state
            for x in (ids, padded)
        )
    torch.testing.assert_close(longer[:, :9], plain, atol=1e-5, rtol=0)


WITHOUT_CLASSIFIER = ("Cohere, scaled logits", "Granite, divided logits")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITHOUT_CLASSIFIER])
def test_scores_equal_those_of_transformers(name, tmp_path):
    policy = random_model(name)
    reward_model = build_reward_model(policy)
    head = reward_model.score.weight
    assert num_parameters(reward_model) == num_parameters(policy) + head.numel()
    with torch.no_grad():
        head.normal_(generator=torch.Generator().manual_seed(1))
    save_model(reward_model, tmp_path)
    rng = np.random.default_rng(0)
    sequences = [[1, *rng.integers(3, 11, rng.integers(1, 20)).tolist(), 2] for _ in range(20)]
    scores = score_sequences(load_reward_model(tmp_path), sequences, batch_size=7)
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    for sequence, score in zip(sequences, scores, strict=True):
        with torch.no_grad():
            expected = theirs(torch.tensor([sequence])).logits.item()
        assert score == pytest.approx(expected, abs=1e-5)
    assert np.std(scores) > 0.1


@pytest.mark.parametrize("name", WITHOUT_CLASSIFIER)
def test_an_architecture_without_a_classifier_is_refused_as_reward_model(name):
    with pytest.raises(UserError, match="no sequence classifier for a"):
        build_reward_model(random_model(name))


def test_an_architecture_that_is_no_language_model_is_refused(tmp_path):
    CLIPTextModel(
        CLIPTextConfig(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            vocab_size=11,
        )
    ).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"give no model|cannot be read"):
        load_policy(tmp_path)


def test_an_unknown_change_of_the_logits_is_refused(tmp_path, monkeypatch):
    save_model(random_model("Granite, divided logits"), tmp_path)
    load_policy(tmp_path)
    monkeypatch.setattr(transformers_models, "vocabulary_logits", lambda p, s: p.lm_head(s))
    with pytest.raises(UserError, match="changes its logits after the output layer"):
        load_policy(tmp_path)
