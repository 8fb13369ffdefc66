"""
Responses by vLLM, an inference engine for large models: the optional extra `overopt[vllm]`.

vLLM draws the tokens, and nothing else of it is used: log-probabilities are those of the project's
own forward pass, as training sees the policy. Settings follow vLLM's documented interface: LLM,
SamplingParams, TokensPrompt. Not run against vLLM itself here: the tests use a stand-in with that
interface (docs/gpu.md).
"""

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from overopt.config.training import Precision, TextConfig
from overopt.errors import UserError
from overopt.models.architecture import FILLER_ID, eos_id, require_room
from overopt.models.device import device_of_this_job
from overopt.models.loading import load_policy, on_device
from overopt.models.tokens import pad_right
from overopt.policy.logprobs import response_logprobs
from overopt.policy.sampling import Responses

DTYPES: dict[Precision, str] = {"fp32": "float32", "bf16": "bfloat16"}
GPU_SHARE = 0.5
"""Of the GPU's memory, for vLLM's weights and cache; the rest is for our own forward pass."""
LARGEST_SEED = 2**48

# Nothing is sent anywhere; requests are scheduled in one order, so that a run can be repeated.
ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}


class VLLMSampler:
    """A policy's folder, sampled from by vLLM.

    `policy` is the same policy as our own module, in fp32.
    """

    def __init__(self, folder: Path, precision: Precision, text: TextConfig) -> None:
        """Start the engine.

        Raises
        ------
        UserError
            There is no GPU, or no vLLM; or the policy cannot read texts that long.
        """
        self._vllm = _import_vllm()
        policy = load_policy(folder)
        require_room(policy, text)
        # The engine first: it takes its share of a GPU that has to be free until then.
        with _any_algorithm():
            self._engine = self._vllm.LLM(
                model=str(folder),
                dtype=DTYPES[precision],
                max_model_len=text.context_length,
                gpu_memory_utilization=GPU_SHARE,
                generation_config="vllm",  # not the folder's, which may say top_k or temperature
                trust_remote_code=False,
                seed=0,  # of the engine; every request has its own
            )
        self.policy = on_device(policy, device_of_this_job())

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        max_response_tokens: int,
        generator: torch.Generator,
    ) -> Responses:
        """One response to each prompt, each with its own seed, drawn from `generator`."""
        seeds = torch.randint(LARGEST_SEED, (len(prompts),), generator=generator).tolist()
        with _any_algorithm():
            requests = self._engine.generate(
                [self._vllm.TokensPrompt(prompt_token_ids=list(prompt)) for prompt in prompts],
                [self._request(seed, max_response_tokens) for seed in seeds],
                use_tqdm=False,
            )
        eos = eos_id(self.policy)
        rows = [_response(request.outputs[0], eos) for request in requests]
        device = self.policy.device
        ids = torch.as_tensor(pad_right(rows, FILLER_ID, max_response_tokens), device=device)
        return Responses(
            ids=ids,
            lengths=torch.as_tensor([len(row) for row in rows], device=device),
            logprobs=response_logprobs(self.policy, prompts, rows, max_response_tokens),
            is_cut=torch.as_tensor([row[-1] != eos for row in rows], device=device),
        )

    def _request(self, seed: int, max_response_tokens: int) -> Any:
        """Settings of one request: the policy's own distribution, to its `<eos>` or the limit.

        All are said although most are vLLM's defaults: a default may change.
        """
        return self._vllm.SamplingParams(
            n=1,
            temperature=1.0,
            top_p=1.0,
            top_k=-1,  # all; newer versions take 0 as well
            min_p=0.0,
            presence_penalty=0.0,
            frequency_penalty=0.0,
            repetition_penalty=1.0,
            seed=seed,
            # The tokenizer and generation_config.json may name other ends than the policy has.
            ignore_eos=True,
            stop_token_ids=[eos_id(self.policy)],
            min_tokens=0,
            max_tokens=max_response_tokens,
            detokenize=False,
        )


def _response(output: Any, eos: int) -> list[int]:
    """Token ids of a response, with its `<eos>` where it ended by itself.

    vLLM leaves the token that stopped a response among its ids, and out of the text alone; asked
    for here all the same, since versions have differed.
    """
    ids = list(output.token_ids)
    if output.finish_reason == "stop" and (not ids or ids[-1] != eos):
        ids.append(eos)
    if not ids or eos in ids[:-1] or output.finish_reason not in ("stop", "length"):
        raise RuntimeError(
            f"vLLM returned {len(ids)} tokens with finish_reason {output.finish_reason!r}, "
            f"{ids.count(eos)} of them the policy's end: expected one end, last, or the limit"
        )
    return ids


def _import_vllm() -> Any:
    if not torch.cuda.is_available():
        raise UserError(
            "compute.sampler is vllm, which needs a GPU, and this job sees none: run it where "
            "there is one, or set compute.sampler to native"
        )
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import vllm  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(
            "compute.sampler is vllm, but vLLM cannot be imported "
            f"({error}): install it with pip install 'overopt[vllm]', or set compute.sampler to "
            "native"
        ) from error
    return vllm


@contextmanager
def _any_algorithm() -> Generator[None]:
    """Let torch use any algorithm: those of vLLM would be refused where a job asks for
    deterministic ones only.
    """
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
