"""Human comparisons of the embedded world: annotators judge pairs of candidate responses."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from overopt.config.data import EmbeddedComparisonSettings
from overopt.data.world.annotators import judge
from overopt.data.world.candidates import write_candidates
from overopt.jobs.job import Job
from overopt.models.device import device_of_this_job
from overopt.models.loading import load_policy, on_device
from overopt.models.tokens import decode_responses, encode_prompts, load_tokenizer
from overopt.policy.sampling import responses_at
from overopt.randomness import numpy_generator, torch_generator


def make_human_comparisons(
    job: Job,
    settings: EmbeddedComparisonSettings,
    prompts: Path,
    policy_dir: Path,
    comparisons: Path,
) -> None:
    """Write comparisons (prompt, chosen, rejected, split) of candidates of mixed origin.

    Both candidates of a pair are drawn independently: samples of the policy, writers of all
    degrees of care, degenerate texts. Training and validation pairs have disjoint prompts.
    """
    table = pd.read_parquet(prompts)
    rng = numpy_generator(settings.seed, "prompts")
    sizes = {"rm": settings.num_comparisons, "rm_validation": settings.num_validation}
    drawn = np.concatenate(
        [
            rng.choice(table.loc[table["split"] == part, "prompt"].to_numpy(str), size)
            for part, size in sizes.items()
        ]
    ).tolist()
    first, second = (
        _candidates(drawn, policy_dir, settings, stream) for stream in ("first", "second")
    )
    annotators = settings.annotators
    judged = judge(
        drawn,
        first,
        second,
        num_annotators=annotators.num_annotators,
        weight_spread=annotators.weight_spread,
        inverse_temperature=annotators.inverse_temperature,
        rng=numpy_generator(settings.seed, "annotators"),
        label_noise=annotators.label_noise,
        world=settings.world,
    )
    judged["split"] = np.repeat(["train", "validation"], list(sizes.values()))
    judged.to_parquet(comparisons, index=False)
    print(f"{len(judged)} comparisons on {len(set(drawn))} prompts")


def _candidates(
    prompts: list[str], policy_dir: Path, settings: EmbeddedComparisonSettings, stream: str
) -> list[str]:
    """One candidate per prompt. Every prompt has its random numbers, whoever answers it."""
    tokenizer = load_tokenizer(policy_dir)
    policy = on_device(load_policy(policy_dir), device_of_this_job())
    encoded = encode_prompts(tokenizer, prompts, settings.text.max_prompt_tokens)
    shape = (len(prompts), settings.text.max_response_tokens)
    uniforms = torch.rand(shape, generator=torch_generator(settings.seed, f"{stream} samples"))

    def policy_answers(rows: npt.NDArray[np.intp]) -> list[str]:
        if not len(rows):
            return []
        asked = [encoded[row] for row in rows]
        return decode_responses(tokenizer, responses_at(policy, asked, uniforms[rows]).as_lists())

    return write_candidates(
        prompts,
        policy_answers,
        settings.candidates,
        numpy_generator(settings.seed, f"{stream} candidates"),
    )
