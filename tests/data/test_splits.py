"""Splits of the prompts: disjoint, stable, independent of the order of the input."""

import hashlib

import pytest

from overopt.data import splits
from overopt.data.splits import PARTS, assign_split, require_every_part, split_prompts
from overopt.errors import UserError

FRACTIONS = {"sft": 0.40, "rm": 0.27, "rm_validation": 0.08, "ppo": 0.10, "evaluation": 0.15}
PROMPTS = [f"Who wrote book number {i}?" for i in range(2_000)]


def parts_of(prompts: list[str], fractions: dict[str, float] = FRACTIONS) -> dict[str, str]:
    frame = split_prompts(prompts, fractions)
    return dict(zip(frame["prompt"], frame["split"], strict=True))


def test_parts_are_disjoint_and_cover_the_distinct_prompts():
    frame = split_prompts(PROMPTS + PROMPTS[:500], FRACTIONS)
    assert sorted(frame["prompt"]) == sorted(PROMPTS)
    assert set(frame["split"]) == set(PARTS)
    assert list(frame.columns) == ["prompt", "split"]


def test_shares_are_near_the_fractions():
    shares = split_prompts(PROMPTS, FRACTIONS)["split"].value_counts(normalize=True)
    for part, fraction in FRACTIONS.items():
        # Four standard deviations of a binomial share.
        assert abs(shares[part] - fraction) < 4 * (fraction * (1 - fraction) / 2_000) ** 0.5


def test_a_prompt_keeps_its_part_when_prompts_are_added():
    few, many = parts_of(PROMPTS[:100]), parts_of(PROMPTS)
    assert all(many[prompt] == part for prompt, part in few.items())


def test_row_order_is_independent_of_input_order_and_shuffled():
    forward, backward = (split_prompts(p, FRACTIONS) for p in (PROMPTS, PROMPTS[::-1]))
    assert forward.equals(backward)
    # Shuffled: the first half of the rows holds about half of the first half of the input.
    first_half = set(PROMPTS[:1_000])
    assert 400 < sum(prompt in first_half for prompt in forward["prompt"][:1_000]) < 600


def test_one_prompt_agrees_with_the_table_and_with_the_definition():
    table = parts_of(PROMPTS[:200])
    for prompt in PROMPTS[:200]:
        share = int(hashlib.sha256(prompt.encode()).hexdigest(), 16) / 2**256
        edge, expected = 0.0, None
        for part in PARTS:
            edge += FRACTIONS[part]
            expected = part if expected is None and share < edge else expected
        assert assign_split(prompt, FRACTIONS) == table[prompt] == expected


def test_order_of_the_fractions_does_not_matter():
    backward = dict(reversed(FRACTIONS.items()))
    assert parts_of(PROMPTS[:200]) == parts_of(PROMPTS[:200], backward)


@pytest.mark.parametrize("only", PARTS)
def test_a_part_with_every_share_takes_every_prompt(only):
    fractions = {part: float(part == only) for part in PARTS}
    assert set(split_prompts(PROMPTS, fractions)["split"]) == {only}


def test_a_sum_short_of_one_by_rounding_leaves_no_gap(monkeypatch):
    monkeypatch.setattr(splits, "_position", lambda digest: 1 - 2.0**-53)
    fractions = {"sft": 0.0, "rm": 0.0, "rm_validation": 0.0, "ppo": 1 - 5e-10, "evaluation": 0.0}
    assert set(split_prompts(PROMPTS, fractions)["split"]) == {"ppo"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sft": 0.41}, ["the sum is 1.01"]),
        ({"sft": 0.40 + 2e-9}, ["the sum is"]),
        ({"sft": -0.40, "rm": 1.07}, ["sft", "-0.4", "between 0 and 1"]),
        ({"sft": float("nan")}, ["sft", "between 0 and 1"]),
        ({"sft": float("inf")}, ["sft", "between 0 and 1"]),
        ({"test": 0.0}, ["unknown ['test']"]),
    ],
)
def test_wrong_fractions_are_refused(change, words):
    with pytest.raises(UserError) as caught:
        assign_split("a prompt", FRACTIONS | change)
    assert all(word in str(caught.value) for word in words)


def test_a_missing_fraction_is_refused_even_without_prompts():
    fractions = {part: share for part, share in FRACTIONS.items() if part != "ppo"}
    with pytest.raises(UserError, match=r"missing \['ppo'\]"):
        split_prompts([], fractions)


def test_an_empty_part_is_named_with_the_number_of_prompts():
    require_every_part(split_prompts(PROMPTS, FRACTIONS))
    frame = split_prompts(PROMPTS, FRACTIONS).query("split not in ('ppo', 'rm')")
    with pytest.raises(UserError, match="'rm', 'ppo'") as caught:
        require_every_part(frame)
    assert f"{len(frame):,} distinct prompts" in str(caught.value)
    with pytest.raises(UserError, match="there are 0 distinct prompts"):
        require_every_part(split_prompts([], FRACTIONS))


def test_prompts_beyond_ascii_are_split():
    assert (
        assign_split("\u00bfQui\u00e9n escribi\u00f3 \u8d70\u308c? \U0001f600", FRACTIONS) in PARTS
    )
