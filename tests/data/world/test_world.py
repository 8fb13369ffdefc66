"""The embedded world: prompts, writers, hidden utility, annotators, tokenizer."""

import ast
import functools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import overopt.data.world
from overopt.config.data import AnnotatorConfig, CandidateConfig, EmbeddedDataConfig
from overopt.data.world import candidates
from overopt.data.world.annotators import annotator_weights, judge, preference_probabilities
from overopt.data.world.candidates import write_candidates
from overopt.data.world.prompts import Prompt, all_prompts, parse_prompt
from overopt.data.world.show import show_world
from overopt.data.world.tokenizer import build_tokenizer
from overopt.data.world.utility import (
    FEATURES,
    WEIGHTS,
    feature_table,
    features,
    utilities,
)
from overopt.data.world.vocabulary import (
    MAX_PROMPT_TOKENS,
    MAX_RESPONSE_TOKENS,
    PARTS_OF_SPEECH,
    RESPONSE_WORDS,
    SPECIAL_TOKENS,
    TOPICS,
    VOCABULARY,
)
from overopt.data.world.writers import Writer, degenerate, write, write_demonstrations
from overopt.errors import UserError

PROMPT = "write brief calm story about sea with sand :"
study_judge = functools.partial(
    judge, num_annotators=8, weight_spread=0.35, inverse_temperature=3.0
)


def mixture(policy_share: float, writer_share: float) -> CandidateConfig:
    return CandidateConfig(policy_share=policy_share, writer_share=writer_share)


MIXTURE = mixture(0.60, 0.25)


def study_data() -> EmbeddedDataConfig:
    annotators = AnnotatorConfig(num_annotators=8, weight_spread=0.35, inverse_temperature=3.0)
    return EmbeddedDataConfig(
        source="embedded", num_demonstrations=1, candidates=MIXTURE, annotators=annotators
    )


@pytest.fixture(scope="module")
def prompts() -> list[str]:
    return [prompt.text for prompt in all_prompts()]


@pytest.fixture(scope="module")
def demonstrations(prompts: list[str]) -> pd.DataFrame:
    return write_demonstrations(prompts, 12_000, np.random.default_rng(0))


@pytest.fixture(scope="module")
def pairs(prompts: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Prompts and two candidates each, from the study's mixture, demonstrators for the policy."""
    rng = np.random.default_rng(1)
    asked = [prompts[i] for i in rng.integers(0, len(prompts), 4000).tolist()]
    first, second = (
        write_candidates(
            asked, answers([write(Writer.sample(rng, 1.0), p, rng) for p in asked]), MIXTURE, rng
        )
        for _ in range(2)
    )
    return asked, first, second


def answers(texts: list[str]) -> Callable[[np.ndarray], list[str]]:
    """What `write_candidates` asks for: the texts at some positions."""
    return lambda rows: [texts[row] for row in rows]


# Vocabulary and prompts


def test_vocabulary_has_176_distinct_words_after_the_special_tokens():
    assert len(VOCABULARY) == len(set(VOCABULARY)) == 176
    assert VOCABULARY[:3] == SPECIAL_TOKENS == ("<pad>", "<bos>", "<eos>")
    assert not any(" " in word for word in VOCABULARY)
    assert {"friend", ".", "with"} <= set(PARTS_OF_SPEECH)
    assert not {"write", ":", "<eos>"} & set(PARTS_OF_SPEECH)


def test_there_are_2304_distinct_prompts_of_nine_known_words(prompts: list[str]):
    assert len(prompts) == len(set(prompts)) == 2304
    assert {len(prompt.split(" ")) for prompt in prompts} == {MAX_PROMPT_TOKENS - 1}
    assert {word for prompt in prompts for word in prompt.split(" ")} <= set(VOCABULARY[3:])
    assert prompts == [prompt.text for prompt in all_prompts()]


def test_each_topic_gives_six_keywords_and_never_its_own_name():
    for prompt in all_prompts():
        assert prompt.keyword in TOPICS[prompt.topic].nouns
        assert prompt.keyword != prompt.topic
    assert {len(topic.keywords) for topic in TOPICS.values()} == {6}


def test_parse_prompt_inverts_text():
    assert parse_prompt(PROMPT) == Prompt("brief", "calm", "story", "sea", "sand")
    assert all(parse_prompt(prompt.text) == prompt for prompt in all_prompts())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        f"<bos> {PROMPT}",
        PROMPT.replace(" ", "  "),
        PROMPT.replace("sand", "flute"),  # not of the topic
        PROMPT.replace("sand", "sea"),  # the name of the topic is no keyword
    ],
)
def test_parse_prompt_rejects_what_is_no_prompt(text: str):
    with pytest.raises(UserError, match="not of the embedded world"):
        parse_prompt(text)


# Writers


def test_demonstrations_mention_the_keyword_more_often_the_longer_they_are(
    demonstrations: pd.DataFrame,
):
    mentions: dict[str, list[bool]] = {"brief": [], "medium": [], "long": []}
    for prompt, response in demonstrations.itertuples(index=False):
        request = parse_prompt(prompt)
        mentions[request.length].append(request.keyword in response.split())
    assert np.mean(sum(mentions.values(), [])) == pytest.approx(0.68, abs=0.03)
    assert np.mean(mentions["brief"]) == pytest.approx(0.52, abs=0.03)
    assert np.mean(mentions["medium"]) == pytest.approx(0.73, abs=0.03)
    assert np.mean(mentions["long"]) == pytest.approx(0.79, abs=0.03)


def test_longer_requests_get_longer_demonstrations(demonstrations: pd.DataFrame):
    lengths: dict[str, list[int]] = {"brief": [], "medium": [], "long": []}
    for prompt, response in demonstrations.itertuples(index=False):
        lengths[parse_prompt(prompt).length].append(len(response.split()))
    brief, medium, long = (float(np.mean(counts)) for counts in lengths.values())
    assert brief < 0.7 * medium < 0.7 * long


def test_everything_written_has_1_to_23_known_words(prompts: list[str]):
    rng = np.random.default_rng(3)
    written = [
        text
        for prompt in prompts
        for text in (
            write(Writer.sample(rng, 1.0), prompt, rng),
            write(Writer.sample(rng, 3.0), prompt, rng),
            degenerate(prompt, rng),
        )
    ]
    assert all(1 <= len(text.split(" ")) < MAX_RESPONSE_TOKENS for text in written)
    assert {word for text in written for word in text.split(" ")} == set(RESPONSE_WORDS)


def test_a_writer_who_always_slips_still_hands_in_words():
    rng = np.random.default_rng(0)
    careless = Writer.sample(rng, 1.0)._replace(slip=1.0, length_factor=0.1)
    texts = [write(careless, PROMPT, rng) for _ in range(2000)]
    assert all(texts)
    assert min(len(text.split()) for text in texts) == 1


def test_a_writer_without_bad_habits_writes_what_was_asked():
    rng = np.random.default_rng(0)
    careful = Writer(
        on_topic=1,
        on_tone=1,
        slip=0,
        reuse=0,
        length_factor=1,
        opener=1,
        adjective=1,
        intensifier=0,
        exclamation=0,
        politeness=0,
        listing=0,
        off_tone=0,
    )
    for _ in range(50):
        text = write(careful, PROMPT, rng)
        measured = dict(zip(FEATURES, features(PROMPT, text), strict=True))
        assert text.startswith("once , ")
        assert measured["form"] == 1
        assert measured["clash"] == measured["hype"] == 0
        assert measured["grammar"] * len(text.split()) > len(text.split()) - 1.5  # "and ."


def test_the_same_generator_state_gives_the_same_text(prompts: list[str]):
    def texts(seed: int) -> list[str]:
        rng = np.random.default_rng(seed)
        written = write_demonstrations(prompts, 50, rng)
        mixed = write_candidates(
            list(written["prompt"]), answers(["p"] * 50), mixture(0.2, 0.4), rng
        )
        return [*written["prompt"], *written["response"], *mixed]

    assert texts(0) == texts(0)
    assert texts(0) != texts(1)


def test_demonstrations_draw_from_the_given_prompts_whatever_their_index(prompts: list[str]):
    some = pd.Series(prompts).iloc[100:110]  # keeps its labels 100..109
    written = write_demonstrations(some, 300, np.random.default_rng(0))  # pyright: ignore
    assert set(written["prompt"]) == set(some)
    assert list(written.columns) == ["prompt", "response"]


def test_careless_writers_and_degenerate_texts_are_worse(prompts: list[str]):
    rng = np.random.default_rng(4)
    asked = [prompts[i] for i in rng.integers(0, len(prompts), 1500)]
    ordinary = utilities(asked, [write(Writer.sample(rng, 1.0), p, rng) for p in asked])
    careless = utilities(asked, [write(Writer.sample(rng, 3.0), p, rng) for p in asked])
    looping = utilities(asked, [degenerate(p, rng) for p in asked])
    assert ordinary.mean() > careless.mean() + 0.5
    assert careless.mean() > looping.mean() + 3


# Candidates


def test_candidate_shares(monkeypatch: pytest.MonkeyPatch):
    spreads: list[float] = []

    def record_spread(rng: np.random.Generator, spread: float) -> float:
        spreads.append(spread)
        return spread

    monkeypatch.setattr(candidates.Writer, "sample", record_spread)
    monkeypatch.setattr(candidates, "write", lambda *_: "written")
    monkeypatch.setattr(candidates, "degenerate", lambda *_: "looping")
    given = [f"sampled {i}" for i in range(20_000)]
    drawn = write_candidates([PROMPT] * 20_000, answers(given), MIXTURE, np.random.default_rng(0))
    is_given = [text == sampled for text, sampled in zip(drawn, given, strict=True)]
    assert np.mean(is_given) == pytest.approx(0.60, abs=0.015)
    assert drawn.count("written") / 20_000 == pytest.approx(0.25, abs=0.015)
    assert drawn.count("looping") / 20_000 == pytest.approx(0.15, abs=0.015)
    assert set(spreads) == {1.0, 3.0}
    assert spreads.count(1.0) / len(spreads) == pytest.approx(0.3, abs=0.03)


def test_the_policy_answers_only_where_its_answer_is_the_candidate():
    asked: list[int] = []

    def policy_answers(rows: np.ndarray) -> list[str]:
        asked.extend(rows.tolist())
        return [f"sampled {row}" for row in rows]

    rng = np.random.default_rng(0)
    drawn = write_candidates([PROMPT] * 200, policy_answers, MIXTURE, rng)
    assert 90 < len(asked) < 150
    assert [row for row, text in enumerate(drawn) if text == f"sampled {row}"] == asked


def test_candidate_shares_at_the_ends():
    rng = np.random.default_rng(0)
    assert (
        write_candidates([PROMPT] * 50, answers(["p"] * 50), mixture(1.0, 0.0), rng) == ["p"] * 50
    )
    assert "p" not in write_candidates([PROMPT] * 50, answers(["p"] * 50), mixture(0.0, 1.0), rng)
    assert "p" not in write_candidates([PROMPT] * 50, answers(["p"] * 50), mixture(0.0, 0.0), rng)


def test_impossible_shares_are_refused():
    with pytest.raises(UserError, match="and exuberant_share sum to 1.1"):
        write_candidates([PROMPT], answers(["p"]), mixture(0.8, 0.3), np.random.default_rng(0))


# Annotators


def test_annotator_weights_vary_around_the_mean_and_keep_their_signs():
    weights = annotator_weights(4000, 0.35, np.random.default_rng(0))
    logs = np.log(weights / WEIGHTS)
    assert weights.shape == (4000, 11)
    assert logs.mean(axis=0) == pytest.approx(np.zeros(11), abs=0.03)
    assert logs.std(axis=0) == pytest.approx(np.full(11, 0.35), abs=0.02)
    assert annotator_weights(3, 0.0, np.random.default_rng(0)) == pytest.approx(
        np.tile(WEIGHTS, (3, 1))
    )


def test_preference_probability_is_the_sigmoid_of_the_utility_difference():
    difference = np.zeros((3, 11))
    difference[0, FEATURES.index("keyword")] = 1
    difference[1, FEATURES.index("stuffing")] = 1
    probabilities = preference_probabilities(difference, WEIGHTS, 2.0)
    assert probabilities == pytest.approx([1 / (1 + math.exp(-1.8)), 1 / (1 + math.exp(6)), 0.5])
    assert preference_probabilities(difference, WEIGHTS, 1e6) == pytest.approx([1, 0, 0.5])


def test_annotators_who_are_sure_choose_the_higher_utility(
    pairs: tuple[list[str], list[str], list[str]],
):
    judged = judge(
        *pairs,
        num_annotators=2,
        weight_spread=0.0,
        inverse_temperature=1e9,
        rng=np.random.default_rng(0),
    )
    chosen = utilities(pairs[0], list(judged["chosen"]))
    rejected = utilities(pairs[0], list(judged["rejected"]))
    assert (chosen >= rejected - 1e-7).all()


def test_judge_keeps_rows_and_only_orders_each_pair(
    pairs: tuple[list[str], list[str], list[str]],
):
    judged = study_judge(*pairs, rng=np.random.default_rng(0))
    assert list(judged.columns) == ["prompt", "chosen", "rejected"]
    assert list(judged["prompt"]) == pairs[0]
    both = zip(judged["chosen"], judged["rejected"], strict=True)
    assert [set(pair) for pair in both] == [{a, b} for a, b in zip(*pairs[1:], strict=True)]
    again = study_judge(*pairs, rng=np.random.default_rng(0))
    pd.testing.assert_frame_equal(judged, again)


def test_two_equal_texts_are_a_coin():
    # Texts that differ in no feature, so that the choice can be seen.
    a, b = "he sees the boat .", "he sees the fish ."
    n = 4000
    judged = study_judge([PROMPT] * n, [a] * n, [b] * n, rng=np.random.default_rng(0))
    assert list(judged["chosen"]).count(a) / n == pytest.approx(0.5, abs=0.03)
    same = study_judge([PROMPT] * 5, [a] * 5, [a] * 5, rng=np.random.default_rng(0))
    assert list(same["chosen"]) == list(same["rejected"]) == [a] * 5


def test_annotators_agree_with_the_mean_utility_and_with_each_other(
    pairs: tuple[list[str], list[str], list[str]],
):
    rng = np.random.default_rng(5)
    difference = feature_table(*pairs[:2]) - feature_table(pairs[0], pairs[2])
    is_first_better = difference @ WEIGHTS > 0
    with_mean, between = [], []
    for _ in range(5):  # groups of annotators
        group = annotator_weights(8, 0.35, rng)
        first, second = (
            rng.random(len(difference))
            < preference_probabilities(difference, group[rng.integers(0, 8, len(difference))], 3.0)
            for _ in range(2)
        )
        with_mean.append(np.mean(first == is_first_better))
        between.append(np.mean(first == second))
    assert np.mean(with_mean) == pytest.approx(0.90, abs=0.02)
    assert np.mean(between) == pytest.approx(0.867, abs=0.02)


# Tokenizer


def test_tokenizer_round_trip_of_every_word(tmp_path: Path):
    from transformers import AutoTokenizer

    built = build_tokenizer()
    built.save_pretrained(tmp_path / "a")
    build_tokenizer().save_pretrained(tmp_path / "b")
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
    for tokenizer in (built, AutoTokenizer.from_pretrained(tmp_path / "a")):
        assert len(tokenizer) == len(VOCABULARY)
        assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)
        for i, word in enumerate(VOCABULARY):
            assert tokenizer(word)["input_ids"] == [i]
            assert tokenizer.decode([i]) == word
        words = " ".join(VOCABULARY[3:])
        assert tokenizer.decode(tokenizer(words)["input_ids"]) == words


def test_tokenizer_reads_prompts_and_decodes_responses(demonstrations: pd.DataFrame):
    tokenizer = build_tokenizer()
    assert list(tokenizer(PROMPT)) == ["input_ids", "attention_mask"]
    assert len(tokenizer("<bos> " + PROMPT)["input_ids"]) == MAX_PROMPT_TOKENS
    responses = list(demonstrations["response"][:300])
    ids = [[1, *row, 2, 0, 0] for row in tokenizer(responses)["input_ids"]]
    assert tokenizer.batch_decode(ids, skip_special_tokens=True) == responses
    assert max(len(row) for row in tokenizer(responses)["input_ids"]) < MAX_RESPONSE_TOKENS


@pytest.mark.parametrize("text", ["a zebra sails .", "the boat sails.", "The boat sails ."])
def test_tokenizer_refuses_unknown_words(text: str):
    with pytest.raises(Exception, match="UNK"):
        build_tokenizer()(text)


# The whole


def test_the_display_shows_texts_utilities_and_agreement(capsys: pytest.CaptureFixture[str]):
    show_world(study_data(), num_prompts=2, seed=0)
    shown = capsys.readouterr().out
    for part in (
        "write ",
        "demonstrator",
        "degenerate",
        "utility",
        "grammar +",
        "of 2,000 pairs",
        "skewness -",
        "hype -1.2",
    ):
        assert part in shown
    assert max(len(line) for line in shown.splitlines()) < 200
    show_world(study_data(), num_prompts=2, seed=0)
    assert capsys.readouterr().out == shown


def test_imports_go_one_way_so_that_an_edit_reruns_only_what_depends_on_it():
    folder = Path(overopt.data.world.__file__).parent

    def imported(module: str) -> set[str]:
        """World modules that a module imports, directly or through others."""
        found: set[str] = set()
        for node in ast.walk(ast.parse((folder / f"{module}.py").read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                name = node.module.removeprefix("overopt.data.world.")
                if name != node.module:
                    found |= {name} | imported(name)
        return found

    assert imported("vocabulary") == set()
    assert imported("prompts") == imported("tokenizer") == {"vocabulary"}
    assert imported("writers") == {"vocabulary", "prompts"}
    assert imported("candidates") == {"vocabulary", "prompts", "writers"}
    assert imported("dials") == {"vocabulary", "prompts"}
    assert imported("utility") == {"vocabulary", "prompts", "dials"}
    assert imported("annotators") == {"vocabulary", "prompts", "dials", "utility"}
