"""The table of exact staleness: edits of a finished tiny study, the jobs that each makes stale."""

import base64
import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

Edit = Callable[[Path], None]
STUDY = "results/test"
CONFIG = "config/test.yaml"
PROXY_RM = "s2/deterministic-labels/2000-comparisons/1-epochs/seed-0"

# All jobs of the tiny study, in the order of the method.
JOBS = Counter(
    demonstrations=1,
    policy=2,
    human_comparisons=1,
    gold_rm=1,
    synthetic_responses=1,
    synthetic_comparisons=1,
    backbone=3,
    proxy_rm=6,
    pool=2,
    pool_gold_scores=2,
    best_of_n=7,
    tilted=1,
    gold_ceiling=1,
    deep_pool=1,
    deep_best_of_n=1,
    ppo=4,
    fits=1,
    forms=1,
    claims=1,
    paper_comparison=1,
    compare_methods=1,
    feature_correlations=1,
    figures=1,
    table_01=1,
    table_02=1,
    report_tables=1,
    report_run=1,
)


def every(rules: Collection[str]) -> Counter[str]:
    """All jobs of these rules."""
    return Counter({rule: JOBS[rule] for rule in rules})


# What follows from what.
CLAIMS = {"claims", "report_tables", "report_run"}
COMPARISON = {"paper_comparison", "figures", "report_tables"}
FORMS = {"forms", "figures"}
FITS = {"fits", "compare_methods"} | FORMS | CLAIMS | COMPARISON
PPO = {"ppo"} | FITS
BEST_OF_N = {"best_of_n", "tilted", "feature_correlations", "table_02"} | FITS
PROXY_RMS = {"proxy_rm", "deep_best_of_n"} | BEST_OF_N | PPO
GOLD_SCORES = {"pool_gold_scores", "gold_ceiling"} | BEST_OF_N
GOLD_RM = {"gold_rm", "synthetic_comparisons"} | GOLD_SCORES | PROXY_RMS
SAMPLES = {"human_comparisons", "synthetic_responses", "pool", "deep_pool"} | GOLD_RM


@dataclass(frozen=True)
class Row:
    """An edit and what it makes stale.

    `cell` is in the wildcards of every job that has a seed, where only new cells may run. `audit`
    is the file below the study that the audit must name, where Snakemake cannot see the edit.
    """

    edit: Edit
    runs: Counter[str]
    cell: str = ""
    audit: str = ""


def replace(path: str, old: str, new: str) -> Edit:
    """Replace text by a regular expression."""

    def edit(folder: Path) -> None:
        file = folder / path
        text, count = re.subn(old, new, file.read_text(), flags=re.MULTILINE)
        assert count, f"{old!r} is not in {path}"
        file.write_text(text)

    return edit


def both(first: Edit, second: Edit) -> Edit:
    def edit(folder: Path) -> None:
        first(folder)
        second(folder)

    return edit


def files(folder: Path) -> list[Path]:
    """All but what Snakemake keeps for itself."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in paths if ".snakemake" not in path.parts]


def touch_everything(folder: Path) -> None:
    for path in files(folder):
        path.touch()


def shuffle_times(folder: Path) -> None:
    rng = random.Random(0)
    for path in files(folder):
        time = rng.randrange(10**9, 16 * 10**8)
        os.utime(path, (time, time))


def copy_elsewhere(folder: Path) -> None:
    """As a clone: other absolute paths, times of now."""
    moved = folder.with_name("moved")
    folder.rename(moved)
    shutil.copytree(moved, folder, copy_function=shutil.copyfile)
    shutil.rmtree(moved)


def add_files(folder: Path) -> None:
    (folder / "src/overopt/unused.py").write_text("VALUE = 1\n")
    (folder / "workflow/scripts/unused.py").write_text("VALUE = 1\n")


def delete(path: str) -> Edit:
    return lambda folder: (folder / STUDY / path).unlink()


def append(path: str, keep_time: bool = False) -> Edit:
    """Add a line to a result, as a careless hand might."""

    def edit(folder: Path) -> None:
        file = folder / STUDY / path
        time = file.stat().st_mtime_ns
        file.write_bytes(file.read_bytes() + b"\n")
        if keep_time:
            os.utime(file, ns=(time, time))

    return edit


def lose_snakemake_records(folder: Path) -> None:
    shutil.rmtree(folder / ".snakemake/metadata")


def lose_snakemake_record_of_gold_rm(folder: Path) -> None:
    """As after a cluster job that outlived its Snakemake."""
    lost = [
        path
        for path in (folder / ".snakemake/metadata").iterdir()
        if base64.urlsafe_b64decode(path.name).startswith(f"{STUDY}/gold_rm/".encode())
    ]
    assert len(lost) == len(list((folder / STUDY / "gold_rm").iterdir()))
    for path in lost:
        path.unlink()


NOTHING: Counter[str] = Counter()
TABLE: dict[str, Row] = {
    # Edits that change no result.
    "nothing": Row(lambda folder: None, NOTHING),
    "`touch` of every file": Row(touch_everything, NOTHING),
    "all file times shuffled": Row(shuffle_times, NOTHING),
    "a copy in another folder": Row(copy_elsewhere, NOTHING),
    "a comment": Row(
        replace("src/overopt/methods/ppo/rewards.py", r"^import torch$", "# x\n\\g<0>"), NOTHING
    ),
    "a docstring": Row(
        replace("src/overopt/models/loading.py", '"""Read a policy,', '"""Load a policy,'), NOTHING
    ),
    "formatting": Row(
        replace("src/overopt/methods/ppo/rewards.py", r"1e-8\)", "1e-8\n    )"), NOTHING
    ),
    "a new module that nothing imports": Row(add_files, NOTHING),
    "a setting written in another way (1.0e-2 as 0.01)": Row(
        replace(CONFIG, r"learning_rate: 1\.0e-2", "learning_rate: 0.01"), NOTHING
    ),
    "the memory that rules ask for": Row(
        replace("src/overopt/study/plan/host_memory.py", r"^MODELS = \d+", "MODELS = 999"), NOTHING
    ),
    "a rule renamed": Row(
        replace("workflow/rules/best_of_n.smk", "^rule tilted:", "rule tilted_by_proxy:"), NOTHING
    ),
    "a version in the lock": Row(
        replace("envs/requirements.txt", r"^numpy==.*$", "numpy==1.0"), NOTHING
    ),
    "a version in a conda environment": Row(
        replace("envs/science.yaml", r"numpy=.*$", "numpy=1.0"), NOTHING
    ),
    # Settings.
    "PPO's learning rate": Row(
        replace(CONFIG, r"ppo_learning_rate: 1\.0e-3", "ppo_learning_rate: 9.0e-4"),
        every(PPO | {"table_01"}),
    ),
    "the annotators' noise": Row(
        replace(CONFIG, r"inverse_temperature: 3\.0", "inverse_temperature: 2.5"),
        every(GOLD_RM | {"human_comparisons"}),
    ),
    "the study's seed": Row(replace(CONFIG, "^seed: 0", "seed: 1"), JOBS - every({"table_01"})),
    # Code.
    "a function of PPO": Row(
        replace("src/overopt/methods/ppo/rewards.py", r"1e-8\)", "1e-9)"), every(PPO)
    ),
    "a helper two imports away": Row(
        replace("src/overopt/reward_model/temperature.py", "RATIO = 1e3", "RATIO = 1e4"),
        every(PROXY_RMS),
    ),
    "a helper that only some jobs import": Row(
        replace("src/overopt/analysis/held_out.py", "SHARE = 2 / 3, 1 / 2", "SHARE = 3 / 4, 1 / 2"),
        every(FORMS | CLAIMS | {"compare_methods"}),
    ),
    "the sampler": Row(
        replace("src/overopt/policy/sampling.py", r"0\.2 \* len", "0.3 * len"), every(SAMPLES)
    ),
    "the figures' style": Row(
        replace("src/overopt/figures/style.py", r"font_scale=1\.1", "font_scale=1.2"),
        every({"figures"}),
    ),
    "a rule's command": Row(
        replace("workflow/rules/best_of_n.smk", " --best-of-n-curve", "  --best-of-n-curve"),
        every(FITS | {"tilted"}),
    ),
    "a value read off the paper": Row(
        replace("src/overopt/analysis/paper_values.csv", r",0\.509,", ",0.510,"), every(COMPARISON)
    ),
    # The grid: new cells only, then what reads all cells.
    "a new seed": Row(
        replace(CONFIG, r"seeds: \[0\]", "seeds: [0, 1]"),
        every(PROXY_RMS | {"backbone"}) - every({"table_02"}),  # which is of one RM, of one seed
        cell="seed=1",
    ),
    "a new data size": Row(
        replace(CONFIG, r"\[500, 2000\]", "[250, 500, 2000]"),
        every(FITS) + Counter(proxy_rm=1, best_of_n=1, feature_correlations=1),
        cell="num_comparisons=250",
    ),
    "a new proxy size": Row(
        both(
            replace(CONFIG, r"^  s3: (.*)", r"\g<0>\n  s4: \1"),
            replace(CONFIG, r"\[s1, s2, s3\]", "[s1, s2, s3, s4]"),
        ),
        every(FITS) + Counter(backbone=1, proxy_rm=1, best_of_n=1, ppo=1, feature_correlations=1),
        cell="proxy_size=s4",
    ),
    "a cell less": Row(
        replace(CONFIG, r"num_epochs: \[1, 4\]", "num_epochs: [1]"),
        every(FITS | {"feature_correlations"}),
    ),
    "a sweep less": Row(
        replace(CONFIG, "^    kl_penalty:", r"\g<0>\n      enabled: false"), every(FITS)
    ),
    # Results.
    "a figure deleted": Row(delete("figures/figure_02.svg"), every({"figures"})),
    "a table that others read edited": Row(
        append("analysis/proxy_rms.csv"), every(CLAIMS | COMPARISON | {"compare_methods"})
    ),
    "the same, its old time put back": Row(
        append("analysis/proxy_rms.csv", keep_time=True), NOTHING, audit="analysis/proxy_rms.csv"
    ),
    "a final table edited": Row(append("differences.csv"), NOTHING, audit="differences.csv"),
    "a model deleted": Row(
        delete(f"proxy_rms/{PROXY_RM}/model.safetensors"),
        NOTHING,
        audit=f"proxy_rms/{PROXY_RM}/model.safetensors",
    ),
    "a job's record deleted": Row(
        delete("gold_rm/run_record.json"), NOTHING, audit="gold_rm/model.safetensors"
    ),
    "Snakemake's record of a job lost": Row(
        lose_snakemake_record_of_gold_rm, NOTHING, audit="gold_rm/model.safetensors"
    ),
    "all of Snakemake's records lost, file times in order": Row(lose_snakemake_records, NOTHING),
}


def described(runs: Counter[str]) -> str:
    """Jobs in words: rules in the order of the method, with their number where it is not one."""
    if not runs:
        return "nothing"
    numbers = [f"{rule} {runs[rule]}" if runs[rule] > 1 else rule for rule in JOBS if runs[rule]]
    return ", ".join(numbers)
