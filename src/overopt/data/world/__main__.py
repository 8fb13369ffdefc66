"""Show the embedded world to a person: `python -m overopt.data.world --num-prompts 3`."""

import textwrap
from typing import Annotated

import numpy as np
import typer

from overopt.data.world.annotators import annotator_weights, judge, preference_probabilities
from overopt.data.world.candidates import write_candidates
from overopt.data.world.prompts import all_prompts
from overopt.data.world.utility import FEATURES, WEIGHTS, features, utilities
from overopt.data.world.writers import Writer, degenerate, write

# Annotators and mixture as in the default study; here a demonstrator stands in for the policy.
NUM_ANNOTATORS = 8
WEIGHT_SPREAD = 0.35
INVERSE_TEMPERATURE = 3.0
POLICY_SHARE = 0.60
WRITER_SHARE = 0.25
CARELESS_SPREAD = 3.0
NUM_PAIRS = 2000


def describe_response(author: str, prompt: str, response: str) -> str:
    """Format a response, its utility and what each feature that is not zero adds to it."""
    contributions = features(prompt, response) * WEIGHTS
    parts = [
        f"{name}~{value:+.1f}"
        for name, value in zip(FEATURES, contributions, strict=True)
        if abs(value) >= 0.05
    ]
    reasons = f"utility {contributions.sum():+.1f} = {', '.join(parts)}"
    return f"  {author:<17}{response}\n{_indented(reasons).replace('~', ' ')}"


def describe_judgements(
    names: tuple[str, str],
    prompt: str,
    responses: tuple[str, str],
    group: np.ndarray,
    rng: np.random.Generator,
) -> str:
    """Have every annotator of the group compare two responses; format what they choose."""
    difference = features(prompt, responses[0]) - features(prompt, responses[1])
    probabilities = preference_probabilities(difference, group, INVERSE_TEMPERATURE)
    is_first_chosen = rng.random(len(group)) < probabilities
    is_first_better = difference @ WEIGHTS > 0
    num_first = int(is_first_chosen.sum())
    agreement = np.mean(is_first_chosen == is_first_better)
    return (
        f"  {'annotators':<17}{num_first} of {len(group)} choose the {names[0]},"
        f" {len(group) - num_first} the {names[1]}: {agreement:.0%} agree with the mean utility"
    )


def measure_agreement(num_pairs: int, rng: np.random.Generator) -> float:
    """Share of comparisons in which the annotator chose the response of higher mean utility."""
    texts = [prompt.text for prompt in all_prompts()]
    prompts = [texts[int(i)] for i in rng.integers(0, len(texts), num_pairs)]
    pairs = judge(
        prompts,
        _candidates(prompts, rng),
        _candidates(prompts, rng),
        num_annotators=NUM_ANNOTATORS,
        weight_spread=WEIGHT_SPREAD,
        inverse_temperature=INVERSE_TEMPERATURE,
        rng=rng,
    )
    chosen = utilities(prompts, list(pairs["chosen"]))
    rejected = utilities(prompts, list(pairs["rejected"]))
    return float(np.mean((chosen > rejected) + 0.5 * (chosen == rejected)))


def _candidates(prompts: list[str], rng: np.random.Generator) -> list[str]:
    stand_ins = [write(Writer.sample(rng, 1.0), prompt, rng) for prompt in prompts]
    return write_candidates(
        prompts, lambda rows: [stand_ins[row] for row in rows], POLICY_SHARE, WRITER_SHARE, rng
    )


def show(
    num_prompts: Annotated[int, typer.Option(min=0, max=2304, help="Prompts to show.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other texts.")] = 0,
) -> None:
    """Print prompts of the embedded world, responses, their hidden utility and judgements."""
    streams = np.random.SeedSequence(seed).spawn(2)
    rng = np.random.default_rng(streams[0])
    prompts = all_prompts()
    group = annotator_weights(NUM_ANNOTATORS, WEIGHT_SPREAD, rng)
    print(f"Embedded world: {num_prompts} of {len(prompts):,} prompts, seed {seed}")
    for i in rng.choice(len(prompts), num_prompts, replace=False):
        prompt = prompts[int(i)].text
        responses = {
            "demonstrator": write(Writer.sample(rng, 1.0), prompt, rng),
            "careless writer": write(Writer.sample(rng, CARELESS_SPREAD), prompt, rng),
            "degenerate": degenerate(prompt, rng),
        }
        print(f"\n{prompt}")
        for author, response in responses.items():
            print(describe_response(author, prompt, response))
        names = ("demonstrator", "careless writer")
        pair = (responses[names[0]], responses[names[1]])
        print(describe_judgements(names, prompt, pair, group, rng))
    agreement = measure_agreement(NUM_PAIRS, np.random.default_rng(streams[1]))
    print(f"\nAnnotators agree with the mean utility on {agreement:.1%} of {NUM_PAIRS:,} pairs.")


def _indented(text: str) -> str:
    margin = " " * 19
    return textwrap.fill(
        text, width=98, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
    )


if __name__ == "__main__":
    typer.run(show)
