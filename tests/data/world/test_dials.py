"""The dials of the embedded world by hand; at their default it is the plain world to the byte."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from overopt.config.data import CandidateConfig
from overopt.config.world import PLAIN_WORLD, WorldConfig
from overopt.data.world.annotators import annotator_weights, judge
from overopt.data.world.candidates import write_candidates
from overopt.data.world.dials import flowery, overdone, taste
from overopt.data.world.prompts import all_prompts
from overopt.data.world.utility import (
    WEIGHTS,
    feature_names,
    feature_table,
    mean_weights,
    utilities,
)
from overopt.data.world.writers import Writer, write, write_demonstrations
from overopt.errors import UserError
from overopt.study import job_settings
from overopt.study.job_settings import as_param
from overopt.study.study import Study, read_study

PROMPTS = [prompt.text for prompt in all_prompts()]
PROMPT = "write brief calm story about sea with sand :"  # of 6 words: the limit is 2.9 flowery ones
FLOWERY = "so quiet , very loud ! wow !"
BOTH = WorldConfig(taste=1.5, blind_spots=0.5)
CONFIG = Path(__file__).parents[3] / "config" / "config.yaml"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def mixed(shares: CandidateConfig, number: int = 600) -> tuple[list[str], list[str], list[str]]:
    """Prompts and two candidates each; a demonstrator stands in for the policy."""
    rng = np.random.default_rng(7)
    asked = [PROMPTS[i] for i in rng.integers(0, len(PROMPTS), number)]

    def policy_answers(rows: Sequence[int]) -> list[str]:
        return [write(Writer.sample(rng, 1.0), asked[row], rng) for row in rows]

    first, second = (write_candidates(asked, policy_answers, shares, rng) for _ in range(2))
    return asked, first, second


def judged(world: WorldConfig, label_noise: float = 0.0) -> pd.DataFrame:
    return judge(
        *mixed(CandidateConfig(policy_share=0.6, writer_share=0.25)),
        num_annotators=8,
        weight_spread=0.35,
        inverse_temperature=3.0,
        rng=np.random.default_rng(3),
        label_noise=label_noise,
        world=world,
    )


# At their default: today's world. The digests were taken before there were dials.


def test_demonstrations_are_those_of_the_world_without_dials() -> None:
    table = write_demonstrations(PROMPTS, 2000, np.random.default_rng(5))
    assert sha256(table.to_csv()) == DEMONSTRATIONS


def test_human_comparisons_are_those_of_the_world_without_dials() -> None:
    assert sha256(judged(PLAIN_WORLD).to_csv()) == COMPARISONS


def study_with(**dials: float) -> Study:
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    config["data"]["world"] = dials
    return read_study(config)


def test_jobs_have_the_settings_that_they_had_without_dials() -> None:
    study = study_with()
    settings = [
        job_settings.embedded_comparison_settings(study),
        job_settings.pool_score_settings(study),
        job_settings.feature_settings(study),
        job_settings.deep_best_of_n_settings(study, study.runs("deep_best_of_n")[0]),
        job_settings.ppo_settings(study, study.runs("ppo")[0]),
    ]
    texts = list(map(as_param, settings))
    assert not any(dial in "".join(texts) for dial in ("world", "exuberant", "label_noise"))
    assert texts[1:3] == ['{"has_hidden_utility": true}', "{}"]
    assert sha256("".join(texts)) == SETTINGS


def test_a_dial_reaches_every_job_that_asks_what_people_like() -> None:
    study = study_with(taste=1.5, blind_spots=0.5)
    for settings in (
        job_settings.embedded_comparison_settings(study),
        job_settings.pool_score_settings(study),
        job_settings.feature_settings(study),
        job_settings.deep_best_of_n_settings(study, study.runs("deep_best_of_n")[0]),
        job_settings.ppo_settings(study, study.runs("ppo")[0]),
        job_settings.utility_gold_settings(study).utility,
    ):
        text = as_param(settings)
        assert json.loads(text)["world"] == {"taste": 1.5, "blind_spots": 0.5}
        assert type(settings).model_validate_json(text) == settings


# Taste


def test_taste_is_a_sum_over_distinct_words_of_likes_by_topic_and_tone() -> None:
    whole = taste(PROMPT, "boat sails")
    assert whole == pytest.approx(taste(PROMPT, "boat") + taste(PROMPT, "sails"))
    assert taste(PROMPT, "boat boat the .") == taste(PROMPT, "boat") != 0
    assert taste(PROMPT, "the .") == 0
    # Topic and tone add: what a change of tone does is the same on every topic.
    tones = [
        taste(f"write brief {tone} story about {topic} :", "boat")
        for topic in ("sea with sand", "city with bus")
        for tone in ("calm", "angry")
    ]
    assert tones[0] - tones[1] == pytest.approx(tones[2] - tones[3])
    assert tones[0] != tones[2]
    forms = [f"write brief calm {form} about sea with {key} :" for form, key in FORMS_AND_KEYS]
    assert len({taste(prompt, "boat") for prompt in forms}) == 1


FORMS_AND_KEYS = (("story", "sand"), ("note", "ship"))


def test_taste_is_nearly_normal_within_prompts() -> None:
    rng = np.random.default_rng(0)
    values = []
    for i in rng.integers(0, len(PROMPTS), 40):
        texts = [write(Writer.sample(rng, 1.0), PROMPTS[i], rng) for _ in range(50)]
        scores = np.array([taste(PROMPTS[i], text) for text in texts])
        values.append(scores - scores.mean())
    found = np.concatenate(values)
    assert found.std() == pytest.approx(1.0, abs=0.15)
    assert (found**3).mean() / found.std() ** 3 == pytest.approx(0, abs=0.2)


# Blind spots


def test_flowery_words_count_up_to_a_limit_and_then_they_are_overdone() -> None:
    assert flowery(PROMPT, "he sees the big boat .") == 0
    assert flowery(PROMPT, "very quiet !") == 3
    assert flowery(PROMPT, FLOWERY) == 7
    assert overdone(PROMPT, "so quiet") == 0
    assert overdone(PROMPT, "very quiet !") == pytest.approx(0.1 + 0.1**2 / 4)
    assert overdone(PROMPT, FLOWERY) == pytest.approx(4 + 4)  # 4.1 beyond, 4 at most
    longer = PROMPT.replace("brief", "long")  # 19 words: 4.85
    assert overdone(longer, FLOWERY) == pytest.approx(2.15 + 2.15**2 / 4)


def test_the_utility_adds_the_dials_by_their_weights() -> None:
    texts = ["the quiet boat sails .", FLOWERY]
    prompts = [PROMPT, PROMPT]
    extra = [
        1.5 * taste(PROMPT, text)
        + 0.5 * (0.91 * flowery(PROMPT, text) - 2.8 * overdone(PROMPT, text))
        for text in texts
    ]
    found = utilities(prompts, texts, BOTH) - utilities(prompts, texts)
    np.testing.assert_allclose(found, extra)
    assert feature_names(BOTH)[11:] == ("taste", "flowery", "overdone")
    assert feature_names(WorldConfig(taste=1.0))[11:] == ("taste",)
    np.testing.assert_allclose(mean_weights(BOTH)[11:], [1.5, 0.455, -1.4])
    assert feature_table(prompts, texts, BOTH).shape == (2, 14)
    assert feature_table([], [], BOTH).shape == (0, 14)


def test_annotators_weigh_the_dials_and_keep_their_other_weights() -> None:
    plain = annotator_weights(8, 0.35, np.random.default_rng(0))
    dialled = annotator_weights(8, 0.35, np.random.default_rng(0), BOTH)
    np.testing.assert_array_equal(dialled[:, :11], plain)
    assert dialled.shape == (8, 14)
    assert (np.sign(dialled) == np.sign(mean_weights(BOTH))).all()
    assert (annotator_weights(2, 0.0, np.random.default_rng(0), BOTH) == mean_weights(BOTH)).all()
    assert (annotator_weights(2, 0.0, np.random.default_rng(0)) == WEIGHTS).all()


# Who writes, and who notes


def test_exuberant_writers_write_what_is_overdone() -> None:
    shares = CandidateConfig(policy_share=0, writer_share=0, exuberant_share=1)
    prompts, texts, _ = mixed(shares, 1500)
    exuberant = np.mean([overdone(*row) > 0 for row in zip(prompts, texts, strict=True)])
    prompts, texts, _ = mixed(CandidateConfig(policy_share=1, writer_share=0), 1500)
    ordinary = np.mean([overdone(*row) > 0 for row in zip(prompts, texts, strict=True)])
    assert exuberant > 0.12 > 0.06 > ordinary


def test_exuberant_writers_take_the_place_of_degenerate_texts(monkeypatch) -> None:
    from overopt.data.world import candidates

    monkeypatch.setattr(candidates, "degenerate", lambda *_: "looping")
    monkeypatch.setattr(candidates.Writer, "exuberant", lambda rng: "exuberant")
    monkeypatch.setattr(candidates.Writer, "sample", lambda rng, spread: "usual")
    monkeypatch.setattr(candidates, "write", lambda writer, *_: writer)
    shares = CandidateConfig(policy_share=0, writer_share=0.2, exuberant_share=0.5)
    rng = np.random.default_rng(0)
    drawn = write_candidates([PROMPT] * 4000, lambda rows: [], shares, rng)
    found = {text: drawn.count(text) / 4000 for text in set(drawn)}
    assert found == pytest.approx({"usual": 0.2, "exuberant": 0.5, "looping": 0.3}, abs=0.03)


def test_label_noise_turns_a_share_of_the_same_choices_round() -> None:
    quiet, noisy = judged(PLAIN_WORLD), judged(PLAIN_WORLD, label_noise=0.2)
    differ = quiet["chosen"] != quiet["rejected"]
    turned = (noisy["chosen"] == quiet["rejected"]) & differ
    assert turned.sum() / differ.sum() == pytest.approx(0.2, abs=0.05)
    kept = noisy["chosen"] == quiet["chosen"]
    assert (kept | turned).all()


def test_dials_change_what_annotators_prefer() -> None:
    assert sha256(judged(BOTH).to_csv()) != COMPARISONS


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("world", "taste"), -1, "data.world.taste: found -1; expected at least 0"),
        (("world", "tastes"), 1, "data.world.tastes"),
        (("annotators", "label_noise"), 0.6, "data.annotators.label_noise: found 0.6"),
        (("candidates", "exuberant_share"), 0.5, "exuberant_share sum to 1.35"),
    ],
)
def test_impossible_dials_are_named(path: tuple[str, str], value: float, told: str) -> None:
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    config["data"].setdefault(path[0], {})[path[1]] = value
    with pytest.raises(UserError, match=told):
        read_study(config)


DEMONSTRATIONS = "f6c0c4bad88847bd14f2ef0c9478a85eeee211668ba385ad13931eec8d9b6763"
COMPARISONS = "8331dada42b1ca6a2152dc7e0f07318bacbc9af2463aea0fdfed0d7489753f52"
SETTINGS = "88a8a5e355de7a025f944489796c93496203baf6db6b831357a1d2372c965edd"
