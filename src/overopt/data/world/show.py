"""A world shown to a person: what people like there, texts, judgements, and how utility spreads."""

import textwrap

import numpy as np

from overopt.config.data import AnnotatorConfig, EmbeddedDataConfig
from overopt.config.world import WorldConfig
from overopt.data.world.annotators import annotator_weights, judge, preference_probabilities
from overopt.data.world.candidates import write_candidates
from overopt.data.world.prompts import all_prompts
from overopt.data.world.utility import feature_names, feature_table, mean_weights, utilities
from overopt.data.world.writers import Writer, degenerate, write

CARELESS_SPREAD = 3.0
NUM_PAIRS = 2000
NUM_RESPONSES = 64
"""Responses of demonstrators to one prompt, of which the spread of the utility is measured."""
NUM_SPREAD_PROMPTS = 32


def show_world(data: EmbeddedDataConfig, num_prompts: int, seed: int) -> None:
    """Print the terms of a world's utility, example texts with judgements, and three measures.

    A demonstrator stands in for the policy.
    """
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3)]
    prompts = [prompt.text for prompt in all_prompts()]
    print(f"Embedded world: {num_prompts} of {len(prompts):,} prompts, seed {seed}")
    print(describe_terms(data))
    _show_prompts(data, [prompts[i] for i in _drawn(prompts, num_prompts, streams[0])], streams[0])
    agreement = measure_agreement(data, NUM_PAIRS, streams[1])
    sd, skewness = measure_spread(data.world, streams[2])
    print(f"\nAnnotators agree with the mean utility on {agreement:.1%} of {NUM_PAIRS:,} pairs:")
    print(f"{1 - agreement:.1%} of the labels are noisy, {_noted_wrongly(data.annotators)}.")
    print(
        f"Utility of demonstrators' responses to one prompt: sd {sd:.2f}, skewness {skewness:+.2f}"
        " (normal: 0)."
    )


def describe_terms(data: EmbeddedDataConfig) -> str:
    """Format the mean weight of every feature, and who wrote what annotators compare."""
    names, weights = feature_names(data.world), mean_weights(data.world)
    terms = ", ".join(f"{name}~{weight:+.3g}" for name, weight in zip(names, weights, strict=True))
    shares = data.candidates
    parts = {
        "policy": shares.policy_share,
        "writers": shares.writer_share,
        "exuberant writers": shares.exuberant_share,
    }
    parts["degenerate"] = 1 - sum(parts.values())
    mixture = ", ".join(f"{name}~{share:.1%}" for name, share in parts.items() if share > 1e-9)
    return "\n".join(_labelled(*row) for row in (("likes", terms), ("compared", mixture)))


def describe_response(author: str, prompt: str, response: str, world: WorldConfig) -> str:
    """Format a response, its utility and what each feature that is not zero adds to it."""
    contributions = feature_table([prompt], [response], world)[0] * mean_weights(world)
    parts = [
        f"{name}~{value:+.1f}"
        for name, value in zip(feature_names(world), contributions, strict=True)
        if abs(value) >= 0.05
    ]
    reasons = f"utility {contributions.sum():+.1f} = {', '.join(parts)}"
    return f"  {author:<17}{response}\n{_indented(reasons)}"


def describe_judgements(
    names: tuple[str, str],
    prompt: str,
    responses: tuple[str, str],
    data: EmbeddedDataConfig,
    rng: np.random.Generator,
) -> str:
    """Have every annotator of a group compare two responses; format what they choose."""
    group = _group(data, rng)
    first, second = feature_table([prompt] * 2, responses, data.world)
    difference = first - second
    temperature = data.annotators.inverse_temperature
    probabilities = preference_probabilities(difference, group, temperature)
    is_first_chosen = rng.random(len(group)) < probabilities
    is_first_better = difference @ mean_weights(data.world) > 0
    num_first = int(is_first_chosen.sum())
    agreement = np.mean(is_first_chosen == is_first_better)
    return (
        f"  {'annotators':<17}{num_first} of {len(group)} choose the {names[0]},"
        f" {len(group) - num_first} the {names[1]}: {agreement:.0%} agree with the mean utility"
    )


def measure_agreement(data: EmbeddedDataConfig, num_pairs: int, rng: np.random.Generator) -> float:
    """Share of comparisons whose label prefers the response of higher mean utility."""
    texts = [prompt.text for prompt in all_prompts()]
    prompts = [texts[i] for i in rng.integers(0, len(texts), num_pairs)]
    annotators = data.annotators
    pairs = judge(
        prompts,
        _candidates(data, prompts, rng),
        _candidates(data, prompts, rng),
        num_annotators=annotators.num_annotators,
        weight_spread=annotators.weight_spread,
        inverse_temperature=annotators.inverse_temperature,
        rng=rng,
        label_noise=annotators.label_noise,
        world=data.world,
    )
    chosen = utilities(prompts, list(pairs["chosen"]), data.world)
    rejected = utilities(prompts, list(pairs["rejected"]), data.world)
    return float(np.mean((chosen > rejected) + 0.5 * (chosen == rejected)))


def measure_spread(world: WorldConfig, rng: np.random.Generator) -> tuple[float, float]:
    """Sd and skewness, within prompts, of the utility of demonstrators' responses."""
    texts = [prompt.text for prompt in all_prompts()]
    asked = np.repeat([texts[i] for i in _drawn(texts, NUM_SPREAD_PROMPTS, rng)], NUM_RESPONSES)
    prompts = asked.tolist()
    responses = [write(Writer.sample(rng, 1.0), prompt, rng) for prompt in prompts]
    values = utilities(prompts, responses, world).reshape(-1, NUM_RESPONSES)
    centred = values - values.mean(axis=1, keepdims=True)
    sd = float(np.sqrt((centred**2).mean()))
    return sd, float((centred**3).mean() / sd**3)


def _show_prompts(data: EmbeddedDataConfig, prompts: list[str], rng: np.random.Generator) -> None:
    for prompt in prompts:
        writers = {
            "demonstrator": Writer.sample(rng, 1.0),
            "careless writer": Writer.sample(rng, CARELESS_SPREAD),
        }
        if data.candidates.exuberant_share:
            writers["exuberant writer"] = Writer.exuberant(rng)
        responses = {author: write(writer, prompt, rng) for author, writer in writers.items()}
        responses["degenerate"] = degenerate(prompt, rng)
        print(f"\n{prompt}")
        for author, response in responses.items():
            print(describe_response(author, prompt, response, data.world))
        names = ("demonstrator", "careless writer")
        pair = (responses[names[0]], responses[names[1]])
        print(describe_judgements(names, prompt, pair, data, rng))


def _noted_wrongly(annotators: AnnotatorConfig) -> str:
    noise = annotators.label_noise
    return f"{noise:.1%} noted the wrong way round" if noise else "by the annotators' own doubts"


def _group(data: EmbeddedDataConfig, rng: np.random.Generator) -> np.ndarray:
    annotators = data.annotators
    spread = annotators.weight_spread
    return annotator_weights(annotators.num_annotators, spread, rng, data.world)


def _drawn(texts: list[str], number: int, rng: np.random.Generator) -> list[int]:
    return rng.choice(len(texts), number, replace=False).tolist()


def _candidates(
    data: EmbeddedDataConfig, prompts: list[str], rng: np.random.Generator
) -> list[str]:
    stand_ins = [write(Writer.sample(rng, 1.0), prompt, rng) for prompt in prompts]
    return write_candidates(
        prompts, lambda rows: [stand_ins[row] for row in rows], data.candidates, rng
    )


def _labelled(label: str, text: str) -> str:
    return f"  {label:<17}{_indented(text).strip()}"


def _indented(text: str) -> str:
    """Wrap a text behind a margin; a tilde is a space at which no line breaks."""
    margin = " " * 19
    return textwrap.fill(
        text, width=98, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
    ).replace("~", " ")
