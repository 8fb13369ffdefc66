"""The pool: many responses of one policy to each evaluation prompt, drawn once."""

from pathlib import Path

import numpy as np
import pandas as pd

from overopt.config.best_of_n import PoolSettings
from overopt.jobs.job import Job
from overopt.methods.curves import evaluation_prompts
from overopt.models.tokens import encode_prompts, load_tokenizer
from overopt.policy.samplers import load_sampler
from overopt.randomness import torch_generator


def sample_pool(
    job: Job, settings: PoolSettings, prompts: Path, policy_dir: Path, pool: Path
) -> None:
    """Write rows (prompt_id, prompt_ids, response_ids, logprob), one per response.

    `logprob` (nats per sequence) is that of the response under the policy that drew it.
    """
    tokenizer = load_tokenizer(policy_dir)
    prompt_ids = encode_prompts(
        tokenizer,
        evaluation_prompts(prompts, settings.num_prompts),
        settings.text.max_prompt_tokens,
    )
    repeated = [ids for ids in prompt_ids for _ in range(settings.num_responses)]
    responses = load_sampler(policy_dir, settings.sampler, settings.text).sample(
        repeated,
        settings.text.max_response_tokens,
        torch_generator(settings.seed, "responses"),
    )
    lists = responses.as_lists()
    pd.DataFrame(
        {
            "prompt_id": np.repeat(np.arange(len(prompt_ids)), settings.num_responses),
            "prompt_ids": repeated,
            "response_ids": lists,
            "logprob": responses.logprobs.sum(1).cpu().numpy(),
        }
    ).to_parquet(pool, index=False)
    num_distinct = len(set(zip(map(tuple, repeated), map(tuple, lists), strict=True)))
    print(f"{len(lists)} responses, {num_distinct / len(lists):.1%} of them distinct")
