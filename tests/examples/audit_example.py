"""A small study made by real jobs: scripts under `overopt.jobs.job`, their files and their
records."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Collection
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from overopt.cli import app
from overopt.jobs.provenance import sealed, write_json

STUDY = "results/tiny"
COMMIT = "0123456789" * 4
WORDS = "my/words.txt"
MODELS = [f"{STUDY}/models/seed-{seed}/model.safetensors" for seed in range(5)]
COEFFICIENTS = f"{STUDY}/coefficients.csv"
FIGURE = f"{STUDY}/figures/figure_01.svg"

HEAD = """
import json
from overopt.jobs.job import Input, Inputs, Job, Output, Settings, run

"""
SCRIPTS = {
    "data.py": """
def main(job: Job, config: Settings, words: Input, prompts: Output, tokenizer: Output) -> None:
    prompts.write_bytes(words.read_bytes() * json.loads(config)["copies"])
    tokenizer.mkdir()
    (tokenizer / "tokenizer.json").write_text('{"words": 3}')
""",
    "train.py": """
def main(job: Job, config: Settings, prompts: Input, model: Output) -> None:
    model.write_bytes(prompts.read_bytes() + config.encode())
    model.with_name("config.json").write_text('{"hidden_size": 8}')
""",
    "fits.py": """
def main(job: Job, config: Settings, models: Inputs, curves: Output, coefficients: Output) -> None:
    sizes = [len(model.read_bytes()) for model in models]
    texts = [model.read_bytes().hex() for model in models]
    curves.write_bytes(b"PAR1" + json.dumps([texts, json.loads(config)]).encode() + b"PAR1")
    coefficients.write_text("".join(f"{size},{texts}\\n" for size in sizes))
""",
    "figures.py": """
def main(job: Job, coefficients: Input, figure: Output) -> None:
    figure.write_text(f"<svg>{coefficients.read_text()}</svg>")
""",
}

# Jobs run in one process, which need not start five times; its repository is clean.
DRIVER = """
import json, runpy, sys
from overopt.jobs import provenance
provenance.git_state = lambda folder: {"commit": "COMMIT", "dirty": False}
for arguments in json.load(sys.stdin):
    sys.argv = arguments
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
""".replace("COMMIT", COMMIT)


def make_study(
    folder: Path,
    *,
    copies: int = 2,
    bins: int = 3,
    seeds: int = 5,
    words: str = "a b c\n",
    scripts: Collection[str] = tuple(SCRIPTS),
) -> Path:
    """Make the study in this folder, with Snakemake's metadata of it; only jobs of `scripts`."""
    folder.mkdir(parents=True, exist_ok=True)
    for script, text in SCRIPTS.items():
        (folder / script).write_text(HEAD + text + '\nif __name__ == "__main__":\n    run(main)\n')
    (folder / WORDS).parent.mkdir(exist_ok=True)
    (folder / WORDS).write_text(words)
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps([job for job in jobs(copies, bins, seeds) if job[0] in scripts]),
        cwd=folder,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    write_metadata(folder)
    return folder


def jobs(copies: int, bins: int, seeds: int) -> list[list[str]]:
    """The command lines of the study's jobs."""
    prompts, analysis = f"{STUDY}/data/prompts.parquet", f"{STUDY}/analysis"
    commands = [
        ["data.py", "--config", json.dumps({"copies": copies, "seed": 7}), "--words", WORDS]
        + ["--prompts", prompts, "--tokenizer", f"{STUDY}/data/tokenizer"]
        + ["--record", f"{STUDY}/data/data_record.json"]
    ]
    for seed in range(seeds):
        config = json.dumps({"run": {"size": "s1"}, "seed": seed})
        record = f"{STUDY}/models/seed-{seed}/run_record.json"
        commands.append(
            ["train.py", "--config", config, "--prompts", prompts, "--model", MODELS[seed]]
            + ["--record", record]
        )
    models = [word for model in MODELS[:seeds] for word in ("--models", model)]
    commands.append(
        ["fits.py", "--config", json.dumps({"bins": bins}), *models]
        + ["--curves", f"{analysis}/curves.parquet", "--coefficients", COEFFICIENTS]
        + ["--record", f"{analysis}/fits_record.json"]
    )
    commands.append(
        ["figures.py", "--coefficients", COEFFICIENTS, "--figure", FIGURE]
        + ["--record", f"{STUDY}/figures/figures_record.json"]
    )
    return commands


def write_metadata(folder: Path) -> None:
    """What Snakemake would have noted; the real thing is tested on a finished study."""
    metadata = folder / ".snakemake" / "metadata"
    shutil.rmtree(metadata, ignore_errors=True)
    metadata.mkdir(parents=True)
    for path in records(folder):
        record = json.loads((folder / path).read_text())
        params = [record["code"], *([record["config"]] if record["config"] else [])]
        noted = {
            "rule": record["rule_script"].removesuffix(".py"),
            "params": [repr(param) for param in params],
            "shellcmd": f"python /there/workflow/scripts/{record['rule_script']} --config ...",
            "input_checksums": {p: f"sha256:{d}" for p, d in record["inputs"].items()},
        }
        for output in [path, *record["outputs"]]:
            name = urlsafe_b64encode(output.encode()).decode()
            (metadata / name).write_text(json.dumps(noted))


def records(folder: Path) -> list[str]:
    """Paths of all records."""
    found = (folder / STUDY).rglob("*record.json")
    return sorted(path.relative_to(folder).as_posix() for path in found)


def edit_record(folder: Path, path: str, **changes: Any) -> None:
    """Change fields of a record, in the form that jobs write."""
    record = json.loads((folder / path).read_text())
    del record["sha256"]
    write_json(folder / path, sealed(record | changes))


def flip(path: Path, position: int) -> None:
    """Flip one bit of the byte at this position."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def overopt(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the command line in a folder: exit code and all that it prints."""
    with contextlib.chdir(folder):
        done = CliRunner().invoke(app, arguments)
    return done.exit_code, done.output
