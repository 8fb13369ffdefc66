"""Hardware of training jobs: what the config says, what reaches a job, what makes it stale."""

from pathlib import Path

import pytest
import yaml

from overopt.config.compute import ComputeConfig, Execution, launcher
from overopt.errors import UserError
from overopt.study import job_settings
from overopt.study.job_settings import as_param
from overopt.study.study import Study, read_study

CONFIG = Path(__file__).resolve().parents[2] / "config" / "test.yaml"


def config(small: dict | None = None, s1: dict | None = None, **compute: object) -> dict:
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8")) | {"compute": compute}
    config["policies"]["small"]["compute"] = small or {}
    config["proxy_sizes"]["s1"]["compute"] = s1 or {}
    return config


def study(**changes) -> Study:
    return Study.model_validate(config(**changes))


def settings(study: Study) -> dict[str, str]:
    """The settings of one training job of each kind."""
    run = study.runs("ppo")[0]
    return {
        "policy": as_param(job_settings.policy_settings(study, "small")),
        "large": as_param(job_settings.policy_settings(study, "large")),
        "gold_rm": as_param(job_settings.gold_rm_settings(study)),
        "backbone": as_param(job_settings.backbone_settings(study, "s1", 0)),
        "proxy_rm": as_param(job_settings.proxy_rm_settings(study, run.proxy_rm)),
        "ppo": as_param(job_settings.ppo_settings(study, run)),
    }


def test_a_size_overrides_the_keys_it_gives():
    both = study(small={"gpu": False, "num_processes": 4}, gpu=True, precision="bf16")
    assert both.policy_compute("small") == ComputeConfig(
        gpu=False, num_processes=4, precision="bf16"
    )
    assert both.policy_compute("large") == both.compute == both.proxy_compute("s1")
    assert study(s1={"lora_rank": None}, lora_rank=8).proxy_compute("s1").lora_rank is None


@pytest.mark.parametrize(
    "change",
    [{"num_processes": 2}, {"gpu": True}, {"gradient_accumulation": 4}]
    + [{"gradient_checkpointing": True}],
)
def test_what_changes_no_result_makes_no_job_stale(change):
    assert settings(study(**change)) == settings(study())


@pytest.mark.parametrize("change", [{"precision": "bf16"}, {"lora_rank": 4}])
def test_what_changes_results_makes_the_jobs_of_that_size_stale(change):
    before, every = settings(study()), settings(study(**change))
    assert all(every[name] != before[name] for name in before)
    one = settings(study(small=change))
    assert {name for name in before if one[name] != before[name]} == {"policy", "ppo"}


def test_faults_of_the_section_are_told_together():
    with pytest.raises(UserError) as raised:
        read_study(config(precision="fp16", num_processes=0, gradient_acumulation=2))
    text = str(raised.value)
    assert "compute.precision: found 'fp16'; expected 'fp32' or 'bf16'" in text
    assert "compute.num_processes: found 0; expected" in text
    assert "did you mean gradient_accumulation?" in text


def test_adapters_on_random_weights_are_a_fault():
    with pytest.raises(UserError) as raised:
        read_study(config(s1={"lora_rank": None}, lora_rank=4))
    for size in ("policies.small", "policies.large", "proxy_sizes.s2", "proxy_sizes.s3"):
        assert f"{size}: lora_rank is 4, but this size starts from random weights" in str(
            raised.value
        )
    assert "proxy_sizes.s1" not in str(raised.value)


# The command line


def test_one_process_is_plain_python():
    assert launcher(ComputeConfig()) == launcher(ComputeConfig(gpu=True)) == "python"


def test_several_processes_are_launched_by_accelerate():
    command = launcher(ComputeConfig(num_processes=2))
    assert command.startswith("env ACCELERATE_USE_CPU=true accelerate launch ")
    assert "--num_processes 2 " in command
    assert "ACCELERATE_USE_CPU" not in launcher(ComputeConfig(num_processes=2, gpu=True))
    assert ComputeConfig(num_processes=2, gpu=True).gres == "gpu:2"
    assert ComputeConfig(num_processes=2).gres is None


def test_the_environment_tells_a_job_how_to_fit_its_batches(monkeypatch):
    compute = ComputeConfig(gradient_accumulation=3, gradient_checkpointing=True)
    env, *assignments, python = launcher(compute).split()
    assert (env, python) == ("env", "python")
    assert Execution.from_environment() == Execution()
    for assignment in assignments:
        monkeypatch.setenv(*assignment.split("="))
    assert Execution.from_environment() == Execution(
        num_accumulation_steps=3, recompute_activations=True
    )
