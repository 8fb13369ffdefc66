"""Models and data of others, in the layout of the hub, through the same rules by config alone."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from audit_example import flip, overopt
from overopt.models.tokens import load_tokenizer
from published_models import chat_reward_model, pythia
from remote_servers import Remote
from version_example import as_git_repository, clone, commit, run
from workflow_example import ROOT, copy_of_repository, snakemake

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


def swapped_paths(folder: Path) -> dict:
    """config/paper.yaml with the paths of its models and data swapped, and nothing else.

    Pythia of two sizes with random weights, dialogues as data, a chat model of others as gold RM.
    The paths have a space, a quote and brackets, as those of users may.
    """
    texts = write_hh_rlhf(folder / "dialogues")
    models = folder / "models, not ours' [1]"
    small = pythia(models / "pythia-tiny", texts)
    other = pythia(models / "pythia-other", texts[:50], hidden_size=8, seed=1)
    gold = chat_reward_model(models / "reward-model", texts[:20])
    config = yaml.safe_load((ROOT / "config" / "paper.yaml").read_text())
    config["data"]["comparisons"] = {"dataset": str(folder / "dialogues")}
    for sizes in (config["policies"], config["proxy_sizes"]):
        for model in sizes.values():
            is_smallest = model["checkpoint"].endswith("-14m")
            model["checkpoint"] = str(other if is_smallest else small)
            del model["revision"]
    config["gold_rm"] = {"checkpoint": str(gold), "num_validation": 20}
    return config


def with_small_counts(config: dict) -> dict:
    """The same with fewer of everything: two proxy sizes, one policy, hundreds of responses."""
    policy = config["policies"]["1b4"] | {"batch_size": 16, "num_epochs": 1}
    policy["compute"] = {"gradient_checkpointing": True, "gradient_accumulation": 2}
    # Random weights move at another pace than pretrained ones.
    config["policies"] = {"1b4": policy | {"learning_rate": 1e-3, "ppo_learning_rate": 3e-3}}
    config["proxy_sizes"] = {name: config["proxy_sizes"][name] for name in ("14m", "410m")}
    config["text"] = {"max_prompt_tokens": 64, "max_response_tokens": 24}
    config["synthetic_comparisons"] = {"num_comparisons": 200, "num_validation": 50}
    config["splits"] = {
        "sft": 0.3,
        "rm": 0.3,
        "rm_validation": 0.1,
        "ppo": 0.15,
        "evaluation": 0.15,
    }
    config["best_of_n"] = {"num_prompts": 8, "num_responses": 32, "max_n": 16}
    config["ppo"] |= {"num_iterations": 8, "batch_size": 16, "num_mini_batches": 1}
    config["ppo"] |= {"num_normalization_responses": 32}
    sweep = config["grid"]["sweeps"]["rm_size"]
    sweep |= {"proxy_sizes": ["14m", "410m"], "num_comparisons": [200]}
    config["grid"] = {"seeds": [0], "sweeps": {"rm_size": sweep}}
    config["analysis"]["num_bootstrap"] = 50
    config["keep"]["checkpoints"] = False
    return config


def test_the_papers_config_plans_with_other_paths(tmp_path: Path) -> None:
    folder = copy_of_repository(tmp_path / "study")
    (folder / "paper.yaml").write_text(yaml.safe_dump(swapped_paths(tmp_path)))
    done = snakemake(folder, "-n", "--quiet", config="paper.yaml")
    assert re.search(r"^ppo +69$", done.stdout, flags=re.MULTILINE)


def test_published_models_and_data_run_through_the_same_rules(tmp_path: Path) -> None:
    folder = copy_of_repository(tmp_path / "study")
    config = with_small_counts(swapped_paths(tmp_path))
    (folder / "published.yaml").write_text(yaml.safe_dump(config))
    target = "results/paper/coefficients.csv"  # the figures would take as long again
    snakemake(folder, "--cores", "2", target, config="published.yaml")
    results = folder / "results" / "paper"
    table = pd.read_csv(results / "coefficients.csv")
    for form in ("best_of_n", "rl"):
        assert set(table.loc[table["form"] == form, "proxy_size"]) == {"14m", "410m"}
    # What a user starts from is removed once it is used; what was made of it stays.
    assert not list(results.glob("checkpoints/*/model.safetensors"))
    assert load_tokenizer(results / "policies/1b4").eos_token == "<|endoftext|>"
    gold = json.loads((results / "gold_rm/config.json").read_text())
    assert gold["architectures"] == ["LlamaForSequenceClassification"]
    done = snakemake(folder, "-n", target, config="published.yaml")
    assert "Nothing to be done" in done.stdout + done.stderr


def test_dvc_notices_changed_weights_and_a_clone_of_a_checkpoint_study_is_whole(
    tmp_path: Path,
) -> None:
    """As docs/versions.md says: the folder is in the repository, and DVC keeps it."""
    folder = copy_of_repository(tmp_path / "study")
    as_git_repository(folder, "config/test.yaml")
    texts = write_hh_rlhf(folder / "dialogues")
    pythia(folder / "checkpoints/my model", texts)
    chat_reward_model(folder / "checkpoints/reward-model", texts[:20])
    config = with_small_counts(swapped_paths(tmp_path))
    config["data"]["comparisons"] = {"dataset": "dialogues"}
    config["gold_rm"]["checkpoint"] = "checkpoints/reward-model"
    config["keep"]["checkpoints"] = True
    for model in [*config["policies"].values(), *config["proxy_sizes"].values()]:
        model["checkpoint"] = "checkpoints/my model"
    (folder / "config/mine.yaml").write_text(yaml.safe_dump(config))
    run(folder, "python", "-m", "overopt.audit.dvc_stages", "config/mine.yaml")
    storage = Remote(str(tmp_path / "storage"))
    storage.use_in(folder)
    run(folder, "dvc", "add", "checkpoints/my model", "checkpoints/reward-model", "dialogues")
    commit(folder, "The study")
    stages = ["paper-data", "paper-checkpoints", "paper-policies"]
    run(folder, "dvc", "repro", *stages)
    commit(folder, "Record the policies")
    run(folder, "dvc", "push")

    other = clone(folder, tmp_path / "clone")
    run(other, "dvc", "pull", "--allow-missing")  # stages that were not run
    assert "up to date" in run(other, "dvc", "status", *stages)
    code, told = overopt(other, "audit", "--study", "paper")
    assert code == 0, told

    weights = sorted((folder / "checkpoints/my model").glob("*.safetensors"))
    flip(weights[0], -1)
    status = run(folder, "dvc", "status", *stages)
    stale = r"^paper-checkpoints:\n.*modified: +checkpoints/my model$"
    assert re.search(stale, status, re.DOTALL | re.MULTILINE), status
    assert "Running stage 'paper-checkpoints'" in run(folder, "dvc", "repro", "--dry", *stages)
    planned = snakemake(folder, "-n", "policies", "--quiet", config="config/mine.yaml").stdout
    assert re.search(r"^published_checkpoint +1$", planned, flags=re.MULTILINE)
