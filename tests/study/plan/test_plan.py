"""What a study will take: against what studies took, and against counts by hand."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from overopt.cli import app
from overopt.config.compute import ComputeConfig as Compute
from overopt.config.sampling_batch import LARGEST_BATCH_ON_GPU
from overopt.data.world.vocabulary import VOCABULARY
from overopt.errors import UserError
from overopt.study.plan import plan_text
from overopt.study.plan.cost import Cell, Cost, Disk
from overopt.study.plan.costs import COSTS
from overopt.study.plan.jobs import PlannedJob, planned_jobs
from overopt.study.plan.machines import A100, CORE, SNAKEMAKE_SECONDS, Gpus, forward_flops
from overopt.study.plan.plan_text import describe_plan
from overopt.study.plan.shapes import (
    KNOWN_SHAPES,
    ModelShape,
    gold_shape,
    policy_shape,
    shape_of_folder,
)
from overopt.study.plan.sizes import CUDA_CONTEXT, drawn_at_once, training_bytes
from overopt.study.plan.summary import RulePlan, by_rule, critical_path
from overopt.study.plan.texts import Texts
from overopt.study.study import Study, read_study
from workflow_example import ROOT

MEASURED = pd.read_csv(ROOT / "tests" / "references" / "measured_seconds.csv")
"""Sums over the run records of one run of each config on a CPU (2 cores, one thread a job)."""
CONFIGS = {"study": "study.yaml", "default": "config.yaml", "test": "test.yaml"}
TEXTS = Texts(number=100, prompt_tokens=200, response_tokens=100, longest_response=256)


def config_of(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "config" / CONFIGS[name]).read_text())


def study_of(name: str) -> Study:
    return read_study(config_of(name))


def plan_of(study: Study) -> dict[str, RulePlan]:
    return {plan.rule: plan for plan in by_rule(planned_jobs(study))}


def cost(study: Study, rule: str, cell: Cell) -> Cost:
    return COSTS[rule](study, cell, A100)


@pytest.mark.parametrize("name", CONFIGS)
def test_expected_seconds_are_near_measured_ones(name: str) -> None:
    measured = MEASURED[MEASURED["study"] == name].set_index("rule")["cpu_seconds"]
    plan = plan_of(study_of(name))
    ratios = {rule: plan[rule].total / measured[rule] for rule in measured.index}
    large = measured[measured > 0.01 * measured.sum()].index
    assert len(large) >= 9
    assert {rule: r for rule, r in ratios.items() if rule in large and not 2 / 3 < r < 1.5} == {}
    assert sum(p.total for p in plan.values()) == pytest.approx(measured.sum(), rel=0.2)


@pytest.mark.parametrize("name", CONFIGS)
def test_jobs_are_those_that_ran(name: str) -> None:
    ran = MEASURED[MEASURED["study"] == name].set_index("rule")["num_jobs"].to_dict()
    assert {rule: plan.num_jobs for rule, plan in plan_of(study_of(name)).items()} == ran


def test_every_job_waits_for_jobs_before_it() -> None:
    before: set[str] = set()
    for job in planned_jobs(study_of("study")):
        assert set(job.needs) <= before, job.name
        assert job.name not in before
        before.add(job.name)


# Published counts: parameters without embeddings (Biderman et al. 2023, table 1; for 14M and 31M
# the models' cards) and in all (the suite's README).
@pytest.mark.parametrize(
    ("size", "without_embeddings"),
    [
        ("14m", 1_189_888),
        ("31m", 4_739_072),
        ("70m", 18_915_328),
        ("160m", 85_056_000),
        ("410m", 302_311_424),
        ("1b", 805_736_448),
        ("1.4b", 1_208_602_624),
        ("2.8b", 2_517_652_480),
        ("6.9b", 6_444_163_072),
    ],
)
def test_known_shapes_have_the_published_parameters(size: str, without_embeddings: int) -> None:
    shape = KNOWN_SHAPES[f"EleutherAI/pythia-{size}"]
    # Biases and layer norms are not counted here.
    assert shape.num_body_parameters == pytest.approx(without_embeddings, rel=0.01)


def test_flops_by_hand() -> None:
    shape = ModelShape(4, 2, vocabulary_size=10, intermediate_size=16)
    assert shape.num_body_parameters == 2 * (4 * 16 + 2 * 4 * 16)
    texts = Texts(1, prompt_tokens=4, response_tokens=2, longest_response=2)
    attention = 2 * 6 * 2 * (3 * 4) * 2  # layers x queries x (scores, values) x keys seen x 2
    expected = 2 * 6 * shape.num_body_parameters + attention + 2 * 2 * 10 * 4
    assert forward_flops(shape, texts, num_logits=2) == expected


def test_shape_of_a_local_checkpoint(tmp_path: Path) -> None:
    content = {"n_embd": 8, "n_layer": 3, "vocab_size": 50, "n_inner": None}
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert shape_of_folder(tmp_path) == ModelShape(8, 3, 50, 32)
    (tmp_path / "config.json").write_text(json.dumps({"n_embd": 8}))
    assert shape_of_folder(tmp_path) is None


def test_a_checkpoint_of_unknown_size_is_assumed_by_rules_and_refused_by_the_plan() -> None:
    config = yaml.safe_load((ROOT / "config" / "paper.yaml").read_text())
    config["policies"]["1b4"]["checkpoint"] = "someone/else"
    study = read_study(config)
    assert policy_shape(study, "1b4").num_layers == 24
    with pytest.raises(
        UserError, match=r"policies\.1b4\.checkpoint: .*someone/else.* local folder"
    ):
        describe_plan(study, A100)


def test_of_the_papers_scale_only_ppo_of_the_largest_policy_does_not_fit() -> None:
    study = read_study(yaml.safe_load((ROOT / "config" / "paper.yaml").read_text()))
    text = describe_plan(study, A100)
    assert "Plan of paper: 693 jobs" in text
    assert "Too large   ppo needs 101 GB" in text
    jobs = planned_jobs(study)
    assert {(job.rule, job.cell.policy_size) for job in jobs if job.cost.gpu_memory > 80e9} == {
        ("ppo", "6b9")
    }


def test_gpus_share_training_and_read_faster_than_a_core() -> None:
    shape = KNOWN_SHAPES["EleutherAI/pythia-1.4b"]
    one = Gpus(A100, Compute(gpu=True, precision="bf16"))
    two = Gpus(A100, Compute(gpu=True, precision="bf16", num_processes=2))
    assert two.training(shape, TEXTS, 0) == pytest.approx(one.training(shape, TEXTS, 0) / 2)
    assert one.reading(shape, TEXTS) < CORE.reading(shape, TEXTS) / 100


def test_training_memory_by_hand() -> None:
    shape = KNOWN_SHAPES["EleutherAI/pythia-6.9b"]
    full = training_bytes(shape, Compute(precision="bf16"), TEXTS.times(0))
    assert full == 16 * shape.num_parameters > A100.memory
    # Frozen weights are read in fp32 too: bf16 is for the products alone.
    lora = training_bytes(shape, Compute(precision="bf16", lora_rank=64), TEXTS.times(0))
    assert 4 * shape.num_parameters < lora < 5 * shape.num_parameters
    plain = training_bytes(shape, Compute(precision="bf16"), TEXTS)
    checkpointed = Compute(precision="bf16", gradient_checkpointing=True)
    assert training_bytes(shape, checkpointed, TEXTS) - full < (plain - full) / 4


def job(name: str, seconds: float, *needs: str) -> PlannedJob:
    return PlannedJob(name, name, Cost(seconds, 100, Disk(1.0)), needs)


def test_critical_path_is_the_longest_chain() -> None:
    jobs = [job("a", 1), job("b", 5), job("c", 2, "a", "b"), job("d", 6, "a"), job("e", 1, "c")]
    path = critical_path(jobs)
    assert (path.seconds, path.rules) == (8, ("b", "c", "e"))


def test_what_is_not_kept_is_temporary() -> None:
    config = config_of("default")
    plan = plan_of(read_study(config))
    assert sum(rule.temporary for rule in plan.values()) == 0
    names = ("ppo_policies", "proxy_rms", "backbones", "pools")
    lean = plan_of(read_study({**config, "keep": dict.fromkeys(names, False)}))
    for rule in ("proxy_rm", "backbone", "pool", "deep_pool"):
        assert lean[rule].temporary > 0
        assert lean[rule].kept < plan[rule].kept
    # The policies PPO ends with have no reader: gone when the job is.
    assert lean["ppo"].temporary == 0
    assert lean["ppo"].kept < plan["ppo"].kept


def test_more_data_and_larger_models_take_longer() -> None:
    study = study_of("default")
    by_size = [cost(study, "best_of_n", Cell("", size)).seconds for size in study.proxy_sizes]
    assert by_size == sorted(by_size)
    once, again = (cost(study, "proxy_rm", Cell("", "s7", 2000, epochs)) for epochs in (1, 4))
    assert once.seconds < again.seconds
    small, large = (cost(study, "ppo", Cell(size, "s7")) for size in ("small", "large"))
    assert small.gpu_bytes < large.gpu_bytes


def test_command_prints_a_table_with_totals() -> None:
    done = CliRunner().invoke(app, ["plan", "--configfile", str(ROOT / "config" / "test.yaml")])
    assert done.exit_code == 0
    for text in ("Plan of test: 46 jobs", "proxy_rm", "At least", "kept", "Assumed:"):
        assert text in done.output


def test_command_refuses_an_unknown_gpu() -> None:
    done = CliRunner().invoke(app, ["plan", "--gpu", "tpu"])
    assert done.exit_code == 1
    assert "--gpu: tpu is not known; expected one of a100, h100" in done.output


# The plan prints the constants that it uses, and counts as the jobs do.


def gpu_compute(**keys: Any) -> Compute:
    return Compute(gpu=True, precision="bf16", **keys)


def test_texts_print_the_constants_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_of("test")
    assert f"({CORE.training_rate / 1e9:.0f} GFLOP/s in training)" in describe_plan(study, A100)
    faster = dataclasses.replace(CORE, training_rate=123e9)
    monkeypatch.setattr(plan_text, "CORE", faster)
    monkeypatch.setattr(plan_text, "SNAKEMAKE_SECONDS", 7.5)
    text = describe_plan(study, A100)
    assert "(123 GFLOP/s in training)" in text
    assert "another 7.5 CPU seconds a job" in text


def test_seconds_beside_a_job_are_those_measured_and_those_of_the_docs() -> None:
    measured = json.loads((ROOT / "benchmarks/results.json").read_text())["workflow"]["tiny_study"]
    beside = measured["snakemake_per_job"] + measured["unrecorded_per_job"]
    assert SNAKEMAKE_SECONDS == round(beside, 1)
    docs = [(ROOT / "docs" / name).read_text() for name in ("performance.md", "planning.md")]
    told = re.findall(r"another ([\d.]+) CPU seconds a job", " ".join(" ".join(docs).split()))
    assert told and set(map(float, told)) == {SNAKEMAKE_SECONDS}


def test_batches_on_a_gpu_are_those_of_the_sampler() -> None:
    shape = ModelShape(64, 2, vocabulary_size=100, intermediate_size=256)
    many = TEXTS.times(1e6)
    assert drawn_at_once(shape, many) == LARGEST_BATCH_ON_GPU == 8192
    large = KNOWN_SHAPES["EleutherAI/pythia-6.9b"]
    assert 1 <= drawn_at_once(large, many) < 8192
    # Its batches need so many steps, each with the weights and the starts of kernels.
    on = Gpus(A100, gpu_compute())
    halved = dataclasses.replace(on, sampling_layer=on.sampling_layer / 2)
    num_steps = many.number / 8192 * many.longest_response
    launches = num_steps * shape.num_layers * on.sampling_layer / 2
    saved = on.sampling(shape, many) - halved.sampling(shape, many)
    assert saved == pytest.approx(launches)


@pytest.mark.parametrize("rule", ["pool", "pool_gold_scores", "best_of_n", "deep_best_of_n"])
def test_pools_and_scores_are_fp32_whatever_trainings_are(rule: str) -> None:
    config = yaml.safe_load((ROOT / "config" / "gpu.yaml").read_text())
    costs = []
    for precision in ("fp32", "bf16"):
        config["compute"]["precision"] = precision
        costs.append(cost(read_study(config), rule, Cell("small", "s1")))
    assert costs[0].seconds == costs[1].seconds
    assert costs[0].gpu_bytes == costs[1].gpu_bytes


def test_jobs_that_score_run_where_their_rules_ask_for() -> None:
    config = config_of("default")
    config["proxy_sizes"]["s7"]["compute"] = {"gpu": True}
    study = read_study(config)
    assert cost(study, "proxy_rm", Cell("", "s7", 2000, 1)).num_gpus == 1
    # `compute.gpu` of the study decides for scores; the plan took that of the size.
    assert cost(study, "best_of_n", Cell("small", "s7")).num_gpus == 0


def test_the_vocabulary_is_the_worlds() -> None:
    assert policy_shape(study_of("test"), "small").vocabulary_size == len(VOCABULARY)


def test_ppo_under_lora_holds_the_initial_policy_beside_its_own() -> None:
    study = read_study(yaml.safe_load((ROOT / "config" / "paper.yaml").read_text()))
    assert study.policy_compute("6b9").lora_rank
    models = 2 * policy_shape(study, "6b9").num_parameters + gold_shape(study).num_parameters
    assert cost(study, "ppo", Cell("6b9", "14m")).gpu_bytes > CUDA_CONTEXT + 4 * models
