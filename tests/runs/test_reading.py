"""Files of other people's runs: the format, the keys, the unit of KL, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from overopt.errors import UserError
from overopt.runs.reading import Choices, read_run
from overopt.runs.record import RunCurve, ScoredSamples
from overopt.theory.kl import best_of_n_kl

LOGS = Path(__file__).parent / "recorded"


def curve_of(path: Path, choices: Choices | None = None) -> RunCurve:
    (record,) = read_run(path, choices)
    assert isinstance(record, RunCurve)
    return record


def samples_of(path: Path, choices: Choices | None = None) -> ScoredSamples:
    (record,) = read_run(path, choices)
    assert isinstance(record, ScoredSamples)
    return record


def history(name: str) -> list[dict]:
    return json.loads((LOGS / name / "trainer_state.json").read_text())["log_history"]


def write_jsonl(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


# What real trainers wrote (make_logs.py, make_events.py).


def test_ppo_of_trl_logs_kl_per_sequence():
    curve = curve_of(LOGS / "trl_ppo_1.12.0")
    rows = history("trl_ppo_1.12.0")
    assert curve.format.startswith("TRL PPO")
    assert curve.kl is not None and curve.kl_source is not None
    assert curve.kl.tolist() == [row["objective/kl"] for row in rows]
    assert (curve.kl_source.unit, curve.kl_source.estimator) == ("sequence", "k1")
    assert any("temperature .7" in doubt for doubt in curve.kl_source.doubts)
    assert any("approxkl" in note for note in curve.notes)
    assert curve.gold is None


@pytest.mark.parametrize("trainer", ["rloo", "grpo"])
def test_groups_of_trl_log_kl_per_token(trainer):
    curve = curve_of(LOGS / f"trl_{trainer}_1.16.0")
    rows = [row for row in history(f"trl_{trainer}_1.16.0") if "reward" in row]
    expected = [row["kl"] * row["completions/mean_length"] for row in rows]
    assert curve.kl is not None and curve.kl_source is not None
    np.testing.assert_allclose(curve.kl, expected)
    assert curve.kl_source.unit == "token" and curve.kl_source.is_exact_conversion
    # Only k1 can be below 0; GRPO's k3 cannot.
    assert curve.kl_source.estimator == ("k1" if trainer == "rloo" else "unknown")


def test_a_reward_of_weight_0_is_found_and_taken_for_gold():
    curve = curve_of(LOGS / "trl_rloo_1.16.0")
    rows = [row for row in history("trl_rloo_1.16.0") if "reward" in row]
    assert curve.gold is not None
    assert curve.gold.tolist() == [row["rewards/variety/mean"] for row in rows]
    assert curve.proxy.tolist() == [row["rewards/vowels/mean"] for row in rows]
    assert any("weight 0" in note for note in curve.notes)


def test_online_dpo_says_that_padding_counts():
    curve = curve_of(LOGS / "trl_online_dpo_1.16.0")
    assert curve.kl_source is not None
    assert any("padding" in doubt for doubt in curve.kl_source.doubts)


def test_dpo_has_no_curve():
    with pytest.raises(UserError, match="log-ratios on the data set's responses"):
        read_run(LOGS / "trl_dpo_1.16.0")


def test_event_files_of_tensorboard_are_read_without_it():
    curve = curve_of(LOGS / "openrlhf_tensorboard")
    steps = np.arange(1, 41)
    assert curve.points.tolist() == steps.tolist()
    np.testing.assert_allclose(curve.proxy, 0.05 * steps, rtol=1e-6)
    assert curve.kl is not None and curve.kl_source is not None
    # The unclamped log-ratio, not the clamped kl; means over responses of means over tokens.
    np.testing.assert_allclose(curve.kl, 0.002 * steps * (100 + steps), rtol=1e-6)
    assert curve.keys["kl"] == "train/logprobs_diff"
    assert not curve.kl_source.is_exact_conversion
    assert any("ppo_kl is not used" in note for note in curve.notes)


def test_an_event_file_that_is_cut_short_gives_what_is_whole(tmp_path):
    content = (LOGS / "openrlhf_tensorboard" / "events.out.tfevents.0.run").read_bytes()
    (tmp_path / "events.out.tfevents.1").write_bytes(content[: len(content) // 2])
    num_points = len(curve_of(tmp_path / "events.out.tfevents.1").points)
    assert 15 <= num_points < 40


def test_completions_of_trl_have_a_column_a_reward():
    samples = samples_of(LOGS / "trl_grpo_1.16.0" / "completions")
    assert samples.keys["proxy"] == "vowels" and samples.keys["gold"] == "variety"
    tables = [pd.read_parquet(p) for p in sorted((LOGS / "trl_grpo_1.16.0/completions").iterdir())]
    table = pd.concat(tables)
    assert samples.table["proxy"].tolist() == table["vowels"].tolist()
    assert samples.table["prompt_id"].nunique() == table["prompt"].nunique()


# Formats by the keys that their writers' sources name.


def verl_rows(num: int = 10, **keys: float) -> list[dict]:
    return [
        {
            "step": step,
            "data": {"critic/score/mean": 0.1 * step, "response_length/mean": 50.0} | keys,
        }
        for step in range(1, num + 1)
    ]


def test_verl_without_kl_says_why_and_what_to_do(tmp_path):
    curve = curve_of(write_jsonl(tmp_path / "log.jsonl", verl_rows(**{"actor/ppo_kl": 0.1})))
    assert curve.kl is None
    assert any("use_kl_in_reward" in missing for missing in curve.missing)
    assert any("ppo_kl is not used" in note for note in curve.notes)


def test_verl_prefers_the_kl_of_the_reward(tmp_path):
    keys = {"actor/reward_kl_penalty": 0.02, "actor/kl_loss": 0.03}
    curve = curve_of(write_jsonl(tmp_path / "log.jsonl", verl_rows(**keys)))
    assert curve.kl is not None and curve.kl_source is not None
    np.testing.assert_allclose(curve.kl, 1.0)
    assert not curve.kl_source.is_exact_conversion


def test_kl_per_token_without_a_length_is_no_kl(tmp_path):
    rows = [{"step": i, "reward": 0.1 * i, "policy_loss": 0.0, "kl": 0.1} for i in range(1, 9)]
    path = write_jsonl(tmp_path / "log.jsonl", rows)
    choices = Choices({"proxy": "reward", "kl": "kl"}, kl_unit="token")
    curve = curve_of(path, choices)
    assert curve.kl is None
    assert any("per token" in missing for missing in curve.missing)
    curve = curve_of(path, Choices({"proxy": "reward", "kl": "kl"}, kl_unit="sequence"))
    assert curve.kl is not None and curve.kl.tolist() == [0.1] * 8


def test_k2_is_refused_as_a_kl(tmp_path):
    rows = [{"step": i, "reward": 0.1 * i, "kl": 0.1} for i in range(1, 9)]
    path = write_jsonl(tmp_path / "log.jsonl", rows)
    choices = Choices({"proxy": "reward", "kl": "kl"}, kl_estimator="k2")
    curve = curve_of(path, choices)
    assert curve.kl is None and any("k2" in missing for missing in curve.missing)


def test_a_resumed_run_counts_its_later_rows(tmp_path):
    rows = verl_rows(8)[:6] + [
        {"step": step, "data": {"critic/score/mean": 9.0}} for step in (4, 5, 6, 7)
    ]
    curve = curve_of(write_jsonl(tmp_path / "log.jsonl", rows))
    assert curve.points.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert curve.proxy.tolist()[3:] == [9.0] * 4
    assert any("resumed" in note for note in curve.notes)


def test_two_runs_in_one_file_are_refused(tmp_path):
    path = write_jsonl(tmp_path / "log.jsonl", verl_rows(5) + verl_rows(5))
    with pytest.raises(UserError, match="more than one run"):
        read_run(path)


def test_a_log_that_is_cut_short_gives_its_whole_lines(tmp_path):
    path = write_jsonl(tmp_path / "log.jsonl", verl_rows(5))
    path.write_text(path.read_text()[:-20])
    curve = curve_of(path)
    assert len(curve.points) == 4
    assert any("cut short" in note for note in curve.notes)


def test_a_state_that_is_cut_short_is_refused(tmp_path):
    text = (LOGS / "trl_rloo_1.16.0" / "trainer_state.json").read_text()
    (tmp_path / "trainer_state.json").write_text(text[:500])
    with pytest.raises(UserError, match="cut short"):
        read_run(tmp_path / "trainer_state.json")


def test_rows_that_are_not_finite_are_left_out_and_counted(tmp_path):
    rows = verl_rows(8)
    rows[3]["data"]["critic/score/mean"] = float("nan")
    curve = curve_of(write_jsonl(tmp_path / "log.jsonl", rows))
    assert len(curve.points) == 7
    assert any("1 of 8 steps" in note for note in curve.notes)


def test_a_table_of_runs_is_no_history(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("Name,State,train/reward\nfirst,finished,1.0\nsecond,finished,2.0\n")
    with pytest.raises(UserError, match="scan_history"):
        read_run(path)


def test_a_chart_export_holds_runs_by_name_and_its_bands_are_no_series(tmp_path):
    path = tmp_path / "chart.csv"
    metrics = ("train/objective/scores", "train/objective/kl", "train/val/ratio")
    header = ["Step"]
    for run in ("one", "two"):
        for metric in metrics:
            header += [f"{run} - {metric}{band}" for band in ("", "__MIN", "__MAX")]
    lines = [",".join(header)]
    for step in range(1, 7):
        values = [str(step)]
        for factor in (1, 2):
            for number in (0.1 * step * factor, 0.5 * step, 1.0):
                values += [str(number), "-99", "99"]
        lines.append(",".join(values))
    path.write_text("\n".join(lines) + "\n")
    one, two = read_run(path)
    assert (one.name, two.name) == ("one", "two")
    assert isinstance(two, RunCurve) and two.kl is not None
    np.testing.assert_allclose(two.proxy, 0.2 * np.arange(1, 7))
    np.testing.assert_allclose(two.kl, 0.5 * np.arange(1, 7))


def test_means_of_best_of_n_get_their_kl_from_n(tmp_path):
    rows = [{"n": n, "proxy_score": n**0.5, "gold_score": n**0.3} for n in (1, 8, 2, 4, 16)]
    path = tmp_path / "bon_sampled_results.json"
    path.write_text(json.dumps(rows))
    curve = curve_of(path)
    assert curve.points.tolist() == [1, 2, 4, 8, 16]
    assert curve.kl is not None and curve.gold is not None
    np.testing.assert_allclose(curve.kl, best_of_n_kl([1, 2, 4, 8, 16]))
    np.testing.assert_allclose(curve.gold, np.array([1, 2, 4, 8, 16]) ** 0.3)


def test_scores_of_reward_bench_hold_no_optimization(tmp_path):
    path = write_jsonl(tmp_path / "scores.jsonl", [{"chosen": 1.0, "rejected": 0.5}] * 3)
    with pytest.raises(UserError, match="RewardBench"):
        read_run(path)


def test_a_temperature_is_told(tmp_path):
    path = write_jsonl(tmp_path / "log.jsonl", verl_rows())
    curve = curve_of(path, Choices(temperature=0.7))
    assert any("temperature 0.7" in note for note in curve.notes)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", "", "empty"),
        ("a.txt", "hello", "no format known"),
        ("a.jsonl", '{"step": 1, "loss": 2.0}\n', "no trainer known"),
        ("trainer_state.json", '{"log_history": []}', "log_history"),
    ],
)
def test_what_holds_no_run_is_refused_in_a_sentence(tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=words):
        read_run(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="is not there"):
        read_run(tmp_path / "none.json")


# Scored samples.


def sample_rows(num_prompts: int = 3, num: int = 8) -> list[dict]:
    return [
        {"prompt": f"p{p}", "response": f"r{i % 6}", "proxy": i + p, "gold": 2.0 * i}
        for p in range(num_prompts)
        for i in range(num)
    ]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "jsonl.gz"])
def test_samples_are_the_same_in_every_container(tmp_path, kind):
    rows = sample_rows()
    path = tmp_path / f"samples.{kind}"
    frame = pd.DataFrame(rows)
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=True)
    table = samples_of(path).table
    assert table["proxy"].tolist() == frame["proxy"].tolist()
    assert table["gold"].tolist() == frame["gold"].tolist()
    assert table["prompt_id"].tolist() == np.repeat([0, 1, 2], 8).tolist()
    assert table.groupby("prompt_id")["response_id"].nunique().tolist() == [6, 6, 6]


def test_a_score_that_is_no_number_names_its_row(tmp_path):
    rows = sample_rows()
    rows[4]["proxy"] = "high"
    with pytest.raises(UserError, match="row 5: proxy is 'high'"):
        read_run(write_jsonl(tmp_path / "samples.jsonl", rows))


def test_log_ratios_come_from_both_log_probabilities(tmp_path):
    rows = [row | {"logprob": -3.0, "ref_logprob": -5.5, "step": 1} for row in sample_rows()]
    table = samples_of(write_jsonl(tmp_path / "samples.jsonl", rows)).table
    assert table["log_ratio"].tolist() == [2.5] * len(rows)


def test_columns_may_be_named(tmp_path):
    rows = [{"q": "a", "a": "b", "rm": 1.0 * i} for i in range(8)]
    path = write_jsonl(tmp_path / "samples.jsonl", rows)
    samples = samples_of(path, Choices({"prompt": "q", "response": "a", "proxy": "rm"}))
    assert samples.table["proxy"].tolist() == [1.0 * i for i in range(8)]
    with pytest.raises(UserError, match="no column rn"):
        read_run(path, Choices({"prompt": "q", "response": "a", "proxy": "rn"}))
