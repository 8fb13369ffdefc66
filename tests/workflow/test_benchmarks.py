"""The benchmarks run, and what they compare computes the same thing; nothing here is timed."""

import json
import subprocess
import sys
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import __main__ as command  # noqa: E402
from benchmarks import matmul_share, page, ppo, reward_model, sampler  # noqa: E402
from benchmarks.best_of_n import straightforward  # noqa: E402
from benchmarks.growth import exponent  # noqa: E402
from benchmarks.materials import Materials, Setup  # noqa: E402
from benchmarks.timing import rates, ratio  # noqa: E402
from benchmarks.trl_environment import TRLEnvironment, default_cache  # noqa: E402
from benchmarks.workflow import of_records  # noqa: E402

from library_twins import twin_of  # noqa: E402
from overopt.config.rules import ANALYSIS  # noqa: E402
from overopt.models.loading import num_parameters  # noqa: E402
from overopt.policy.sampling import sample_responses  # noqa: E402
from overopt.theory.best_of_n import best_of_n_scores  # noqa: E402


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Materials:
    folder = tmp_path_factory.mktemp("benchmarks")
    return Materials(Setup(is_quick=True, repeats=1, study=None, cache=folder, work=folder))


@pytest.mark.slow
def test_every_section_runs(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    line = [sys.executable, "-m", "benchmarks", "--quick", "--without-trl", "--out", str(out)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    assert set(results) == set(command.SECTIONS)
    for name, table in page.TABLES.items():
        if name != "summary":  # has rows of the full run only
            assert table(results).startswith(("| ", "No finished study"))
    assert results["best_of_n"]["largest_difference"] < 1e-9
    assert all(row["logprob_error"] < 1e-5 for row in results["sampler"]["rows"])


def test_quick_figures_do_not_replace_measured_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--quick"])
    with pytest.raises(SystemExit):
        command.main()
    assert "--quick needs --out" in capsys.readouterr().err


def test_straightforward_estimator_is_the_mean_over_all_subsets() -> None:
    rng = np.random.default_rng(0)
    proxy = rng.permutation(9)[None].astype(float)
    gold = rng.integers(-5, 5, (1, 9)).astype(float)
    for n in (1, 2, 4, 9):
        subsets = list(combinations(range(9), n))
        best = [gold[0, max(subset, key=lambda i: proxy[0, i])] for subset in subsets]
        exact = Fraction(int(sum(best)), len(subsets))
        assert straightforward(proxy, gold, [n])[0, 0] == pytest.approx(float(exact), abs=1e-14)


def test_straightforward_estimator_equals_ours_on_a_deep_pool() -> None:
    rng = np.random.default_rng(1)
    proxy, gold = (
        rng.permuted(np.tile(np.arange(3000.0), (2, 1)), axis=1),
        rng.normal(size=(2, 3000)),
    )
    ns = [1, 2, 17, 1500, 2999, 3000]
    expected = straightforward(proxy, gold, ns)
    found = best_of_n_scores(proxy, {"gold": gold}, ns)["gold"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_all_samplers_draw_from_the_same_distribution(materials: Materials) -> None:
    """Mean length and share of the likeliest first token, of 2,000 responses to one prompt."""
    policy, prompt = materials.policy("small"), materials.prompts[0]
    prompts = [prompt] * 2000
    torch.manual_seed(0)
    theirs = sampler.generated_ids(twin_of(policy), prompts, materials.max_tokens)
    ours = sample_responses(
        policy, prompts, materials.max_tokens, torch.Generator().manual_seed(0), batch_size=2000
    )
    lengths = sampler.lengths_of(theirs, 2).float(), ours.lengths.float()
    error = (lengths[0].var() / 2000 + lengths[1].var() / 2000).sqrt()
    assert abs(lengths[0].mean() - lengths[1].mean()) < 4 * error
    first = theirs[:, 0].mode().values
    shares = [(ids[:, 0] == first).float().mean() for ids in (theirs, ours.ids)]
    assert abs(shares[0] - shares[1]) < 4 * (2 * shares[0] * (1 - shares[0]) / 2000).sqrt()


def test_continuous_batching_writes_every_response(materials: Materials) -> None:
    prompts = materials.repeated_prompts(8)
    number = sampler.continuous_batching(
        twin_of(materials.policy("small")), prompts, materials.max_tokens
    )
    assert 8 <= number <= 8 * materials.max_tokens


def test_length_counts_the_first_end_and_nothing_after() -> None:
    ids = torch.tensor([[5, 2, 0, 0], [5, 6, 7, 8], [2, 2, 2, 2], [5, 6, 7, 2]])
    assert sampler.lengths_of(ids, 2).tolist() == [2, 4, 1, 4]


def test_ppo_of_trl_gets_our_settings(materials: Materials) -> None:
    config = ppo.config_of(materials, is_quick=False)
    default = materials.study.ppo
    names = (*ppo.SAME_NAMES, "batch_size", "vf_coef", "missing_eos_penalty")
    assert {name: getattr(config, name) for name in names} == {
        name: getattr(default, name) for name in names
    }
    found = ppo.trl_ppo_arguments(config, learning_rate=1e-7, kl_coef=0.05, max_response_tokens=24)
    for name in ppo.SAME_NAMES:
        assert found[name] == getattr(config, name)
    # One microbatch is the whole batch, on both sides.
    assert found["per_device_train_batch_size"] == config.batch_size == 256
    assert found["local_rollout_forward_batch_size"] == config.batch_size
    assert found["gradient_accumulation_steps"] == found["num_mini_batches"] == 1
    assert found["total_episodes"] == config.num_iterations * config.batch_size
    assert found["vf_coef"] * 0.5 == config.vf_coef  # TRL halves the squared error
    assert found["response_length"] == materials.max_tokens
    assert (found["temperature"], found["stop_token"]) == (1.0, "eos")
    assert (found["kl_estimator"], found["whiten_rewards"]) == ("k1", False)
    assert not found["bf16"] and not found["gradient_checkpointing"] and found["use_cpu"]


def test_rloo_of_trl_takes_as_many_episodes_and_passes(materials: Materials) -> None:
    config = ppo.config_of(materials, is_quick=False)
    found = ppo.trl_rloo_arguments(config, learning_rate=1e-7, kl_coef=0.05, max_response_tokens=24)
    assert found["generation_batch_size"] == config.batch_size
    assert found["num_iterations"] == config.num_ppo_epochs
    assert found["max_steps"] == config.num_iterations * config.num_ppo_epochs


def test_trl_that_ran_with_other_settings_is_refused(materials: Materials) -> None:
    config = ppo.config_of(materials, is_quick=False)
    asked = ppo.trl_ppo_arguments(
        config, learning_rate=ppo.LEARNING_RATE, kl_coef=ppo.KL_COEF, max_response_tokens=24
    )
    ours = {"response_length": 12.8}
    theirs = {"response_length": 13.0, "batch_size": 256, "in_effect": asked}
    ppo.check_same_work(ours, theirs, config)
    for change in (
        {"in_effect": {**asked, "num_ppo_epochs": 4}},
        {"batch_size": 64},
        {"response_length": 20.0},
    ):
        with pytest.raises(RuntimeError):
            ppo.check_same_work(ours, {**theirs, **change}, config)


def test_reward_trainer_gets_our_settings(materials: Materials) -> None:
    settings = reward_model.settings_of(materials, 320, 32)
    found = reward_model.trl_arguments(settings)
    assert found["per_device_train_batch_size"] == settings.optimization.batch_size
    assert found["num_train_epochs"] == settings.optimization.num_epochs == 1
    assert (found["adam_beta1"], found["adam_beta2"]) == (0.9, 0.98)
    assert (found["weight_decay"], found["max_grad_norm"]) == (0.01, 1.0)
    assert not found["bf16"] and not found["gradient_checkpointing"]


def test_our_ppo_is_split_into_phases(materials: Materials) -> None:
    run = ppo.run_ours(materials, "small", "s1", ppo.config_of(materials, is_quick=True))
    assert set(run["phases"]) == {"rollout", "score", "update"}
    for index, seconds in enumerate(run["seconds"]):
        parts = sum(values[index] for values in run["phases"].values())
        assert 0 < parts <= seconds
    assert all(len(values) == len(run["seconds"]) for values in run["phases"].values())


def test_operations_are_those_that_torch_counts(materials: Materials) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    model, length, rows = materials.reward_model("s5"), 20, 4
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        twin_of(model).base_model(input_ids=torch.ones(rows, length, dtype=torch.int64))
    # It does not count attention on a CPU: two products of a head's width for each of 210 pairs.
    attention = 2 * 2 * model.config.n_layer * model.config.n_embd * rows * 210
    found = matmul_share.body_operations(model, [length] * rows)
    assert found == counter.get_total_flops() + attention
    assert num_parameters(model) >= matmul_share.SMALLEST


def test_contenders_take_turns_and_the_first_round_does_not_count() -> None:
    calls: list[str] = []

    def work(name: str, items: float) -> float:
        calls.append(name)
        sum(range(20_000))
        return items

    measured = rates({"a": lambda: work("a", 2), "b": lambda: work("b", 1)}, repeats=3)
    assert calls == ["a", "b"] * 4
    assert {name: len(values) for name, values in measured.items()} == {"a": 3, "b": 3}
    assert ratio([2, 6, 4], [1, 2, 4]) == {"median": 2, "min": 1, "max": 3, "repeats": 3}


def test_exponent_of_a_power() -> None:
    assert exponent([1, 10, 100], [2, 2 * 10**1.5, 2 * 10**3]) == pytest.approx(1.5)


def test_share_outside_the_science_comes_from_the_records(tmp_path: Path) -> None:
    for name, script, cpu, start in (
        ("a", "ppo.py", 30, 4),
        ("b", "ppo.py", 50, 4),
        ("c", "x.py", 10, 1),
    ):
        record = {
            "rule_script": script,
            "cpu_seconds": cpu,
            "startup_cpu_seconds": start,
            "git": {"commit": "0" * 40},
        }
        (tmp_path / f"{name}_run_record.json").write_text(json.dumps(record))
    found = of_records(tmp_path, {"snakemake_per_job": 2.0, "unrecorded_per_job": 4 / 3})
    assert [row["stage"] for row in found["stages"]] == ["PPO", ANALYSIS]
    assert found["stages"][0] == {
        "stage": "PPO",
        "jobs": 2,
        "cpu_seconds": 80,
        "startup_cpu_seconds": 8,
    }
    assert found["share_outside"] == pytest.approx((9 + 10) / (90 + 10))


def test_the_page_shows_the_results() -> None:
    """docs/performance.md is made from benchmarks/results.json: `make bench` writes both."""
    text, results = page.PAGE.read_text(), json.loads(command.RESULTS.read_text())
    assert set(results) == set(command.SECTIONS)
    assert page.fill(text, results) == text
    for name in page.TABLES:
        assert f"<!-- {name} -->" in text


@pytest.mark.slow
def test_comparisons_with_trl_run(tmp_path: Path) -> None:
    environment = TRLEnvironment(default_cache())
    if not environment.exists:
        pytest.skip("TRL's environment is not there: `make bench` makes it")
    setup = Setup(is_quick=True, repeats=1, study=None, cache=default_cache(), work=tmp_path)
    materials = Materials(setup)
    row = ppo.measure(setup, materials)["rows"][0]
    assert row["trl_ppo"]["episodes"]["median"] > 0
    assert row["trl_rloo"]["episodes"]["median"] > 0
    row = reward_model.measure(setup, materials)["rows"][0]
    # Both start from the same model: the chance level, ln 2, and little below at first.
    assert row["first_losses"]["trl"] == pytest.approx(row["first_losses"]["ours"], abs=0.02)
