"""Pairs of responses of the initial policy to prompts of the reward-modelling part."""

from pathlib import Path

import numpy as np
import pandas as pd

from overopt.config.policy import SamplingSettings
from overopt.jobs.job import Job
from overopt.models.tokens import encode_prompts, load_tokenizer
from overopt.policy.samplers import load_sampler
from overopt.randomness import numpy_generator, torch_generator


def sample_pairs(
    job: Job, settings: SamplingSettings, prompts: Path, policy_dir: Path, pairs: Path
) -> None:
    """Write rows (split, prompt_ids, first_ids, second_ids) of token ids.

    Prompts are drawn with replacement from each part; the two responses are independent samples.
    """
    table = pd.read_parquet(prompts)
    rng = numpy_generator(settings.seed, "prompts")
    drawn = [
        # Objects: as text of numpy every prompt would take the room of the longest.
        rng.choice(table.loc[table["split"] == part, "prompt"].to_numpy(object), number)
        for part, number in settings.num_responses.items()
    ]
    tokenizer = load_tokenizer(policy_dir)
    prompt_ids = encode_prompts(
        tokenizer, np.concatenate(drawn).tolist(), settings.text.max_prompt_tokens
    )
    sampler = load_sampler(policy_dir, settings.sampler, settings.text)
    responses = {
        name: sampler.sample(
            prompt_ids,
            settings.text.max_response_tokens,
            torch_generator(settings.seed, name),
        ).as_lists()
        for name in ("first_ids", "second_ids")
    }
    split = np.repeat(list(settings.num_responses), list(settings.num_responses.values()))
    pd.DataFrame({"split": split, "prompt_ids": prompt_ids, **responses}).to_parquet(
        pairs, index=False
    )
    print(f"{len(split)} pairs of responses")
