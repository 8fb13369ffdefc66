"""Models and data of others, in the layout of the hub, through the same rules by config alone."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from overopt.tokens import load_tokenizer
from published_models import chat_reward_model, pythia
from workflow_example import copy_of_repository, snakemake

pytestmark = pytest.mark.slow

WORDS = "the a river bread lamp old new finds makes of and with quietly seven".split()


def write_hh_rlhf(folder: Path) -> list[str]:
    """Dialogues in the schema of Anthropic/hh-rlhf; people prefer the longer answer, mostly."""
    rng = np.random.default_rng(0)

    def text(low: int, high: int) -> str:
        return " ".join(rng.choice(WORDS, rng.integers(low, high)))

    rows = []
    for number in range(160):
        question = f"\n\nHuman: what is {text(1, 6)} number {number}?\n\nAssistant:"
        for _ in range(4):
            first, second = sorted((text(2, 6), text(6, 14)), key=len, reverse=rng.random() < 0.9)
            rows.append({"chosen": f"{question} {first}", "rejected": f"{question} {second}"})
    folder.mkdir()
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [row["chosen"] for row in rows]


def config_of(folder: Path) -> dict:
    """Pythia policies and proxies of two sizes, a chat model as gold RM, dialogues as data."""
    texts = write_hh_rlhf(folder / "dialogues")
    small = pythia(folder / "EleutherAI" / "pythia-tiny", texts)
    other = pythia(folder / "EleutherAI" / "pythia-other", texts[:50], hidden_size=8, seed=1)
    gold = chat_reward_model(folder / "someone" / "reward-model", texts[:20])
    config = yaml.safe_load(Path("config/human.yaml").read_text())
    config["name"] = "published"
    config["keep"] = {"checkpoints": False}
    config["data"] = {"source": "hub", "comparisons": {"dataset": str(folder / "dialogues")}}
    config["text"] = {"max_prompt_tokens": 64, "max_response_tokens": 24}
    rates = {"learning_rate": 1e-3, "ppo_learning_rate": 3e-3}
    config["policies"] = {
        "small": {"checkpoint": str(small), "batch_size": 8, "num_epochs": 1, **rates}
    }
    config["gold_rm"] = {"checkpoint": str(gold), "num_validation": 20}
    config["synthetic_comparisons"] = {"num_comparisons": 200, "num_validation": 50}
    config["proxy_sizes"] = {
        "same": {"checkpoint": str(small), "learning_rate": 1e-3},
        "other": {"checkpoint": str(other), "learning_rate": 1e-3},
    }
    config["backbone"] = {"num_epochs": 0}
    config["best_of_n"] = {"num_prompts": 8, "num_responses": 32, "max_n": 16}
    config["ppo"] = {
        "num_iterations": 8,
        "batch_size": 16,
        "num_normalization_responses": 32,
        "num_value_warmup_iterations": 1,
    }
    config["grid"] = {
        "seeds": [0],
        "sweeps": {
            "rm_size": {
                "methods": ["best_of_n", "ppo"],
                "policy_sizes": ["small"],
                "proxy_sizes": ["same", "other"],
                "num_comparisons": [200],
            }
        },
    }
    config["analysis"]["num_bootstrap"] = 50
    return config


def test_published_models_and_data_run_through_the_same_rules(tmp_path: Path) -> None:
    folder = copy_of_repository(tmp_path / "study")
    (folder / "published.yaml").write_text(yaml.safe_dump(config_of(tmp_path)))
    target = "results/published/coefficients.csv"  # the figures would take as long again
    snakemake(folder, "--cores", "2", target, config="published.yaml")
    results = folder / "results" / "published"
    table = pd.read_csv(results / "coefficients.csv")
    for form in ("best_of_n", "rl"):
        assert set(table.loc[table["form"] == form, "proxy_size"]) == {"same", "other"}
    # What a user starts from is removed once it is used; what was made of it stays.
    assert not list(results.glob("checkpoints/*/model.safetensors"))
    assert load_tokenizer(results / "policies/small").eos_token == "<|endoftext|>"
    gold = json.loads((results / "gold_rm/config.json").read_text())
    assert gold["architectures"] == ["LlamaForSequenceClassification"]
    done = snakemake(folder, "-n", target, config="published.yaml")
    assert "Nothing to be done" in done.stdout + done.stderr
