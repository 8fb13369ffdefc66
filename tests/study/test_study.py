"""The study: shipped configs, the grid, and the settings and seed of every job."""

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from overopt.config.cells import ProxyRM, Run
from overopt.config.strict_model import StrictModel
from overopt.study import job_settings
from overopt.study.figure_settings import figure_settings
from overopt.study.job_settings import as_param
from overopt.study.study import Study, read_study

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted((ROOT / "config").rglob("*.yaml"))

Edit = Callable[[dict], object]


def load(name: str = "test") -> dict:
    return yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text(encoding="utf-8"))


def study_with(*edits: Edit) -> Study:
    config = load()
    for edit in edits:
        edit(config)
    return read_study(config)


def jobs(study: Study) -> dict[str, StrictModel]:
    """The settings of every job, by its kind and what it is for."""
    settings: dict[str, StrictModel] = {
        "demonstrations": job_settings.embedded_demonstration_settings(study),
        "human_comparisons": job_settings.embedded_comparison_settings(study),
        "gold_rm": job_settings.gold_rm_settings(study),
        "synthetic_responses": job_settings.synthetic_response_settings(study),
        "synthetic_comparisons": job_settings.label_settings(study),
        "pool_gold_scores": job_settings.pool_score_settings(study),
        "fits": job_settings.analysis_settings(study),
        "figures": figure_settings(study),
    }
    for size in study.policy_sizes():
        settings[f"policy: {size}"] = job_settings.policy_settings(study, size)
    for size in dict.fromkeys(run.policy_size for run in study.runs("best_of_n")):
        settings[f"pool: {size}"] = job_settings.pool_settings(study, size)
    for rm in study.proxy_rms():
        backbone = job_settings.backbone_settings(study, rm.proxy_size, rm.seed)
        settings[f"backbone: {rm.proxy_size} {rm.seed}"] = backbone
        settings[f"proxy_rm: {rm}"] = job_settings.proxy_rm_settings(study, rm)
    for run in study.runs("best_of_n"):
        settings[f"best_of_n: {run}"] = job_settings.best_of_n_settings(study, run)
    for run in study.runs("ppo"):
        settings[f"ppo: {run}"] = job_settings.ppo_settings(study, run)
    return settings


def kind(job: str) -> str:
    return job.split(":")[0]


def params(study: Study) -> dict[str, str]:
    return {job: as_param(settings) for job, settings in jobs(study).items()}


# Shipped configs.


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_config_is_valid(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    if config["data"]["source"] == "files":  # the paths stand for the user's own files
        monkeypatch.chdir(tmp_path)
        for key in ("demonstrations", "comparisons"):
            file = tmp_path / config["data"][key]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    study = read_study(config)
    assert study.runs("best_of_n")
    assert study.runs("ppo")


def test_shipped_configs_write_to_different_folders() -> None:
    names = [yaml.safe_load(path.read_text())["name"] for path in SHIPPED]
    assert len(set(names)) == len(names) >= 2


def test_reading_a_config_imports_neither_torch_nor_pandas() -> None:
    code = "import sys, overopt.study.study; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "pandas", "datasets"} & set(done.stdout.split())


def test_reading_leaves_the_config_as_it_was() -> None:
    config = load()
    read_study(config)
    assert config == load()


# The grid: a union of products.


def sweep(**axes: list) -> dict:
    return {
        "methods": ["best_of_n", "ppo"],
        "policy_sizes": ["small"],
        "proxy_sizes": ["s1"],
        "num_comparisons": [500],
        **axes,
    }


def grid_of(seeds: list[int], **sweeps: dict) -> Edit:
    return lambda config: config.update(grid={"seeds": seeds, "sweeps": sweeps})


def product(**axes: list) -> set[ProxyRM]:
    return {
        ProxyRM.model_validate(dict(zip(axes, cell, strict=True)))
        for cell in itertools.product(*axes.values())
    }


def test_the_grid_is_a_union_of_products() -> None:
    study = study_with(
        grid_of(
            [0, 3],
            sizes=sweep(proxy_sizes=["s1", "s2", "s3"], kl_coefs=[0, 0.1], methods=["ppo"]),
            data=sweep(proxy_sizes=["s2"], num_comparisons=[500, 2000], num_epochs=[1, 4]),
        )
    )
    sizes = product(
        proxy_size=["s1", "s2", "s3"], num_comparisons=[500], num_epochs=[1], seed=[0, 3]
    )
    data = product(proxy_size=["s2"], num_comparisons=[500, 2000], num_epochs=[1, 4], seed=[0, 3])
    ppo = {(0.0, rm) for rm in sizes | data} | {(0.1, rm) for rm in sizes}
    assert {(run.kl_coef, run.proxy_rm) for run in study.runs("ppo")} == ppo
    assert set(study.grid.runs("best_of_n")) == {
        Run(method="best_of_n", policy_size="small", proxy_rm=rm) for rm in data
    }
    assert set(study.proxy_rms()) == sizes | data


def test_a_sweep_may_have_seeds_of_its_own() -> None:
    study = study_with(
        grid_of(
            [0],
            sizes=sweep(methods=["ppo"]),
            more_seeds=sweep(methods=["best_of_n"], seeds=[0, 1, 2]),
        )
    )
    assert [run.proxy_rm.seed for run in study.runs("ppo")] == [0]
    assert [run.proxy_rm.seed for run in study.grid.runs("best_of_n")] == [0, 1, 2]
    assert {rm.seed for rm in study.proxy_rms()} == {0, 1, 2}


def test_a_cell_that_two_sweeps_share_occurs_once() -> None:
    study = study_with(
        grid_of([0], one=sweep(proxy_sizes=["s1", "s2"]), other=sweep(proxy_sizes=["s2", "s3"]))
    )
    for runs in (study.runs("best_of_n"), study.runs("ppo"), study.proxy_rms()):
        assert len(runs) == len(set(runs)) == 3


def test_a_value_written_in_two_ways_is_one_cell() -> None:
    study = study_with(
        grid_of([0], one=sweep(kl_coefs=[0, 0.0, "0"]), other=sweep(num_comparisons=["500"]))
    )
    assert len(study.runs("ppo")) == 1


def test_a_disabled_sweep_is_left_out() -> None:
    disabled = {**sweep(proxy_sizes=["s2"]), "enabled": False}
    study = study_with(grid_of([0], on=sweep(), off=disabled))
    assert {rm.proxy_size for rm in study.proxy_rms()} == {"s1"}


def test_the_order_is_that_of_the_config_and_grows_at_the_end() -> None:
    first, second = sweep(proxy_sizes=["s2", "s1"]), sweep(proxy_sizes=["s3", "s1"])
    one = study_with(grid_of([1, 0], first=first))
    both = study_with(grid_of([1, 0], first=first, second=second))
    assert [(run.proxy_rm.proxy_size, run.proxy_rm.seed) for run in both.runs("ppo")] == [
        *(("s2", 1), ("s2", 0), ("s1", 1), ("s1", 0)),
        *(("s3", 1), ("s3", 0)),
    ]
    assert both.runs("ppo")[: len(one.runs("ppo"))] == one.runs("ppo")
    again = study_with(grid_of([1, 0], first=first, second=second))
    assert params(again) == params(both)
    assert list(params(again)) == list(params(both))


def test_every_curve_finds_its_zero_points() -> None:
    """Recalibration reads n = 1 of the run's own and of the main policy, same proxy."""
    study = study_with(
        grid_of([0, 1], rl=sweep(methods=["ppo"], policy_sizes=["large"], kl_coefs=[0, 0.1]))
    )
    assert study.grid.runs("best_of_n") == []
    curves = set(study.runs("best_of_n"))
    for run in study.runs("ppo"):
        for policy_size in (run.policy_size, study.main_policy):
            assert Run(method="best_of_n", policy_size=policy_size, proxy_rm=run.proxy_rm) in curves
    assert len(curves) == 4  # two policies, two seeds, and none for each KL penalty


def test_every_policy_in_use_is_trained() -> None:
    study = study_with(
        grid_of([0], one=sweep(policy_sizes=["large"])),
        lambda config: config["gold_rm"].update(backbone="third"),
        lambda config: config["policies"].update(third=config["policies"]["small"]),
        lambda config: config["policies"].update(unused=config["policies"]["small"]),
    )
    assert sorted(study.policy_sizes()) == ["large", "small", "third"]


# A job's settings are what it uses, and nothing else.

ADDITIONS: dict[str, Edit] = {
    "a seed": lambda config: config["grid"]["seeds"].append(1),
    "a seed before the others": lambda config: config["grid"]["seeds"].insert(0, 7),
    "a proxy size": lambda config: (
        config["proxy_sizes"].update(new=config["proxy_sizes"]["s1"]),
        config["grid"]["sweeps"]["rm_size"]["proxy_sizes"].insert(0, "new"),
    ),
    "a policy size": lambda config: (
        config["policies"].update(new=config["policies"]["small"]),
        config["grid"]["sweeps"]["policy_size"]["policy_sizes"].append("new"),
    ),
    "a data size": lambda config: config["grid"]["sweeps"]["rm_data"]["num_comparisons"].append(9),
    "epochs": lambda config: config["grid"]["sweeps"]["rm_data"].update(num_epochs=[1, 4]),
    "a KL penalty": lambda config: config["grid"]["sweeps"]["rm_size"].update(kl_coefs=[0, 0.1]),
    "a sweep": lambda config: config["grid"]["sweeps"].update(
        kl=sweep(methods=["ppo"], policy_sizes=["large"], kl_coefs=[0.05])
    ),
    "a name": lambda config: config.update(name="other"),
}


@pytest.mark.parametrize("addition", ADDITIONS)
def test_an_addition_changes_no_other_job(addition: str) -> None:
    before, after = params(study_with()), params(study_with(ADDITIONS[addition]))
    assert {job: after.get(job) for job in before} == before
    assert (len(after) > len(before)) == (addition != "a name")


TOUCHED: dict[str, tuple[str, object, set[str]]] = {
    "annotators": ("data.annotators.inverse_temperature", 2, {"human_comparisons"}),
    "candidates": ("data.candidates.policy_share", 0.5, {"human_comparisons"}),
    "demonstrations": ("data.num_demonstrations", 2000, {"demonstrations"}),
    "human comparisons": ("gold_rm.num_comparisons", 3000, {"human_comparisons", "gold_rm"}),
    "gold learning rate": ("gold_rm.learning_rate", 1e-3, {"gold_rm"}),
    "SFT": ("policies.large.num_epochs", 3, {"policy"}),
    "PPO's learning rate": ("policies.small.ppo_learning_rate", 1e-4, {"ppo"}),
    "PPO": ("ppo.cliprange", 0.1, {"ppo"}),
    "size of a proxy": ("proxy_sizes.s1.num_layers", 2, {"backbone"}),
    "rate of a proxy": ("proxy_sizes.s1.learning_rate", 1e-3, {"backbone", "proxy_rm"}),
    "backbones": ("backbone.batch_size", 32, {"backbone"}),
    "proxies": ("proxy_rm.batch_size", 64, {"proxy_rm"}),
    "largest n": ("best_of_n.max_n", 32, {"best_of_n"}),
    "pool": ("best_of_n.num_responses", 256, {"pool"}),
    "evaluation prompts": ("best_of_n.num_prompts", 8, {"pool", "ppo"}),
    "pairs": ("synthetic_comparisons.num_comparisons", 2500, {"synthetic_responses"}),
    "text": (
        "text",
        {"max_prompt_tokens": 10, "max_response_tokens": "24"},  # the same, in other words
        set(),
    ),
    "splits": (
        "splits",
        {"sft": 0.4, "rm": 0.2, "rm_validation": 0.1, "ppo": 0.15, "evaluation": 0.15},
        {"demonstrations"},
    ),
    "fits": ("analysis.num_bootstrap", 100, {"fits", "figures"}),
}


@pytest.mark.parametrize("case", TOUCHED)
def test_a_key_touches_only_the_jobs_that_use_it(case: str) -> None:
    """What reruns is these jobs and all that reads their outputs (Snakemake's part)."""
    path, value, expected = TOUCHED[case]
    *sections, key = path.split(".")

    def edit(config: dict) -> None:
        for section in sections:
            config = config[section]
        config[key] = value

    before, after = params(study_with()), params(study_with(edit))
    assert before.keys() == after.keys()
    assert {kind(job) for job in before if before[job] != after[job]} == expected


def test_a_param_is_one_json_object_with_sorted_keys() -> None:
    for text in params(study_with()).values():
        assert json.dumps(json.loads(text), sort_keys=True) == text
        assert not re.search("null|NaN|Infinity", re.sub(r'"(proxy_rm|lora_rank)": null', "", text))


def test_a_job_reads_back_exactly_the_settings_it_was_given() -> None:
    for settings in jobs(study_with()).values():
        assert type(settings).model_validate_json(as_param(settings)) == settings


def test_a_cell_named_by_a_path_has_the_settings_of_the_grid() -> None:
    """Wildcards are text; the job that Snakemake starts for a path must be the grid's."""
    study = study_with(ADDITIONS["a sweep"])
    for run in study.runs("ppo"):
        rm = {key: str(value) for key, value in run.proxy_rm.model_dump().items()}
        named = Run.model_validate(
            {
                "method": "ppo",
                "policy_size": run.policy_size,
                "kl_coef": f"{run.kl_coef:g}",
                "proxy_rm": rm,
            }
        )
        assert as_param(job_settings.ppo_settings(study, named)) == as_param(
            job_settings.ppo_settings(study, run)
        )


# Seeds.


def seeds(study: Study) -> Iterator[tuple[str, int]]:
    for job, settings in jobs(study).items():
        if "seed" in type(settings).model_fields:
            rm = getattr(settings, "proxy_rm", None)
            # The proxy RMs of one size and one seed differ in their data only: they share a seed.
            yield (f"{rm.proxy_size} {rm.seed}" if rm else job), settings.seed  # type: ignore[attr-defined]


def test_every_job_has_a_seed_of_its_own() -> None:
    study = study_with(
        ADDITIONS["a seed"], ADDITIONS["epochs"], ADDITIONS["a KL penalty"], ADDITIONS["a sweep"]
    )
    by_job: dict[str, set[int]] = {}
    for job, seed in seeds(study):
        by_job.setdefault(job, set()).add(seed)
    assert all(len(found) == 1 for found in by_job.values())
    assert len(set.union(*by_job.values())) == len(by_job) > 30


def test_another_seed_of_the_study_is_another_seed_for_every_job() -> None:
    before = dict(seeds(study_with()))
    after = dict(seeds(study_with(lambda config: config.update(seed=1))))
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())


def test_proxies_of_one_seed_learn_from_nested_data_and_other_seeds_from_other_data() -> None:
    study = study_with(ADDITIONS["a seed"])
    subsets = {
        (rm.seed, job_settings.proxy_rm_settings(study, rm).subset_seed) for rm in study.proxy_rms()
    }
    assert len(subsets) == 2
    assert len({subset for _, subset in subsets}) == 2
    assert job_settings.gold_rm_settings(study).subset_seed not in {subset for _, subset in subsets}


def test_a_study_cannot_be_changed_once_it_is_read() -> None:
    study = study_with()
    with pytest.raises(ValueError, match="frozen"):
        study.ppo.cliprange = 0.3  # type: ignore[misc]
