"""
The sampler against `generate` of transformers and its continuous batching.

All three draw from the same policy for the same prompts, at temperature 1, without truncation of
the distribution, up to the same number of tokens. A token counts up to the end of its response.
"""

from typing import Any

import torch
from benchmarks.materials import Materials, Setup
from benchmarks.timing import Work, cpu_seconds, rates, ratio, spread
from transformers import PreTrainedModel

from overopt.methods.episodes import Episodes, response_logprobs
from overopt.models.architecture import Policy, eos_id
from overopt.models.transformers_models import as_transformers_model
from overopt.policy.sampling import Responses, sample_responses

BATCH_SIZES = (64, 256, 1024, 4096)
TARGETS = {"small": 2.0, "large": 1.3}
RESPONSES_A_ROUND = 1024
LARGEST_CONTINUOUS_BATCH = 256
"""Beyond, its scheduling takes 10 seconds and more a call."""


def measure(setup: Setup, materials: Materials) -> dict[str, Any]:
    """Tokens per CPU second, by policy and batch size."""
    batches = (16,) if setup.is_quick else BATCH_SIZES
    rows = [
        _row(setup, materials, size, batch)
        for size in materials.study.policies
        for batch in batches
    ]
    return {"rows": rows}


def _row(setup: Setup, materials: Materials, size: str, batch: int) -> dict[str, Any]:
    policy = materials.policy(size)
    twin = as_transformers_model(policy)
    calls = 1 if setup.is_quick else max(1, RESPONSES_A_ROUND // batch)
    prompts = materials.repeated_prompts(batch)
    generator = torch.Generator().manual_seed(0)
    contenders: dict[str, Work] = {
        "ours": lambda: sum(
            ours(policy, prompts, materials.max_tokens, generator) for _ in range(calls)
        ),
        "generate": lambda: sum(
            generate(twin, prompts, materials.max_tokens) for _ in range(calls)
        ),
    }
    torch.manual_seed(0)
    measured = rates(contenders, setup.repeats)
    row = {
        "policy": size,
        "batch": batch,
        "ours": spread(measured["ours"]),
        "generate": spread(measured["generate"]),
        "ratio": ratio(measured["ours"], measured["generate"]),
        "target": TARGETS.get(size),
        "logprob_error": logprob_error(policy, prompts, materials.max_tokens),
        "response_length": float(
            sample_responses(policy, prompts, materials.max_tokens, generator)
            .lengths.float()
            .mean()
        ),
    }
    if batch <= LARGEST_CONTINUOUS_BATCH:
        tokens = 0

        def continuous() -> None:
            nonlocal tokens
            tokens = continuous_batching(twin, prompts, materials.max_tokens)

        seconds = cpu_seconds(continuous)
        row["continuous"] = tokens / seconds
    return row


def ours(
    policy: Policy, prompts: list[list[int]], max_tokens: int, generator: torch.Generator
) -> int:
    """Tokens of one batch of the project's sampler."""
    drawn = sample_responses(policy, prompts, max_tokens, generator, batch_size=len(prompts))
    return int(drawn.lengths.sum())


def generate(policy: PreTrainedModel, prompts: list[list[int]], max_tokens: int) -> int:
    """Tokens of one batch of `generate`, with its key-value cache."""
    ids = generated_ids(policy, prompts, max_tokens)
    return int(lengths_of(ids, eos_id(policy)).sum())


def generated_ids(
    policy: PreTrainedModel, prompts: list[list[int]], max_tokens: int
) -> torch.Tensor:
    """Responses of `generate` (B, T), padded beyond the end; prompts are of one length."""
    input_ids = torch.tensor(prompts)
    written = policy.generate(  # type: ignore[operator]
        input_ids,
        attention_mask=torch.ones_like(input_ids),
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=max_tokens,
        use_cache=True,
        eos_token_id=eos_id(policy),
        pad_token_id=0,
    )
    return written[:, input_ids.shape[1] :]


def lengths_of(ids: torch.Tensor, eos: int) -> torch.Tensor:
    """Tokens of each response up to its first `<eos>`, with it."""
    has_ended = (ids == eos).cumsum(1)
    return ((has_ended == 0) | ((has_ended == 1) & (ids == eos))).sum(1)


def continuous_batching(policy: PreTrainedModel, prompts: list[list[int]], max_tokens: int) -> int:
    """Tokens of one batch of `generate_batch`.

    Its defaults reserve most of the machine's memory for the cache and take a minute; here the
    cache has room for this batch and no more, and warm-up runs are off.
    """
    from transformers import ContinuousBatchingConfig, GenerationConfig

    page = max(map(len, prompts)) + max_tokens
    written = policy.generate_batch(  # type: ignore[operator]
        prompts,
        generation_config=GenerationConfig(
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_new_tokens=max_tokens,
            eos_token_id=eos_id(policy),
            pad_token_id=0,
        ),
        continuous_batching_config=ContinuousBatchingConfig(
            page_size=page,
            num_blocks=len(prompts) + 8,
            max_batch_tokens=max(256, sum(map(len, prompts))),
            max_requests_per_batch=len(prompts),
            use_cuda_graph=False,
            allow_block_sharing=False,
            seed=0,
        ),
        progress_bar=False,
        warmup=False,
    )
    return sum(len(request.generated_tokens) for request in written.values())


@torch.no_grad()
def logprob_error(policy: Policy, prompts: list[list[int]], max_tokens: int) -> float:
    """Largest difference of the sampler's log-probabilities from those of a full forward pass."""
    drawn: Responses = sample_responses(
        policy, prompts, max_tokens, torch.Generator().manual_seed(1), batch_size=len(prompts)
    )
    episodes = Episodes.of(prompts, drawn)
    full = response_logprobs(policy, episodes)
    differences = drawn.logprobs[:, : full.shape[1]] - full
    return float(torch.where(episodes.mask, differences, 0.0).abs().max())
