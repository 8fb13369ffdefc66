"""A run beside the reference: what is outside, what chance gives, which verdicts turned."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from overopt.cli import app
from overopt.errors import UserError
from overopt.report.reference import compare_with_reference
from overopt.report.reference_text import describe_comparison, record_reference

VERDICTS = ["supported", "contradicted", "inconclusive"]


def coefficients(rng: np.random.Generator, cells: int = 40, error: float = 0.1) -> pd.DataFrame:
    """Fits whose true alpha is 1 and beta 0.2, with intervals as wide as their error."""
    table = pd.DataFrame(
        {
            "method": "best_of_n",
            "form": "best_of_n",
            "policy_size": "small",
            "proxy_size": [f"s{i}" for i in range(cells)],
            "num_parameters": range(cells),
            "labels": "deterministic",
            "num_comparisons": 2000,
            "num_epochs": 1,
            "kl_coef": 0.0,
            "num_seeds": 3,
            "num_prompts": 64,
        }
    )
    for name, truth in (("alpha", 1.0), ("beta", 0.2)):
        table[name] = truth + rng.normal(0, error, cells)
        table[f"{name}_low"] = table[name] - 1.96 * error
        table[f"{name}_high"] = table[name] + 1.96 * error
    return table


def claims(verdicts: list[str]) -> pd.DataFrame:
    ids = [f"C{number}" for number in range(1, len(verdicts) + 1)]
    return pd.DataFrame({"id": ids, "title": "Gold falls", "verdict": verdicts})


def write(folder: Path, fits: pd.DataFrame, judged: pd.DataFrame, seed: int = 0) -> Path:
    """A finished study, as far as the reference needs it."""
    (folder / "report").mkdir(parents=True, exist_ok=True)
    (folder / "figures").mkdir(exist_ok=True)
    fits.to_csv(folder / "coefficients.csv", index=False, float_format="%.9g")
    judged.to_csv(folder / "claims.csv", index=False)
    for name in ("peaks", "trends", "gold_ceiling", "paper_comparison"):
        fits.head(1).to_csv(folder / f"{name}.csv", index=False)
    settings = {"name": folder.name, "seed": seed, "grid": {"seeds": [0, 1, 2]}}
    settings["analysis"] = {"confidence": 0.95}
    record = {
        "config": json.dumps(settings),
        "rule_script": "report_run.py",
        "cpu_seconds": 1.0,
        "startup_cpu_seconds": 0.5,
        "wall_seconds": 1.0,
        "peak_memory_mb": 100.0,
        "git": {"commit": "abc", "dirty": True},
        "versions": {"numpy": "2.4.6"},
        "device": "cpu",
        "machine": "secret-host",
        "finished": "2026-01-01T00:00:00+00:00",
    }
    (folder / "report/run_record.json").write_text(json.dumps(record))
    (folder / "figures/figure_01a.svg").write_text("<svg/>")
    (folder / "figures/figure_02.svg").write_text("x" * 300_000)
    return folder


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    study = write(tmp_path / "study", coefficients(np.random.default_rng(0)), claims(VERDICTS))
    folder = tmp_path / "reference"
    record_reference(study, folder)
    return folder


def test_a_run_equals_the_reference_made_of_it(reference: Path, tmp_path: Path) -> None:
    comparison = compare_with_reference(tmp_path / "study", reference)
    assert comparison.agrees
    text = describe_comparison(comparison)
    assert "80 in both runs, 80 of them equal. 0 outside" in text
    assert "No verdict changed." in text
    assert "Settings" not in text


def test_recording_keeps_what_is_small_and_names_no_machine(
    reference: Path, tmp_path: Path
) -> None:
    assert (reference / "figures/figure_01a.svg").is_file()
    assert not (reference / "figures/figure_02.svg").exists()
    assert "secret-host" not in (reference / "run.json").read_text()
    run = json.loads((reference / "run.json").read_text())
    assert run["commits"] == {"abc+": 1}
    assert run["cost"][0]["cpu_seconds"] == 1.0
    notes = record_reference(tmp_path / "study", reference)
    assert any("figure_02.svg: 300 kB" in note for note in notes)
    assert any("uncommitted" in note for note in notes)


def test_chance_is_told_and_does_not_fail(tmp_path: Path) -> None:
    """Repeats of one study: the count outside is as told, and few repeats disagree."""
    judged = claims(VERDICTS)
    outside, expected, disagreeing = [], [], 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        old = write(tmp_path / f"{seed}/old", coefficients(rng), judged)
        new = write(tmp_path / f"{seed}/new", coefficients(rng), judged)
        comparison = compare_with_reference(new, old)
        outside.append(comparison.coefficients["is_outside"].sum())
        expected.append(comparison.coefficients["chance"].sum())
        disagreeing += not comparison.agrees
    assert np.mean(expected) == pytest.approx(80 * 0.1658, rel=0.01)
    assert np.mean(outside) == pytest.approx(np.mean(expected), abs=2)
    assert disagreeing <= 5  # 1.5 expected; more than 5 has a chance of 1 in 500


def test_a_coefficient_far_off_is_named_and_fails(reference: Path, tmp_path: Path) -> None:
    fits = coefficients(np.random.default_rng(0))
    fits.loc[3, ["alpha", "alpha_low", "alpha_high"]] += 1.0
    new = write(tmp_path / "new", fits, claims(VERDICTS))
    comparison = compare_with_reference(new, reference)
    far = comparison.coefficients.query("is_beyond_chance")
    assert far[["proxy_size", "coefficient"]].to_numpy().tolist() == [["s3", "alpha"]]
    text = describe_comparison(comparison)
    assert "best-of-n, s3, 2,000 comparisons, policy small alpha: " in text
    assert text.endswith("1 coefficient differs by more than chance gives.")
    done = CliRunner().invoke(app, ["reference", str(new), "--folder", str(reference)])
    assert done.exit_code == 3
    assert done.stdout.strip() == text


def test_fewer_seeds_do_not_raise_a_false_alarm(reference: Path, tmp_path: Path) -> None:
    """With one seed the interval lacks the variance between seeds, which the reference knows."""
    fits = coefficients(np.random.default_rng(7), error=0.17).assign(num_seeds=1)
    for name in ("alpha", "beta"):
        fits[f"{name}_low"], fits[f"{name}_high"] = fits[name] - 0.02, fits[name] + 0.02
    assert compare_with_reference(write(tmp_path / "n", fits, claims(VERDICTS)), reference).agrees


def test_one_seed_without_intervals_is_judged_by_the_error_of_the_reference(tmp_path: Path) -> None:
    fits = coefficients(np.random.default_rng(0))
    reference = write(tmp_path / "reference", fits, claims(["supported"]))
    bounds = [f"{name}_{bound}" for name in ("alpha", "beta") for bound in ("low", "high")]
    single = fits.assign(num_seeds=1, **dict.fromkeys(bounds, np.nan))
    single.loc[0, "alpha"] += 0.2  # 2 of the reference's errors, 1.2 of those of one seed
    single.loc[1, "alpha"] += 3.0
    found = compare_with_reference(
        write(tmp_path / "single", single, claims(["supported"])), reference
    )
    assert len(found.coefficients) == 2 * len(fits), "none is left out"
    beyond = found.coefficients[found.coefficients["is_beyond_chance"]]
    assert beyond["proxy_size"].tolist() == ["s1"]
    # Of two runs with one seed nothing can be judged, and nothing is beyond chance.
    both = compare_with_reference(tmp_path / "single", tmp_path / "single")
    assert both.agrees and not both.coefficients["is_outside"].any()


def test_a_reversed_verdict_fails_an_undecided_one_does_not(
    reference: Path, tmp_path: Path
) -> None:
    fits = coefficients(np.random.default_rng(0))
    undecided = write(tmp_path / "a", fits, claims(["inconclusive", "not run", "supported"]))
    comparison = compare_with_reference(undecided, reference)
    assert comparison.agrees
    assert len(comparison.verdicts) == 3
    assert "C2 Gold falls: contradicted -> not run" in describe_comparison(comparison)
    turned = write(tmp_path / "b", fits, claims(["contradicted", "contradicted"]))
    comparison = compare_with_reference(turned, reference)
    assert not comparison.agrees
    assert comparison.verdicts["verdict"].tolist() == ["contradicted", "absent"]
    assert describe_comparison(comparison).endswith("Verdicts reversed: C1.")


def test_cells_on_one_side_only_and_other_settings_are_told(
    reference: Path, tmp_path: Path
) -> None:
    fits = coefficients(np.random.default_rng(0))
    fits.loc[0, ["num_comparisons", "kl_coef", "labels"]] = [500, 0.05, "sampled"]
    new = write(tmp_path / "new", fits, claims(VERDICTS), seed=1)
    comparison = compare_with_reference(new, reference)
    assert (len(comparison.missing), len(comparison.added)) == (1, 1)
    text = describe_comparison(comparison)
    assert "1 fit is only in the reference:\n  best-of-n, s0, 2,000 comparisons" in text
    assert "500 comparisons, policy small, KL penalty 0.05, labels sampled" in text
    assert "  seed: 0 -> 1" in text


def test_one_alpha_of_all_sizes_counts_once(tmp_path: Path) -> None:
    fits = coefficients(np.random.default_rng(0), cells=5).assign(form="rl_shared_alpha")
    fits[["alpha", "alpha_low", "alpha_high"]] = [1.0, 0.9, 1.1]
    folder = write(tmp_path / "a", fits, claims(VERDICTS))
    assert len(compare_with_reference(folder, folder).coefficients) == 6


def test_mistakes_are_told_in_one_sentence(reference: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no coefficients.csv there; expected the folder of a fin"):
        compare_with_reference(tmp_path / "nowhere", reference)
    fits = coefficients(np.random.default_rng(0)).assign(policy_size="huge")
    with pytest.raises(UserError, match="has no fit in common with the reference"):
        compare_with_reference(write(tmp_path / "o", fits, claims(VERDICTS)), reference)
    with pytest.raises(UserError, match=r"no report/run_record.json there; run `snakemake"):
        (tmp_path / "o/report/run_record.json").unlink()
        record_reference(tmp_path / "o", tmp_path / "r")
    done = CliRunner().invoke(app, ["reference", str(tmp_path / "nowhere")])
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
