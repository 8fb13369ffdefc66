"""Gold that is the hidden utility itself: exact scores, its metrics, and who may have it."""

import copy
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from overopt.config.reward_model import GoldRMConfig
from overopt.config.utility_gold import UTILITY_FILE, UtilityGold, UtilityGoldSettings
from overopt.data.world.prompts import all_prompts
from overopt.data.world.tokenizer import build_tokenizer
from overopt.data.world.utility import utility
from overopt.errors import UserError
from overopt.jobs.job import Job
from overopt.models.tokens import encode_prompts, encode_responses, load_tokenizer
from overopt.reward_model.gold_scorer import load_gold_rm
from overopt.reward_model.utility_gold import take_utility_as_gold
from overopt.study import job_settings, paths
from overopt.study.plan.jobs import planned_jobs
from overopt.study.study import Study, read_study

CONFIG = Path(__file__).parents[2] / "config"
PROMPTS = [prompt.text for prompt in all_prompts()[:3]]
GOOD, BAD = "a flower grows .", "the the the the"


def settings(num_validation: int = 2) -> UtilityGoldSettings:
    return UtilityGoldSettings(
        utility=UtilityGold(inverse_temperature=3.0), num_validation=num_validation
    )


@pytest.fixture
def comparisons(tmp_path: Path) -> Path:
    rows = [
        ("train", PROMPTS[0], BAD, GOOD),
        ("validation", PROMPTS[1], GOOD, BAD),
        ("validation", PROMPTS[2], BAD, GOOD),
    ]
    table = pd.DataFrame(rows, columns=["split", "prompt", "chosen", "rejected"])
    table.to_parquet(tmp_path / "human.parquet", index=False)
    return tmp_path / "human.parquet"


def test_the_score_is_the_utility_times_the_inverse_temperature(tmp_path, comparisons):
    build_tokenizer().save_pretrained(tmp_path / "policy")
    (tmp_path / "gold_rm").mkdir()
    take_utility_as_gold(Job("x"), settings(), comparisons, tmp_path / "gold_rm" / UTILITY_FILE)
    gold = load_gold_rm(tmp_path / "gold_rm", tmp_path / "policy")
    tokenizer = load_tokenizer(tmp_path / "policy")
    ids = (encode_prompts(tokenizer, PROMPTS, 10), encode_responses(tokenizer, [GOOD, BAD, ""], 24))
    scores = gold.score(*ids)
    gold.to(torch.device("cpu"))
    expected = [3 * utility(*row) for row in zip(PROMPTS, (GOOD, BAD, ""), strict=True)]
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    assert gold.num_parameters == 0


def test_its_metrics_are_those_of_held_out_human_comparisons(tmp_path, comparisons):
    take_utility_as_gold(Job("x"), settings(), comparisons, tmp_path / UTILITY_FILE)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    gaps = np.array(
        [3 * (utility(PROMPTS[1], GOOD) - utility(PROMPTS[1], BAD))]
        + [3 * (utility(PROMPTS[2], BAD) - utility(PROMPTS[2], GOOD))]
    )
    assert metrics["validation_accuracy"] == 0.5
    assert metrics["validation_loss"] == pytest.approx(np.log1p(np.exp(-gaps)).mean())
    assert (metrics["num_comparisons"], metrics["num_validation"]) == (0, 2)


def test_too_few_human_comparisons_are_named(tmp_path, comparisons):
    with pytest.raises(UserError, match="num_validation: 3, but there are 2"):
        take_utility_as_gold(Job("x"), settings(3), comparisons, tmp_path / UTILITY_FILE)


def test_a_folder_without_gold_is_refused(tmp_path):
    build_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(UserError):
        load_gold_rm(tmp_path / "nothing", tmp_path)


# The study.


def config(name: str = "test.yaml") -> dict:
    content = yaml.safe_load((CONFIG / name).read_text(encoding="utf-8"))
    content["gold_rm"] = {"source": "utility", "num_validation": 50}
    return content


def study_of_utility() -> Study:
    return read_study(config())


def test_nothing_is_trained_for_it():
    study = study_of_utility()
    rules = {planned.rule: planned for planned in planned_jobs(study)}
    assert rules["gold_rm"].needs == ("human_comparisons",)
    assert study.gold_rm.rule_file == "utility_gold_rm"
    assert paths.gold_rm_file(study) == f"gold_rm/{UTILITY_FILE}"
    assert job_settings.embedded_comparison_settings(study).num_comparisons == 0
    trained = read_study(yaml.safe_load((CONFIG / "test.yaml").read_text()))
    usual = next(planned for planned in planned_jobs(trained) if planned.rule == "gold_rm")
    assert 0 < rules["gold_rm"].cost.seconds < usual.cost.seconds
    assert trained.gold_rm.rule_file == "gold_rm"


def test_its_score_is_in_logits_of_the_annotators():
    content = config()
    content["data"]["annotators"]["inverse_temperature"] = 1.5
    found = job_settings.utility_gold_settings(read_study(content))
    assert found.utility.inverse_temperature == 1.5
    assert found.num_validation == 50


@pytest.mark.parametrize(
    ("key", "value"), [("backbone", "small"), ("num_comparisons", 10), ("num_epochs", 2)]
)
def test_keys_of_training_are_refused(key, value):
    content = config()
    content["gold_rm"][key] = value
    with pytest.raises(UserError, match=f"source: utility and {key}; the hidden utility is no mod"):
        read_study(content)


def test_real_data_have_no_hidden_utility(tmp_path):
    content = config("human.yaml")
    for key in ("demonstrations", "comparisons"):
        (tmp_path / f"{key}.jsonl").write_text("{}")
        content["data"][key] = str(tmp_path / f"{key}.jsonl")
    refused = "gold_rm.source: utility, but human data of source files has no hidden utility"
    with pytest.raises(UserError, match=refused):
        read_study(copy.deepcopy(content))


def test_a_reward_model_is_the_default():
    gold = GoldRMConfig(backbone="large", num_comparisons=1, num_validation=1, learning_rate=1.0)
    assert not gold.is_utility
