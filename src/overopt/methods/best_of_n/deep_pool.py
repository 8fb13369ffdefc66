"""The pool of large-n best-of-n: tens of thousands of responses a prompt, as small integers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from overopt.config.deep_best_of_n import DeepPoolSettings
from overopt.jobs.job import Job
from overopt.methods.curves import evaluation_prompts
from overopt.models.architecture import vocabulary_size
from overopt.models.tokens import encode_prompts, load_tokenizer
from overopt.policy.samplers import load_sampler
from overopt.randomness import torch_generator

LARGEST_SHORT_ID = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class DeepPrompt:
    """One prompt of such a pool: its token ids, N responses and their log-probabilities (nats)."""

    prompt_ids: list[int]
    response_ids: list[list[int]]
    logprobs: np.ndarray

    @property
    def repeated_prompt_ids(self) -> list[list[int]]:
        """The prompt, once for each response."""
        return [self.prompt_ids] * len(self.response_ids)


def sample_deep_pool(
    job: Job, settings: DeepPoolSettings, prompts: Path, policy_dir: Path, pool: Path
) -> None:
    """Write the pool prompt by prompt: memory holds token ids of two or four bytes, never text."""
    tokenizer = load_tokenizer(policy_dir)
    sampler = load_sampler(policy_dir, settings.sampler, settings.text)
    id_type = np.uint16 if vocabulary_size(sampler.policy) <= LARGEST_SHORT_ID else np.uint32
    texts = evaluation_prompts(prompts, settings.num_prompts)
    prompt_ids = encode_prompts(tokenizer, texts, settings.text.max_prompt_tokens)
    shape = (len(prompt_ids), settings.num_responses)
    ids = np.zeros((*shape, settings.text.max_response_tokens), id_type)
    lengths, logprobs = np.zeros(shape, np.uint16), np.zeros(shape, np.float32)
    for row, prompt in enumerate(prompt_ids):
        responses = sampler.sample(
            [prompt] * settings.num_responses,
            settings.text.max_response_tokens,
            torch_generator(settings.seed, f"prompt {row}"),
        )
        ids[row] = responses.ids.cpu().numpy()
        lengths[row] = responses.lengths.cpu().numpy()
        logprobs[row] = responses.logprobs.sum(1).cpu().numpy()
        print(f"prompt {row + 1} of {len(prompt_ids)}", flush=True)
    width = max(map(len, prompt_ids))
    padded = np.zeros((len(prompt_ids), width), id_type)
    for row, prompt in enumerate(prompt_ids):
        padded[row, : len(prompt)] = prompt
    prompt_lengths = np.array([len(prompt) for prompt in prompt_ids], np.uint16)
    arrays = {"ids": ids, "lengths": lengths, "logprobs": logprobs, "prompt_ids": padded}
    save_file({**arrays, "prompt_lengths": prompt_lengths}, pool)


def read_deep_pool(pool: Path) -> Iterator[DeepPrompt]:
    """Prompts of a pool, one after the other."""
    arrays = load_file(pool)
    for row, length in enumerate(arrays["prompt_lengths"]):
        ids, lengths = arrays["ids"][row].tolist(), arrays["lengths"][row].tolist()
        yield DeepPrompt(
            arrays["prompt_ids"][row, :length].tolist(),
            [response[:n] for response, n in zip(ids, lengths, strict=True)],
            arrays["logprobs"][row].astype(np.float64),
        )
