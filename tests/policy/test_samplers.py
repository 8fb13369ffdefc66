"""Samplers by name: the own loop is the default, another one is named in a table."""

from pathlib import Path

import pytest
import torch
import yaml

from overopt.config.compute import ComputeConfig
from overopt.config.policy import SAMPLERS
from overopt.config.training import TextConfig
from overopt.errors import UserError
from overopt.models.device import device_of_this_job
from overopt.models.loading import save_model
from overopt.policy.samplers import NativeSampler, load_sampler
from overopt.policy.sampling import Responses, sample_responses
from overopt.study.study import read_study

CONFIG = Path(__file__).resolve().parents[2] / "config" / "test.yaml"
TEXT = TextConfig(max_prompt_tokens=8, max_response_tokens=12)


class FirstWordSampler(NativeSampler):
    """Another sampler: responses of one token."""

    def sample(self, prompts, max_response_tokens, generator) -> Responses:
        return super().sample(prompts, 1, generator)


@pytest.fixture(scope="module")
def folder(build_tiny_policy, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("policy")
    save_model(build_tiny_policy(3), path)
    return path


def test_the_own_sampler_is_the_default(folder, ragged_prompts):
    sampler = load_sampler(folder, ComputeConfig().sampler, TEXT)
    assert isinstance(sampler, NativeSampler)
    assert sampler.policy.device.type == device_of_this_job().type
    drawn = sampler.sample(ragged_prompts, 12, torch.Generator().manual_seed(0))
    expected = sample_responses(
        sampler.policy, ragged_prompts, 12, torch.Generator().manual_seed(0)
    )
    assert torch.equal(drawn.ids, expected.ids)


def test_a_sampler_that_is_added_to_the_table_is_taken(folder, ragged_prompts, monkeypatch):
    monkeypatch.setitem(SAMPLERS, "first_word", f"{__name__}:FirstWordSampler")
    sampler = load_sampler(folder, ComputeConfig(sampler="first_word").sampler, TEXT)
    drawn = sampler.sample(ragged_prompts, 12, torch.Generator().manual_seed(0))
    assert set(map(len, drawn.as_lists())) == {1}


@pytest.mark.parametrize("where", ["for all", "for one policy"])
def test_a_sampler_that_nobody_named_is_a_fault_of_the_config(where):
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    section = config if where == "for all" else config["policies"]["small"]
    section["compute"] = {"sampler": "vllm"}
    with pytest.raises(
        UserError, match=r"compute.sampler: 'vllm' is no sampler; use one of native"
    ):
        read_study(config)
