"""Responses by vLLM: what it is asked for, and what is made of its answer.

vLLM itself needs a GPU. A module of its name stands in for it, with the part of its documented
interface that is used, and draws by the project's own sampler.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import torch

from overopt.config.policy import SamplerChoice
from overopt.config.training import TextConfig
from overopt.errors import UserError
from overopt.methods.episodes import Episodes
from overopt.methods.episodes import response_logprobs as trainers_logprobs
from overopt.models import device
from overopt.models.loading import load_policy, save_model
from overopt.policy import samplers, vllm_sampler
from overopt.policy.logprobs import response_logprobs
from overopt.policy.samplers import NativeSampler, load_sampler
from overopt.policy.sampling import sample_responses

EOS = 2
TEXT = TextConfig(max_prompt_tokens=8, max_response_tokens=12)
VLLM = SamplerChoice(name="vllm")


@dataclass
class Output:
    """As vLLM's CompletionOutput: the stopping token is among the ids."""

    token_ids: tuple[int, ...]
    finish_reason: str


@dataclass
class Request:
    outputs: list[Output]


class FakeVLLM(ModuleType):
    """`vllm` with LLM, SamplingParams and TokensPrompt."""

    def __init__(self) -> None:
        super().__init__("vllm")
        fake = self
        self.engine_settings: dict[str, object] = {}
        self.was_deterministic: list[bool] = []
        self.requests: list[dict[str, object]] = []
        self.leaves_out_the_end = False

        class LLM:
            def __init__(self, **settings: object) -> None:
                fake.was_deterministic.append(torch.are_deterministic_algorithms_enabled())
                fake.engine_settings = settings
                self._policy = load_policy(Path(str(settings["model"])))

            def generate(self, prompts, sampling_params, *, use_tqdm):
                fake.was_deterministic.append(torch.are_deterministic_algorithms_enabled())
                assert not use_tqdm
                fake.requests = sampling_params
                pairs = zip(prompts, sampling_params, strict=True)
                return [Request([self._answer(*pair)]) for pair in pairs]

            def _answer(self, prompt, params) -> Output:
                generator = torch.Generator().manual_seed(params["seed"])
                ids = [prompt["prompt_token_ids"]]
                drawn = sample_responses(self._policy, ids, params["max_tokens"], generator)
                tokens = drawn.as_lists()[0]
                if bool(drawn.is_cut[0]):
                    return Output(tuple(tokens), "length")
                assert params["stop_token_ids"] == tokens[-1:]
                return Output(tuple(tokens[:-1] if fake.leaves_out_the_end else tokens), "stop")

        self.LLM = LLM
        self.SamplingParams = dict
        self.TokensPrompt = dict


@pytest.fixture
def vllm(monkeypatch) -> FakeVLLM:
    """The stand-in, on a machine that says it has a GPU."""
    module = FakeVLLM()
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for place in (samplers, vllm_sampler):
        monkeypatch.setattr(place, "device_of_this_job", lambda: torch.device("cpu"))
    for name in vllm_sampler.ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    return module


@pytest.fixture(scope="module")
def folder(build_tiny_policy, tmp_path_factory):
    path = tmp_path_factory.mktemp("policy")
    save_model(build_tiny_policy(3), path)
    return path


def sampled(folder, prompts, seed=0):
    sampler = load_sampler(folder, VLLM, TEXT)
    return sampler, sampler.sample(prompts, 12, torch.Generator().manual_seed(seed))


def test_a_policys_own_distribution_is_asked_for(vllm, folder, ragged_prompts):
    sampled(folder, ragged_prompts)
    assert vllm.engine_settings == {
        "model": str(folder),
        "dtype": "float32",
        "max_model_len": 20,
        "gpu_memory_utilization": 0.5,
        "generation_config": "vllm",
        "trust_remote_code": False,
        "seed": 0,
    }
    assert os.environ["VLLM_NO_USAGE_STATS"] == "1"
    assert os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    for request in vllm.requests:
        assert {name: value for name, value in request.items() if name != "seed"} == {
            "n": 1,
            "temperature": 1.0,
            "top_p": 1.0,
            "top_k": -1,
            "min_p": 0.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "repetition_penalty": 1.0,
            "ignore_eos": True,
            "stop_token_ids": [EOS],
            "min_tokens": 0,
            "max_tokens": 12,
            "detokenize": False,
        }


def test_bf16_is_asked_for_by_its_name(vllm, folder):
    load_sampler(folder, SamplerChoice(name="vllm", precision="bf16"), TEXT)
    assert vllm.engine_settings["dtype"] == "bfloat16"


def test_every_request_has_a_seed_of_its_own(vllm, folder, ragged_prompts):
    _, first = sampled(folder, ragged_prompts * 10)
    seeds = [request["seed"] for request in vllm.requests]
    assert len(set(seeds)) == len(seeds) == 60
    _, again = sampled(folder, ragged_prompts * 10)
    assert torch.equal(first.ids, again.ids)
    _, other = sampled(folder, ragged_prompts * 50, seed=1)
    assert not torch.equal(first.ids, other.ids)
    assert set(seeds).isdisjoint(request["seed"] for request in vllm.requests)
    same = sampled(folder, [[1, 3]] * 60)[1].as_lists()
    assert len(set(map(tuple, same))) > 10


def test_logprobs_are_those_of_the_trainers_forward(vllm, folder, ragged_prompts):
    prompts = ragged_prompts * 20
    sampler, responses = sampled(folder, prompts)
    episodes = Episodes.of(prompts, responses)
    with torch.no_grad():
        expected = trainers_logprobs(sampler.policy, episodes)
    width = expected.shape[1]
    torch.testing.assert_close(responses.logprobs[:, :width], expected, atol=1e-6, rtol=0)
    assert (responses.logprobs[:, width:] == 0).all()
    assert responses.logprobs.dtype == torch.float32


@pytest.mark.parametrize("leaves_out_the_end", [False, True])
def test_ends_are_part_of_the_responses(vllm, folder, ragged_prompts, leaves_out_the_end):
    vllm.leaves_out_the_end = leaves_out_the_end
    _, responses = sampled(folder, ragged_prompts * 20)
    assert responses.ids.shape == (120, 12)
    assert {bool(cut) for cut in responses.is_cut} == {True, False}
    for row, ids in enumerate(responses.as_lists()):
        assert EOS not in ids[:-1]
        assert bool(responses.is_cut[row]) == (ids[-1] != EOS)
        assert not responses.is_cut[row] or len(ids) == 12
        assert (responses.ids[row, len(ids) :] == 0).all()


@pytest.mark.parametrize(
    "output",
    [
        Output((), "length"),
        Output((3, 4), "abort"),
        Output((3, EOS, 4), "length"),
        Output((3, EOS, 4, EOS), "stop"),
    ],
)
def test_an_answer_that_was_not_asked_for_is_no_response(output):
    with pytest.raises(RuntimeError, match="expected one end, last, or the limit"):
        vllm_sampler._response(output, EOS)


def test_the_jobs_deterministic_mode_is_for_its_own_kernels(vllm, folder, ragged_prompts):
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        sampled(folder, ragged_prompts)
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(before)
    assert vllm.was_deterministic == [False, False]


def test_chunks_give_the_logprobs_of_the_whole(build_tiny_policy, ragged_prompts, monkeypatch):
    policy, prompts = build_tiny_policy(1), ragged_prompts * 4
    rows = [[3 + (7 * row + i) % 8 for i in range(1 + row % 9)] for row in range(len(prompts))]
    whole = response_logprobs(policy, prompts, rows, 12)
    monkeypatch.setattr("overopt.policy.logprobs.CHUNK_BYTES", 5 * 9 * 11 * 8)
    torch.testing.assert_close(response_logprobs(policy, prompts, rows, 12), whole)


def test_without_a_gpu_one_sentence_says_so(folder):
    if torch.cuda.is_available():
        pytest.skip("there is one here")
    with pytest.raises(UserError, match="needs a GPU, and this job sees none"):
        load_sampler(folder, VLLM, TEXT)


def test_without_vllm_one_sentence_says_what_to_install(vllm, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UserError, match=r"pip install 'overopt\[vllm\]'"):
        load_sampler(folder, VLLM, TEXT)


def test_the_own_sampler_is_the_default(folder, ragged_prompts):
    sampler = load_sampler(folder, SamplerChoice(), TEXT)
    assert isinstance(sampler, NativeSampler)
    assert sampler.policy.device.type == device.device_of_this_job().type
    drawn = sampler.sample(ragged_prompts, 12, torch.Generator().manual_seed(0))
    expected = sample_responses(
        sampler.policy, ragged_prompts, 12, torch.Generator().manual_seed(0)
    )
    assert torch.equal(drawn.ids, expected.ids)
